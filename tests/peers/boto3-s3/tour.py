"""boto3 as it comes, with its signatures and checksums, on the embedded S3 endpoint."""

import contextlib
import io
import itertools
import json
import os
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import ClientError
from cases import case, check, equal, main, raises, server

WHERE = json.loads(server("s3"))


def client(secret=WHERE["secret_key"], **config):
    return boto3.client(
        "s3",
        endpoint_url=WHERE["url"],
        region_name="us-east-1",
        aws_access_key_id=WHERE["access_key"],
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
    )


s3 = client()
_names = (f"boto-{os.getpid()}-{number}" for number in itertools.count(1))


@contextlib.contextmanager
def bucket(**content):
    """A new bucket that holds `content`, by key; removed in the end with what it holds then."""
    name = next(_names)
    s3.create_bucket(Bucket=name)
    try:
        for key, data in content.items():
            s3.put_object(Bucket=name, Key=key, Body=data)
        yield name
    finally:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for entry in page.get("Contents", []):
                s3.delete_object(Bucket=name, Key=entry["Key"])
        s3.delete_bucket(Bucket=name)


def read(name, key, **options):
    return s3.get_object(Bucket=name, Key=key, **options)["Body"].read()


def keys(name, **options):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=name, **options).get("Contents", [])]


def told(error):
    return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


@case
def buckets_are_made_listed_and_removed():
    with bucket() as name:
        check(name in [b["Name"] for b in s3.list_buckets()["Buckets"]], "it is listed")
        s3.head_bucket(Bucket=name)
    equal(told(raises(ClientError, s3.head_bucket, Bucket=name))[0], 404)


@case
def a_bucket_that_holds_something_is_kept():
    with bucket(a=b"1") as name:
        equal(told(raises(ClientError, s3.delete_bucket, Bucket=name)), (409, "BucketNotEmpty"))
        equal(keys(name), ["a"])


@case
def objects_are_written_read_and_removed():
    with bucket() as name:
        for key in ("dir/a b", "ü/ñ", "a+b%20c", "//double", "end/"):
            for content in (b"", b"short", bytes(range(256)) * 4096):
                s3.put_object(Bucket=name, Key=key, Body=content)
                equal(read(name, key), content)
                equal(s3.head_object(Bucket=name, Key=key)["ContentLength"], len(content))
            s3.delete_object(Bucket=name, Key=key)
            equal(told(raises(ClientError, s3.get_object, Bucket=name, Key=key)), (404, "NoSuchKey"))


@case
def attributes_are_kept():
    with bucket() as name:
        own = {"ContentType": "text/x", "CacheControl": "no-cache", "Metadata": {"colour": "red"}}
        s3.put_object(Bucket=name, Key="a", Body=b"1", **own)
        head = s3.head_object(Bucket=name, Key="a")
        # Metadata travels in headers, whose names have no case; boto3 shows them as the server wrote them.
        metadata = {name.lower(): value for name, value in head["Metadata"].items()}
        equal((head["ContentType"], head["CacheControl"], metadata), ("text/x", "no-cache", {"colour": "red"}))


@case
def ranges_are_read():
    with bucket(a=b"0123456789") as name:
        equal(read(name, "a", Range="bytes=2-4"), b"234")
        equal(read(name, "a", Range="bytes=-3"), b"789")
        equal(told(raises(ClientError, read, name, "a", Range="bytes=10-")), (416, "InvalidRange"))


@case
def conditions_hold():
    with bucket(a=b"1") as name:
        tag = s3.head_object(Bucket=name, Key="a")["ETag"]
        equal(read(name, "a", IfMatch=tag), b"1")
        equal(told(raises(ClientError, read, name, "a", IfMatch='"other"'))[0], 412)
        equal(told(raises(ClientError, s3.put_object, Bucket=name, Key="a", Body=b"2", IfNoneMatch="*"))[0], 412)
        equal(read(name, "a"), b"1")


@case
def listings_have_prefixes_and_pages():
    files = {"a": b"1", "dir/b": b"2", "dir/c": b"3", "e": b"4"}
    with bucket(**files) as name:
        equal(keys(name), sorted(files))
        equal(keys(name, Prefix="dir/"), ["dir/b", "dir/c"])
        level = s3.list_objects_v2(Bucket=name, Delimiter="/")
        equal([p["Prefix"] for p in level["CommonPrefixes"]], ["dir/"])
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=name, PaginationConfig={"PageSize": 3}))
        equal([len(page["Contents"]) for page in pages], [3, 1])
        equal([entry["Key"] for page in pages for entry in page["Contents"]], sorted(files))


@case
def objects_are_copied():
    with bucket(**{"a b": b"content"}) as name:
        s3.copy_object(Bucket=name, Key="b", CopySource={"Bucket": name, "Key": "a b"})
        equal(read(name, "b"), b"content")


@case
def many_objects_are_removed_at_once():
    with bucket(a=b"1", b=b"2", c=b"3") as name:
        s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
        equal(keys(name), ["c"])


@case
def large_files_go_in_parts_both_ways():
    content = bytes(range(256)) * (12 << 12)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    with bucket() as name:
        s3.upload_fileobj(io.BytesIO(content), name, "large", Config=config)
        check(s3.head_object(Bucket=name, Key="large")["ETag"].endswith('-3"'), "it was sent in three parts")
        back = io.BytesIO()
        s3.download_fileobj(name, "large", back, Config=config)
        check(back.getvalue() == content, "it came back as it went")


@case
def multipart_uploads_are_listed_and_aborted():
    with bucket() as name:
        upload = s3.create_multipart_upload(Bucket=name, Key="large")["UploadId"]
        which = {"Bucket": name, "Key": "large", "UploadId": upload}
        s3.upload_part(**which, PartNumber=1, Body=b"1")
        equal([p["PartNumber"] for p in s3.list_parts(**which)["Parts"]], [1])
        check(upload in [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=name)["Uploads"]], "it is listed")
        s3.abort_multipart_upload(**which)
        equal(keys(name), [])
        equal(told(raises(ClientError, s3.list_parts, **which)), (404, "NoSuchUpload"))


@case
def signed_urls_let_in_who_has_no_key():
    with bucket() as name:
        signer = client(signature_version="s3v4")
        where = {"Bucket": name, "Key": "dir/a b"}
        put = urllib.request.Request(signer.generate_presigned_url("put_object", where), data=b"by url", method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        # Without a type of its own, which is not part of the signature.
        put.add_header("Content-Type", "")
        opener.open(put).read()
        equal(opener.open(signer.generate_presigned_url("get_object", where)).read(), b"by url")


@case
def wrong_keys_are_refused():
    with bucket(a=b"1") as name:
        wrong = client(secret="wrong")
        equal(told(raises(ClientError, wrong.get_object, Bucket=name, Key="a")), (403, "SignatureDoesNotMatch"))


main()
