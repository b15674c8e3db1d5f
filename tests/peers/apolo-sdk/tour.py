"""apolo-sdk, the platform's own client, on the buckets service and the S3 that its buckets lie on."""

import asyncio
import contextlib
import itertools
import json
import os
import pathlib
import tempfile
import urllib.request

import apolo_sdk
from cases import case, check, equal, main, server
from yarl import URL

SERVER = json.loads(server("apolo"))
_names = (f"tour-{os.getpid()}-{number}" for number in itertools.count(1))


@contextlib.asynccontextmanager
async def client():
    """Somebody who has just logged in."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "config"
        await apolo_sdk.login_with_token(SERVER["token"], url=URL(SERVER["url"]), path=path)
        async with apolo_sdk.get(path=path) as sdk:
            yield sdk


@contextlib.asynccontextmanager
async def bucket(**content):
    """A new bucket that holds `content`, by key."""
    async with client() as sdk:
        made = await sdk.buckets.create(name=next(_names))
        for key, data in content.items():
            await sdk.buckets.put_blob(made.id, key, data)
        try:
            yield sdk.buckets, made
        finally:
            with contextlib.suppress(FileNotFoundError):
                await sdk.buckets.blob_rm(made.uri, recursive=True)
            await sdk.buckets.rm(made.id)


def tour(function):
    """Makes a coroutine a case."""

    def run():
        asyncio.run(function())

    run.__name__, run.__module__ = function.__name__, function.__module__
    return case(run)


async def refused(kind, awaitable):
    try:
        answer = await awaitable
    except kind as error:
        return error
    raise AssertionError(f"expected a refusal, got {answer!r}")


async def collect(listing):
    async with listing as entries:
        return [entry async for entry in entries]


async def fetch(buckets, made, key, offset=0):
    async with buckets.fetch_blob(made.id, key, offset=offset) as chunks:
        return b"".join([chunk async for chunk in chunks])


@tour
async def buckets_are_made_listed_and_removed():
    async with client() as sdk:
        name = next(_names)
        made = await sdk.buckets.create(name=name)
        equal((made.name, made.owner, made.imported, made.public), (name, "alice", False, False))
        check(made.id in [b.id for b in await collect(sdk.buckets.list())], "it is listed")
        equal((await sdk.buckets.get(name)).id, made.id)
        await refused(ValueError, sdk.buckets.create(name=name))
        await refused(ValueError, sdk.buckets.create(name="X"))
        await sdk.buckets.rm(name)
        await refused(apolo_sdk.ResourceNotFound, sdk.buckets.get(name))


@tour
async def objects_are_written_and_read():
    async with bucket(**{"a/hello.txt": b"hello world", "empty": b""}) as (buckets, made):
        equal((await buckets.head_blob(made.id, "a/hello.txt")).size, 11)
        equal(await fetch(buckets, made, "a/hello.txt"), b"hello world")
        equal(await fetch(buckets, made, "a/hello.txt", offset=6), b"world")
        equal(await fetch(buckets, made, "empty"), b"")
        await refused(apolo_sdk.ResourceNotFound, buckets.head_blob(made.id, "nothing"))
        await buckets.delete_blob(made.id, "empty")
        await buckets.delete_blob(made.id, "empty")


@tour
async def long_objects_go_in_parts():
    async def pieces():
        for _ in range(25):
            yield b"x" * (1 << 20)

    async with bucket() as (buckets, made):
        await buckets.put_blob(made.id, "big", pieces())
        equal(await fetch(buckets, made, "big"), b"x" * (25 << 20))

        async def broken():
            yield b"x" * (12 << 20)
            raise RuntimeError("the source ends")

        await refused(RuntimeError, buckets.put_blob(made.id, "never", broken()))
        await refused(apolo_sdk.ResourceNotFound, buckets.head_blob(made.id, "never"))


@tour
async def listings_and_globs():
    content = {key: b"x" for key in ["a/1.txt", "a/2.log", "b/c/3.txt", "d"]}
    async with bucket(**content) as (buckets, made):

        async def keys(listing):
            return sorted(entry.key for entry in await collect(listing))

        equal(await keys(buckets.list_blobs(made.uri)), ["a/", "b/", "d"])
        equal(await keys(buckets.list_blobs(made.uri, recursive=True)), sorted(content))
        equal(await keys(buckets.glob_blobs(made.uri / "**/*.txt")), ["a/1.txt", "b/c/3.txt"])
        check(await buckets.blob_is_dir(made.uri / "a"), "a folder")
        check(not await buckets.blob_is_dir(made.uri / "d"), "no folder")
        usage = await collect(buckets.get_disk_usage(made.id))
        equal((usage[-1].total_bytes, usage[-1].object_count), (4, 4))


@tour
async def files_and_folders_go_there_and_back():
    async with bucket() as (buckets, made):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            files = {"a.txt": b"a", "sub/b.bin": b"b" * (11 << 20), "sub/empty": b""}
            for name, data in files.items():
                path = root / "tree" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            local = URL(root.as_uri())
            await buckets.upload_dir(local / "tree", made.uri / "t")
            await buckets.download_dir(made.uri / "t", local / "back")
            for name, data in files.items():
                check((root / "back" / name).read_bytes() == data, f"{name} is the same")
            await buckets.upload_file(local / "tree/a.txt", made.uri / "one")
            (root / "part").write_bytes(b"")
            await buckets.download_file(made.uri / "one", local / "part", continue_=True)
            equal((root / "part").read_bytes(), b"a")
            await buckets.blob_rm(made.uri / "t", recursive=True)
            equal([entry.key for entry in await collect(buckets.list_blobs(made.uri))], ["one"])


@tour
async def signed_urls_and_public_buckets():
    async with bucket(k=b"hello") as (buckets, made):
        url = await buckets.make_signed_url(made.uri / "k")
        with urllib.request.urlopen(str(url)) as answer:
            equal(answer.read(), b"hello")
        check((await buckets.set_public_access(made.id, True)).public, "it is public")
        with urllib.request.urlopen(str(url).split("?")[0]) as answer:
            equal(answer.read(), b"hello")


@tour
async def credentials():
    async with bucket(k=b"hello") as (buckets, made):
        found = await buckets.request_tmp_credentials(made.id)
        equal((found.bucket_id, found.provider), (made.id, apolo_sdk.Bucket.Provider.AWS))
        keys = await buckets.persistent_credentials_create([made.id], name=next(_names), read_only=True)
        equal((await buckets.persistent_credentials_get(keys.name)).id, keys.id)
        check(keys.id in [c.id for c in await collect(buckets.persistent_credentials_list())], "they are listed")
        await buckets.persistent_credentials_rm(keys.id)
        await refused(apolo_sdk.ResourceNotFound, buckets.persistent_credentials_get(keys.id))


@tour
async def imported_buckets():
    async with bucket(k=b"hello") as (buckets, made):
        keys = await buckets.persistent_credentials_create([made.id])
        opened = dict(keys.credentials[0].credentials)
        name = opened.pop("bucket_name")
        theirs = await buckets.import_external(
            apolo_sdk.Bucket.Provider.AWS, name, opened, name=next(_names)
        )
        equal(await fetch(buckets, theirs, "k"), b"hello")
        await buckets.rm(theirs.id)
        equal(await fetch(buckets, made, "k"), b"hello")


main()
