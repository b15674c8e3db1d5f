"""`Object`: writing, reading in every way, metadata, appending, promoting."""

import inspect
import tempfile
from pathlib import Path

from cases import case, check, equal, folder
from sdk import (
    append,
    attributes,
    buckets,
    done,
    names,
    needs,
    put,
    put_file,
    read,
    reader,
    refused,
    set_custom,
)

LARGE = bytes(range(256)) * 4096  # a mebibyte


@case
def is_written_read_and_removed():
    with buckets() as bucket:
        thing = bucket.object("folder/name with spaces & ünïcödé")
        for content in (b"", b"short", LARGE):
            put(thing, content)
            equal(read(thing), content)
        thing.delete()
        refused(404, read, thing)
        refused(404, thing.delete)


@case
def comes_from_a_file():
    with buckets() as bucket, tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        path.write_bytes(LARGE)
        put_file(bucket.object("a"), str(path))
        equal(read(bucket.object("a")), LARGE)


@case
def goes_into_a_file():
    with buckets(a=LARGE) as bucket, tempfile.TemporaryFile() as file:
        reader(bucket.object("a"), writer=file)
        file.seek(0)
        equal(file.read(), LARGE)


@case
def is_read_in_chunks():
    with buckets(a=LARGE) as bucket:
        chunks = list(reader(bucket.object("a"), chunk_size=100_000))
        equal((b"".join(chunks), len(chunks)), (LARGE, 11))
        equal(reader(bucket.object("a")).raw().read(), LARGE)


@case
def is_read_by_range():
    with buckets(a=b"0123456789") as bucket:
        thing = bucket.object("a")
        for asked, expected in (("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-3", b"789")):
            equal(read(thing, byte_range=asked), expected, asked)
        refused(416, read, thing, byte_range="bytes=20-30")


@case
def is_read_as_a_file():
    with buckets(a=b"line 1\nline 2\nline 3\n") as bucket:
        readable = reader(bucket.object("a"))
        with readable.as_file() as file:
            equal(file.read(4), b"line")
            equal(file.read(), b" 1\nline 2\nline 3\n")


@case
def is_read_in_parallel():
    needs((1, 25), "parallel reads")
    with buckets(a=LARGE) as bucket:
        thing = bucket.object("a")
        found = thing.get_reader(num_workers=4, chunk_size=100_000).read_all()
        try:
            equal(found.tobytes() if hasattr(found, "tobytes") else bytes(found), LARGE)
        finally:
            found.close()


@case
def is_read_from_its_target_directly():
    needs((1, 25), "direct reads")
    with buckets(a=LARGE) as bucket:
        equal(read(bucket.object("a"), direct=True), LARGE)


@case
def has_size_checksum_version_and_time():
    with buckets(a=b"hello") as bucket:
        found = attributes(bucket.object("a"))
        equal(int(found.size), 5)
        equal((found.checksum_type, found.checksum_value), ("xxhash2", "26c7827d889f6da3"), "checksum")
        equal(str(found.obj_version), "1")
        check(found.access_time, "an access time")
        put(bucket.object("a"), b"hello again")
        equal(str(attributes(bucket.object("a")).obj_version), "2")


@case
def that_is_missing_is_not_found():
    with buckets() as bucket:
        refused(404, bucket.object("missing").head)
        refused(404, read, bucket.object("missing"))


@case
def carries_custom_metadata():
    with buckets(a=b"x") as bucket:
        thing = bucket.object("a")
        set_custom(thing, {"one": "1", "two": "zwei"})
        equal(dict(attributes(thing).custom_metadata), {"one": "1", "two": "zwei"})
        set_custom(thing, {"three": "3"})
        equal(dict(attributes(thing).custom_metadata), {"one": "1", "two": "zwei", "three": "3"})
        set_custom(thing, {"only": "this"}, replace_existing=True)
        equal(dict(attributes(thing).custom_metadata), {"only": "this"})
        put(thing, b"overwritten")
        equal(dict(attributes(thing).custom_metadata), {"only": "this"}, "metadata after an overwrite")


@case
def grows_by_appending():
    with buckets() as bucket:
        thing = bucket.object("a")
        handle = append(thing, b"one ")
        handle = append(thing, b"two ", handle=handle)
        handle = append(thing, b"three", handle=handle)
        refused(404, read, thing)
        append(thing, b"", handle=handle, flush=True)
        equal(read(thing), b"one two three")


@case
def is_written_as_a_file():
    needs((1, 25), "files for writing")
    with buckets() as bucket:
        with bucket.object("a").get_writer().as_file(mode="w") as file:
            file.write(b"one ")
            file.write(b"two")
        equal(read(bucket.object("a")), b"one two")


@case
def is_copied():
    needs((1, 25), "copy of one object")
    with buckets(2, a=LARGE) as (source, target):
        source.object("a").copy(target.object("b"))
        equal((read(target.object("b")), read(source.object("a"))), (LARGE, LARGE))


@case
def is_promoted_from_the_servers_files():
    with buckets() as bucket:
        (folder() / "one").mkdir()
        (folder() / "one" / "a").write_bytes(b"1")
        (folder() / "one" / "b").write_bytes(b"22")
        bucket.object("file").promote(str(folder() / "one" / "a"))
        equal(read(bucket.object("file")), b"1")
        job = bucket.object("dir/").promote(str(folder() / "one"))
        if job:
            done(job)
        equal(names(bucket, prefix="dir/"), ["dir/a", "dir/b"])
        equal(read(bucket.object("dir/b")), b"22")
        refused(404, bucket.object("none").promote, str(folder() / "missing"))


@case
def has_properties_in_listings():
    with buckets(a=b"12345") as bucket:
        entry = bucket.list_objects(props="name,size,checksum,version,atime").entries[0]
        equal((entry.name, int(entry.size), entry.version), ("a", 5, "1"))
        check(entry.checksum and entry.atime, "checksum and time")


@case
def keeps_known_properties():
    with buckets(a=b"12345") as bucket:
        found = next(iter(bucket.list_all_objects_iter()))
        equal(int(found.props.size), 5)


@case
def methods_are_those_of_this_tour():
    # A new version of the SDK with more than this tour knows must not go unnoticed.
    known = {
        "append_content", "blob_download", "bucket", "bucket_name", "bucket_provider", "copy", "delete", "get",
        "get_reader", "get_semantic_url", "get_url", "get_writer", "head", "head_v2", "multipart_upload", "name",
        "promote", "props", "props_cached", "put_content", "put_file", "query_params", "set_custom_props", "uname",
    }  # fmt: skip
    from aistore.sdk.obj.object import Object

    found = {name for name, _ in inspect.getmembers(Object) if not name.startswith("_")}
    equal(found - known, set(), "methods without a case")
