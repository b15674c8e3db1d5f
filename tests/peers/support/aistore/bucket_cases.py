"""`Bucket`: making, asking, renaming, copying, putting folders."""

import json
import tempfile
from pathlib import Path

from aistore.sdk.errors import ErrBckAlreadyExists, ErrBckNotFound, InvalidBckProvider
from aistore.sdk.namespace import Namespace
from cases import case, check, equal, raises
from sdk import buckets, client, done, names, new_name, put, read, refused


@case
def is_made_once_and_removed():
    bucket = client().bucket(new_name())
    bucket.create()
    raises(ErrBckAlreadyExists, bucket.create)
    bucket.create(exist_ok=True)
    check(bucket.name in [b.name for b in client().cluster().list_buckets()], "it is listed")
    bucket.delete()
    raises(ErrBckNotFound, bucket.delete)
    bucket.delete(missing_ok=True)


@case
def has_properties():
    with buckets() as bucket:
        headers = {name.lower(): value for name, value in bucket.head().items()}
        equal(json.loads(headers["ais-bucket-props"])["provider"], "ais")
    refused(404, bucket.head)


@case
def of_a_namespace_is_another_bucket():
    name = new_name()
    spaced = client().bucket(name, namespace=Namespace(name="space"))
    spaced.create()
    try:
        put(spaced.object("a"), b"in the namespace")
        equal(read(spaced.object("a")), b"in the namespace")
        refused(404, client().bucket(name).head)
    finally:
        spaced.delete()


@case
def with_a_bad_name_is_refused():
    refused(400, client().bucket("not/good?").create)


@case
def is_renamed():
    with buckets(a=b"1", b=b"22") as bucket:
        old, new = bucket.name, new_name()
        job = bucket.rename(new)
        done(job)
        equal(bucket.name, new)
        equal((names(bucket), read(bucket.object("b"))), (["a", "b"], b"22"))
        refused(404, client().bucket(old).head)


@case
def is_summarized():
    with buckets(a=b"1", b=b"22", c=b"333") as bucket:
        summary = bucket.summary()
        equal(summary["name"], bucket.name)
        equal(summary["ObjCount"]["obj_count_present"], "3")
        equal(summary["TotalSize"]["size_all_present_objs"], "6")
        equal(bucket.summary(prefix="c")["ObjCount"]["obj_count_present"], "1")


@case
def gives_its_properties_and_summary_in_one():
    with buckets(a=b"1", b=b"22") as bucket:
        props, summary = bucket.info()
        check("mirror" in props and "checksum" in props, f"properties in {props}")
        equal(summary["ObjCount"]["obj_count_present"], "2")


@case
def is_copied():
    with buckets(2, a=b"1", b=b"22") as (source, target):
        job = source.copy(target)
        done(job)
        equal((names(target), read(target.object("b"))), (["a", "b"], b"22"))


@case
def is_copied_by_prefix_under_a_new_one():
    with buckets(2, img1=b"1", img2=b"2", other=b"3") as (source, target):
        done(source.copy(target, prefix_filter="img", prepend="new/"))
        equal(names(target), ["new/img1", "new/img2"])


@case
def is_not_copied_in_a_dry_run():
    with buckets(2, a=b"1") as (source, target):
        done(source.copy(target, dry_run=True))
        equal(names(target), [])


@case
def is_copied_over_what_is_there():
    with buckets(2, a=b"1") as (source, target):
        put(target.object("stale"), b"x")
        done(source.copy(target))
        equal(names(target), ["a", "stale"])


@case
def takes_a_folder():
    with buckets() as bucket, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sub").mkdir()
        for name in ("a.txt", "b.bin", "sub/c.txt"):
            (Path(folder) / name).write_text(name)
        bucket.put_files(folder, pattern="*.txt", verbose=False)
        equal(names(bucket), ["a.txt"])
        bucket.put_files(folder, recursive=True, prepend="all/", verbose=False)
        equal(names(bucket, prefix="all/"), ["all/a.txt", "all/b.bin", "all/sub/c.txt"])
        equal(read(bucket.object("all/sub/c.txt")), b"sub/c.txt")
        bucket.put_files(folder, recursive=True, basename=True, prepend="flat-", verbose=False)
        equal(names(bucket, prefix="flat-"), ["flat-a.txt", "flat-b.bin", "flat-c.txt"])


@case
def of_a_cloud_only_is_evicted():
    with buckets() as bucket:
        raises(InvalidBckProvider, bucket.evict)
        raises(InvalidBckProvider, bucket.objects(obj_names=["a"]).evict)


@case
def gives_urls_that_anybody_can_read():
    import requests

    with buckets(a=b"1", b=b"22") as bucket:
        contents = [requests.get(url, timeout=10).content for url in bucket.list_urls()]
        equal(contents, [b"1", b"22"])
