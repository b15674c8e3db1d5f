"""boto3, patched as AIStore's own package does, on the S3 endpoint `/s3`."""

import contextlib
import itertools
import os

import boto3
from aistore.botocore_patch import botocore  # noqa: F401  (lets botocore follow redirects to targets)
from botocore.client import Config
from botocore.exceptions import ClientError
from cases import case, check, equal, main, raises, server

# Before another checksum is agreed on, the classic form of a request: plain bodies, no trailing checksums.
CONFIG = Config(
    retries={"max_attempts": 0},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
s3 = boto3.client(
    "s3",
    endpoint_url=server("aistore") + "/s3",
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    config=CONFIG,
)
_names = (f"tour-{os.getpid()}-{number}" for number in itertools.count(1))


@contextlib.contextmanager
def bucket(**content):
    """A new bucket that holds `content`, by key; removed in the end."""
    name = next(_names)
    s3.create_bucket(Bucket=name)
    try:
        for key, data in content.items():
            s3.put_object(Bucket=name, Key=key, Body=data)
        yield name
    finally:
        s3.delete_bucket(Bucket=name)


def read(name, key, **options):
    return s3.get_object(Bucket=name, Key=key, **options)["Body"].read()


def keys(name, **options):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=name, **options).get("Contents", [])]


def code(error):
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


@case
def buckets_are_made_listed_and_removed():
    with bucket() as name:
        check(name in [b["Name"] for b in s3.list_buckets()["Buckets"]], "it is listed")
        s3.head_bucket(Bucket=name)
    equal(code(raises(ClientError, s3.head_bucket, Bucket=name)), 404)


@case
def objects_are_written_read_and_removed():
    with bucket() as name:
        for content in (b"", b"short", bytes(range(256)) * 4096):
            s3.put_object(Bucket=name, Key="dir/a b", Body=content)
            equal(read(name, "dir/a b"), content)
            equal(s3.head_object(Bucket=name, Key="dir/a b")["ContentLength"], len(content))
        s3.delete_object(Bucket=name, Key="dir/a b")
        error = raises(ClientError, s3.get_object, Bucket=name, Key="dir/a b")
        equal(code(error), 404)


@case
def ranges_are_read():
    with bucket(a=b"0123456789") as name:
        equal(read(name, "a", Range="bytes=2-4"), b"234")
        equal(read(name, "a", Range="bytes=-3"), b"789")


@case
def listings_have_prefixes_and_pages():
    files = {"a": b"1", "dir/b": b"2", "dir/c": b"3", "e": b"4"}
    with bucket(**files) as name:
        equal(keys(name), sorted(files))
        equal(keys(name, Prefix="dir/"), ["dir/b", "dir/c"])
        # The cluster may ignore how many keys a page shall have.
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, PaginationConfig={"PageSize": 3})
        equal([entry["Key"] for page in pages for entry in page["Contents"]], sorted(files))


@case
def objects_are_copied():
    with bucket(a=b"content") as name:
        s3.copy_object(Bucket=name, Key="b", CopySource={"Bucket": name, "Key": "a"})
        equal(read(name, "b"), b"content")


@case
def many_objects_are_removed_at_once():
    with bucket(a=b"1", b=b"2", c=b"3") as name:
        s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
        equal(keys(name), ["c"])


@case
def multipart_uploads_are_completed():
    with bucket() as name:
        upload = s3.create_multipart_upload(Bucket=name, Key="large")["UploadId"]
        which = {"Bucket": name, "Key": "large", "UploadId": upload}
        bodies = {1: b"1" * 5_000_000, 2: b"2" * 5_000_000, 3: b"3"}
        parts = [
            {"PartNumber": n, "ETag": s3.upload_part(**which, PartNumber=n, Body=body)["ETag"]}
            for n, body in bodies.items()
        ]
        equal([p["PartNumber"] for p in s3.list_parts(**which)["Parts"]], [1, 2, 3])
        check(upload in [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=name)["Uploads"]], "it is listed")
        s3.complete_multipart_upload(**which, MultipartUpload={"Parts": parts})
        equal(read(name, "large"), b"".join(bodies.values()))


@case
def multipart_uploads_are_aborted():
    with bucket() as name:
        upload = s3.create_multipart_upload(Bucket=name, Key="large")["UploadId"]
        which = {"Bucket": name, "Key": "large", "UploadId": upload}
        s3.upload_part(**which, PartNumber=1, Body=b"1")
        s3.abort_multipart_upload(**which)
        equal(keys(name), [])
        equal(code(raises(ClientError, s3.list_parts, **which)), 404)


@case
def what_is_missing_is_told_by_its_code():
    with bucket() as name:
        error = raises(ClientError, s3.get_object, Bucket=name, Key="missing")
        equal((code(error), error.response["Error"]["Code"]), (404, "NoSuchKey"))
    error = raises(ClientError, s3.list_objects_v2, Bucket=name)
    equal((code(error), error.response["Error"]["Code"]), (404, "NoSuchBucket"))


main()
