"""What the tours with boto3 share: buckets that are removed in the end, and what every endpoint with the API of S3 does.

    from buckets import S3, told

    s3 = S3(boto3.client("s3", ...), "tour")
    s3.common_cases(no_upload="NoSuchUpload")

    @case
    def something_more():
        with s3.bucket(a=b"1") as name:
            ...
"""

import contextlib
import itertools
import os

from botocore.exceptions import ClientError
from cases import case, check, equal, raises


def told(error):
    """Status and code of a refusal."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


class S3:
    """An endpoint."""

    def __init__(self, client, prefix):
        self.client = client
        self._names = (f"{prefix}-{os.getpid()}-{number}" for number in itertools.count(1))

    @contextlib.contextmanager
    def bucket(self, **content):
        """A new bucket that holds `content`, by key; removed in the end with what it holds then."""
        name = next(self._names)
        self.client.create_bucket(Bucket=name)
        try:
            for key, data in content.items():
                self.client.put_object(Bucket=name, Key=key, Body=data)
            yield name
        finally:
            for key in self.keys(name):
                self.client.delete_object(Bucket=name, Key=key)
            self.client.delete_bucket(Bucket=name)

    def read(self, name, key, **options):
        return self.client.get_object(Bucket=name, Key=key, **options)["Body"].read()

    def keys(self, name, **options):
        """All keys of a bucket, page by page."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=name, **options)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def common_cases(self, no_upload):
        """Makes cases of what holds at every endpoint; `no_upload` is its code for an upload that is gone."""
        client = self.client

        @case
        def buckets_are_made_listed_and_removed():
            with self.bucket() as name:
                check(name in [b["Name"] for b in client.list_buckets()["Buckets"]], "it is listed")
                client.head_bucket(Bucket=name)
            equal(told(raises(ClientError, client.head_bucket, Bucket=name))[0], 404)

        @case
        def ranges_are_read():
            with self.bucket(a=b"0123456789") as name:
                equal(self.read(name, "a", Range="bytes=2-4"), b"234")
                equal(self.read(name, "a", Range="bytes=-3"), b"789")

        @case
        def listings_have_prefixes_and_pages():
            files = {"a": b"1", "dir/b": b"2", "dir/c": b"3", "e": b"4"}
            with self.bucket(**files) as name:
                equal(self.keys(name), sorted(files))
                equal(self.keys(name, Prefix="dir/"), ["dir/b", "dir/c"])
                # How many keys a page then has is up to the endpoint.
                equal(self.keys(name, PaginationConfig={"PageSize": 3}), sorted(files))

        @case
        def objects_are_copied():
            with self.bucket(**{"a b": b"content"}) as name:
                client.copy_object(Bucket=name, Key="b", CopySource={"Bucket": name, "Key": "a b"})
                equal(self.read(name, "b"), b"content")

        @case
        def many_objects_are_removed_at_once():
            with self.bucket(a=b"1", b=b"2", c=b"3") as name:
                client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
                equal(self.keys(name), ["c"])

        @case
        def multipart_uploads_are_listed_and_aborted():
            with self.bucket() as name:
                upload = client.create_multipart_upload(Bucket=name, Key="large")["UploadId"]
                which = {"Bucket": name, "Key": "large", "UploadId": upload}
                client.upload_part(**which, PartNumber=1, Body=b"1")
                equal([p["PartNumber"] for p in client.list_parts(**which)["Parts"]], [1])
                uploads = client.list_multipart_uploads(Bucket=name)["Uploads"]
                check(upload in [u["UploadId"] for u in uploads], "it is listed")
                client.abort_multipart_upload(**which)
                equal(self.keys(name), [])
                equal(told(raises(ClientError, client.list_parts, **which)), (404, no_upload))
