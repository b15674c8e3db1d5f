"""storage3 against the dev server: the documented calls on buckets and files."""

import asyncio
import json
import pathlib
import tempfile
import urllib.request
import uuid

from cases import case, check, equal, main, server
from storage3 import create_client
from storage3.exceptions import StorageApiError

SERVER = json.loads(server("supabase"))
BASE = SERVER["url"] + "/storage/v1/"


def headers(key):
    return {"apikey": key, "Authorization": f"Bearer {key}"}


def connect(key=None, is_async=False):
    return create_client(BASE, headers(key or SERVER["service_role_key"]), is_async=is_async)


def bucket(**options):
    """A new bucket; returns its id and the client's view of its files."""
    name = uuid.uuid4().hex[:8]
    client = connect()
    client.create_bucket(name, options=options or None)
    return name, client.from_(name)


def fetch(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def refused(call, *, status, code):
    """The call fails as told."""
    try:
        call()
    except StorageApiError as error:
        equal((str(error.status), error.code), (status, code), "refusal")
        return error
    raise AssertionError("it was not refused")


@case
def buckets():
    client = connect()
    name = uuid.uuid4().hex[:8]
    equal(client.create_bucket(name, options={"public": False}), {"name": name})
    refused(lambda: client.create_bucket(name), status="409", code="Duplicate")
    found = client.get_bucket(name)
    equal((found.id, found.name, found.public, found.file_size_limit), (name, name, False, None))
    options = {"public": True, "file_size_limit": 1000, "allowed_mime_types": ["image/*"]}
    equal(client.update_bucket(name, options), {"message": "Successfully updated"})
    found = client.get_bucket(name)
    equal((found.public, found.file_size_limit, found.allowed_mime_types), (True, 1000, ["image/*"]))
    check(name in [b.id for b in client.list_buckets()], "it is listed")
    client.empty_bucket(name)
    equal(client.delete_bucket(name), {"message": "Successfully deleted"})
    refused(lambda: client.get_bucket(name), status="404", code="Bucket not found")


@case
def a_bucket_with_files_is_not_deleted():
    name, files = bucket()
    files.upload("a", b"1")
    refused(lambda: connect().delete_bucket(name), status="409", code="ResourceNotEmpty")
    connect().empty_bucket(name)
    connect().delete_bucket(name)


@case
def uploads_of_every_kind():
    name, files = bucket()
    answer = files.upload("dir/a.txt", b"bytes", {"content-type": "text/plain"})
    equal((answer.path, answer.full_path), ("dir/a.txt", f"{name}/dir/a.txt"))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "b.svg")
        path.write_bytes(b"<svg/>")
        files.upload("dir/b.svg", path, {"content-type": "image/svg+xml", "cache-control": "60"})
        with path.open("rb") as opened:
            files.upload("dir/c.svg", opened)
    equal([files.download(f"dir/{key}") for key in ("a.txt", "b.svg", "c.svg")], [b"bytes", b"<svg/>", b"<svg/>"])
    info = files.info("dir/b.svg")
    equal((info["content_type"], info["cache_control"], info["size"]), ("image/svg+xml", "max-age=60", 6))
    refused(lambda: files.upload("dir/a.txt", b"again"), status="409", code="Duplicate")
    files.upload("dir/a.txt", b"again", {"upsert": "true"})
    files.update("dir/b.svg", b"updated")
    equal((files.download("dir/a.txt"), files.download("dir/b.svg")), (b"again", b"updated"))
    files.upload("/sp ace/we'ird+&=;,@$!().txt", b"odd")
    equal(files.download("sp ace/we'ird+&=;,@$!().txt", query_params={"my-param": "test"}), b"odd")


@case
def a_file_of_several_mebibytes():
    _, files = bucket()
    content = bytes(range(256)) * 32768
    files.upload("big", content)
    check(files.download("big") == content, "the same bytes come back")


@case
def metadata():
    _, files = bucket()
    files.upload("m", b"1", {"metadata": {"custom": "metadata", "second": 2}})
    info = files.info("m")
    equal(info["metadata"], {"custom": "metadata", "second": 2})
    equal(info["name"], "m")
    equal((files.exists("m"), files.exists("n")), (True, False))


@case
def limits_and_types():
    _, files = bucket(file_size_limit=4, allowed_mime_types=["text/plain"])
    text = {"content-type": "text/plain"}
    files.upload("a", b"1234", text)
    refused(lambda: files.upload("b", b"12345", text), status="413", code="Payload too large")
    image = {"content-type": "image/png"}
    refused(lambda: files.upload("c", b"1", image), status="415", code="invalid_mime_type")
    refused(lambda: files.upload("a#b", b"1", text), status="400", code="InvalidKey")


@case
def listings():
    _, files = bucket()
    keys = [f"{folder}/{n}.txt" for folder in ("a", "b") for n in range(4)]
    for key in [*keys, "top.txt"]:
        files.upload(key, b"x", {"content-type": "text/plain"})
    equal([row["name"] for row in files.list()], ["a", "b", "top.txt"])
    rows = files.list("a", {"limit": 2, "offset": 1, "sortBy": {"column": "name", "order": "desc"}})
    equal([row["name"] for row in rows], ["2.txt", "1.txt"])
    equal(rows[0]["metadata"]["mimetype"], "text/plain")
    equal([row["name"] for row in files.list("a", {"search": "3"})], ["3.txt"])
    found, cursor = [], ""
    while cursor is not None:
        page = files.list_v2({"limit": 2, "cursor": cursor})
        found += [row.name for row in page.objects]
        cursor = page.nextCursor if page.hasNext else None
    equal(found, [*keys, "top.txt"])
    page = files.list_v2({"with_delimiter": True})
    equal(([f.key for f in page.folders], [o.name for o in page.objects]), (["a", "b"], ["top.txt"]))


@case
def move_copy_remove():
    _, files = bucket()
    files.upload("a", b"1", {"content-type": "image/png"})
    files.copy("a", "b")
    files.move("a", "dir/c")
    equal([files.exists(key) for key in ("a", "b", "dir/c")], [False, True, True])
    equal(files.info("dir/c")["content_type"], "image/png")
    refused(lambda: files.move("nope", "x"), status="404", code="not_found")
    removed = files.remove(["b", "dir/c", "nope"])
    equal(sorted(row["name"] for row in removed), ["b", "dir/c"])
    equal(files.list(), [])


@case
def signed_and_public_urls():
    _, files = bucket(public=True)
    files.upload("dir/a b.txt", b"signed", {"content-type": "text/plain"})
    url = files.create_signed_url("dir/a b.txt", 60)["signedURL"]
    equal(fetch(url)[0], b"signed")
    url = files.create_signed_url("dir/a b.txt", 60, {"download": "n.txt"})["signedURL"]
    content, head = fetch(url)
    equal((content, head["content-disposition"]), (b"signed", "attachment; filename=n.txt; filename*=UTF-8''n.txt"))
    lines = files.create_signed_urls(["dir/a b.txt", "nope"], 60)
    equal(fetch(lines[0]["signedURL"])[0], b"signed")
    check(lines[1]["error"], "what is missing is told")
    public = files.get_public_url("dir/a b.txt")
    equal(fetch(public.replace(" ", "%20"))[0], b"signed")
    url = files.create_signed_url("dir/a b.txt", 60, {"transform": {"width": 10}})["signedURL"]
    check("/render/image/sign/" in url, "a transform goes to the renderer")
    content, head = fetch(url)
    equal((content, head["x-transformations"]), (b"signed", "width:10,resizing_type:fill"))


@case
def signed_uploads():
    _, files = bucket()
    for key in ("a.txt", "dir/b.txt", "/leading/slash.txt"):
        signed = files.create_signed_upload_url(key)
        files.upload_to_signed_url(signed["path"], signed["token"], b"up", {"cache-control": "3600"})
        equal(files.download(key), b"up")
    equal(files.info("a.txt")["cache_control"], "max-age=3600")
    signed = files.create_signed_upload_url("c.txt")
    other = lambda: files.upload_to_signed_url("d.txt", signed["token"], b"up")
    refused(other, status="400", code="InvalidSignature")


@case
def who_may_do_what():
    name, files = bucket()
    files.upload("a", b"1")
    anonymous = connect(SERVER["anon_key"])
    refused(lambda: anonymous.create_bucket("x"), status="403", code="Unauthorized")
    refused(lambda: anonymous.from_(name).upload("b", b"1"), status="403", code="Unauthorized")
    refused(lambda: anonymous.from_(name).download("a"), status="404", code="not_found")
    equal(anonymous.from_(name).list(), [])
    refused(lambda: connect("a.b.c").list_buckets(), status="403", code="Unauthorized")


@case
def opaque_keys():
    client = connect(SERVER["secret_key"])
    name = uuid.uuid4().hex[:8]
    client.create_bucket(name)
    refused(lambda: connect(SERVER["publishable_key"]).get_bucket(name), status="404", code="Bucket not found")


@case
def the_asynchronous_client():
    async def work():
        async with connect(is_async=True) as client:
            name = uuid.uuid4().hex[:8]
            await client.create_bucket(name)
            files = client.from_(name)
            await asyncio.gather(*(files.upload(f"k{n}", b"x" * n) for n in range(8)))
            sizes = [len(await files.download(f"k{n}")) for n in range(8)]
            equal(sizes, list(range(8)))
            await client.empty_bucket(name)
            await client.delete_bucket(name)

    asyncio.run(work())


main()
