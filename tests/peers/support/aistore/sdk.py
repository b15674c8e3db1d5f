"""The SDK under test, what its versions call differently, and what cases share."""

import contextlib
import io
import itertools
import os
import tarfile
import zipfile

import aistore
import requests
from aistore.sdk import Client
from aistore.sdk.errors import AISError
from cases import equal, server, skip

VERSION = tuple(int(part) for part in aistore.__version__.split(".")[:2])
# From here on reading and writing are done by objects of their own.
HAS_READERS = VERSION >= (1, 9)

_names = (f"tour-{os.getpid()}-{number}" for number in itertools.count(1))


def needs(version, what):
    """Skips the case if the SDK is older."""
    if VERSION < version:
        skip(f"unsupported: aistore {aistore.__version__} has no {what}")


def client():
    """A client of the dev server."""
    return Client(server("aistore"))


def new_name():
    return next(_names)


@contextlib.contextmanager
def buckets(count=1, **content):
    """New buckets, removed in the end; the first holds `content`, by name."""
    made = [client().bucket(new_name()) for _ in range(count)]
    try:
        for bucket in made:
            bucket.create()
        for name, data in content.items():
            put(made[0].object(name), data)
        yield made[0] if count == 1 else made
    finally:
        for bucket in made:
            bucket.delete(missing_ok=True)


def put(thing, content):
    """Writes a whole object."""
    return thing.get_writer().put_content(content) if HAS_READERS else thing.put_content(content)


def put_file(thing, path):
    return thing.get_writer().put_file(path) if HAS_READERS else thing.put_file(path)


def append(thing, content, handle="", flush=False):
    writer = thing.get_writer() if HAS_READERS else thing
    return writer.append_content(content, handle=handle, flush=flush)


def set_custom(thing, props, replace_existing=False):
    writer = thing.get_writer() if HAS_READERS else thing
    return writer.set_custom_props(props, replace_existing=replace_existing)


def reader(thing, **options):
    return thing.get_reader(**options) if HAS_READERS else thing.get(**options)


def read(thing, **options):
    """Reads a whole object, or what the options select of it."""
    return bytes(reader(thing, **options).read_all())


def attributes(thing):
    """Size, checksum, version and custom metadata of an object."""
    return reader(thing).attributes if not HAS_READERS else thing.get_reader().head()


def refused(status, call, *args, **kwargs):
    """Calls, and fails unless the answer is this status. Returns the error."""
    try:
        answer = call(*args, **kwargs)
    except AISError as error:
        equal(error.status_code, status, "status")
        return error
    except requests.HTTPError as error:  # of a HEAD, by old versions
        equal(error.response.status_code, status, "status")
        return error
    raise AssertionError(f"expected status {status}, got {answer!r}")


def names(bucket, **options):
    """What a bucket holds."""
    return [entry.name for entry in bucket.list_all_objects(**options)]


def done(job_id, **options):
    """Waits for the end of a job."""
    client().job(job_id).wait(timeout=30, verbose=False, **options)


def idle(job_id):
    """Waits until a job that stays for more work has none."""
    client().job(job_id).wait_for_idle(timeout=30, verbose=False)


def shard(kind, files):
    """An archive of these files, by name."""
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(fileobj=out, mode={"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz"}[kind]) as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def unpacked(data):
    """The files of a TAR, by name."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
