"""boto3, patched as AIStore's own package does, on the S3 endpoint `/s3`."""

import boto3
from aistore.botocore_patch import botocore  # noqa: F401  (lets botocore follow redirects to targets)
from botocore.client import Config
from botocore.exceptions import ClientError
from buckets import S3, told
from cases import case, equal, main, raises, server

# Before another checksum is agreed on, the classic form of a request: plain bodies, no trailing checksums.
CONFIG = Config(
    retries={"max_attempts": 0},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
client = boto3.client(
    "s3",
    endpoint_url=server("aistore") + "/s3",
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
    config=CONFIG,
)
s3 = S3(client, "tour")
s3.common_cases(no_upload="ErrNotFound")


@case
def objects_are_written_read_and_removed():
    with s3.bucket() as name:
        for content in (b"", b"short", bytes(range(256)) * 4096):
            client.put_object(Bucket=name, Key="dir/a b", Body=content)
            equal(s3.read(name, "dir/a b"), content)
            equal(client.head_object(Bucket=name, Key="dir/a b")["ContentLength"], len(content))
        client.delete_object(Bucket=name, Key="dir/a b")
        error = raises(ClientError, client.get_object, Bucket=name, Key="dir/a b")
        equal(told(error), (404, "NoSuchKey"))


@case
def multipart_uploads_are_completed():
    with s3.bucket() as name:
        upload = client.create_multipart_upload(Bucket=name, Key="large")["UploadId"]
        which = {"Bucket": name, "Key": "large", "UploadId": upload}
        bodies = {1: b"1" * 5_000_000, 2: b"2" * 5_000_000, 3: b"3"}
        parts = [
            {"PartNumber": n, "ETag": client.upload_part(**which, PartNumber=n, Body=body)["ETag"]}
            for n, body in bodies.items()
        ]
        equal([p["PartNumber"] for p in client.list_parts(**which)["Parts"]], [1, 2, 3])
        client.complete_multipart_upload(**which, MultipartUpload={"Parts": parts})
        equal(s3.read(name, "large"), b"".join(bodies.values()))


@case
def what_is_missing_is_told_by_its_code():
    with s3.bucket() as name:
        error = raises(ClientError, client.get_object, Bucket=name, Key="missing")
        equal(told(error), (404, "NoSuchKey"))
    error = raises(ClientError, client.list_objects_v2, Bucket=name)
    equal(told(error), (404, "NoSuchBucket"))


main()
