"""boto3 as it comes, with its signatures and checksums, on the embedded S3 endpoint."""

import io
import json
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import ClientError
from buckets import S3, told
from cases import case, check, equal, main, raises, server

WHERE = json.loads(server("s3"))


def connect(secret=WHERE["secret_key"], **config):
    return boto3.client(
        "s3",
        endpoint_url=WHERE["url"],
        region_name="us-east-1",
        aws_access_key_id=WHERE["access_key"],
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
    )


client = connect()
s3 = S3(client, "boto")
s3.common_cases(no_upload="NoSuchUpload")


@case
def a_bucket_that_holds_something_is_kept():
    with s3.bucket(a=b"1") as name:
        equal(told(raises(ClientError, client.delete_bucket, Bucket=name)), (409, "BucketNotEmpty"))
        equal(s3.keys(name), ["a"])


@case
def objects_are_written_read_and_removed():
    with s3.bucket() as name:
        for key in ("dir/a b", "ü/ñ", "a+b%20c", "//double", "end/"):
            for content in (b"", b"short", bytes(range(256)) * 4096):
                client.put_object(Bucket=name, Key=key, Body=content)
                equal(s3.read(name, key), content)
                equal(client.head_object(Bucket=name, Key=key)["ContentLength"], len(content))
            client.delete_object(Bucket=name, Key=key)
            equal(told(raises(ClientError, client.get_object, Bucket=name, Key=key)), (404, "NoSuchKey"))


@case
def attributes_are_kept():
    with s3.bucket() as name:
        own = {"ContentType": "text/x", "CacheControl": "no-cache", "Metadata": {"colour": "red"}}
        client.put_object(Bucket=name, Key="a", Body=b"1", **own)
        head = client.head_object(Bucket=name, Key="a")
        # Metadata travels in headers, whose names have no case; boto3 shows them as the server wrote them.
        metadata = {name.lower(): value for name, value in head["Metadata"].items()}
        equal((head["ContentType"], head["CacheControl"], metadata), ("text/x", "no-cache", {"colour": "red"}))


@case
def ranges_behind_the_end_are_refused():
    with s3.bucket(a=b"0123456789") as name:
        equal(told(raises(ClientError, s3.read, name, "a", Range="bytes=10-")), (416, "InvalidRange"))


@case
def conditions_hold():
    with s3.bucket(a=b"1") as name:
        tag = client.head_object(Bucket=name, Key="a")["ETag"]
        equal(s3.read(name, "a", IfMatch=tag), b"1")
        equal(told(raises(ClientError, s3.read, name, "a", IfMatch='"other"'))[0], 412)
        equal(told(raises(ClientError, client.put_object, Bucket=name, Key="a", Body=b"2", IfNoneMatch="*"))[0], 412)
        equal(s3.read(name, "a"), b"1")


@case
def listings_have_levels_and_pages_of_a_size():
    files = {"a": b"1", "dir/b": b"2", "dir/c": b"3", "e": b"4"}
    with s3.bucket(**files) as name:
        level = client.list_objects_v2(Bucket=name, Delimiter="/")
        equal([p["Prefix"] for p in level["CommonPrefixes"]], ["dir/"])
        pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=name, PaginationConfig={"PageSize": 3}))
        equal([len(page["Contents"]) for page in pages], [3, 1])


@case
def large_files_go_in_parts_both_ways():
    content = bytes(range(256)) * (12 << 12)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    with s3.bucket() as name:
        client.upload_fileobj(io.BytesIO(content), name, "large", Config=config)
        check(client.head_object(Bucket=name, Key="large")["ETag"].endswith('-3"'), "it was sent in three parts")
        back = io.BytesIO()
        client.download_fileobj(name, "large", back, Config=config)
        check(back.getvalue() == content, "it came back as it went")


@case
def signed_urls_let_in_who_has_no_key():
    with s3.bucket() as name:
        signer = connect(signature_version="s3v4")
        where = {"Bucket": name, "Key": "dir/a b"}
        put = urllib.request.Request(signer.generate_presigned_url("put_object", where), data=b"by url", method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        # Without a type of its own, which is not part of the signature.
        put.add_header("Content-Type", "")
        opener.open(put).read()
        equal(opener.open(signer.generate_presigned_url("get_object", where)).read(), b"by url")


@case
def wrong_keys_are_refused():
    with s3.bucket(a=b"1") as name:
        wrong = connect(secret="wrong")
        equal(told(raises(ClientError, wrong.get_object, Bucket=name, Key="a")), (403, "SignatureDoesNotMatch"))


main()
