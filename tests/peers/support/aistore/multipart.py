"""`MultipartUpload`."""

from cases import case, equal
from sdk import buckets, names, needs, read, refused

PART = bytes(range(256)) * 512


def upload(bucket, name="large"):
    needs((1, 25), "multipart uploads")
    return bucket.object(name).multipart_upload().create()


@case
def uploads_become_visible_when_complete():
    with buckets() as bucket:
        parts = upload(bucket)
        for number in (1, 2, 3):
            parts.add_part(number).put_content(PART + bytes([number]))
        equal(names(bucket), [])
        parts.complete()
        equal(read(bucket.object("large")), PART + b"\1" + PART + b"\2" + PART + b"\3")


@case
def uploads_take_parts_in_any_order():
    with buckets() as bucket:
        parts = upload(bucket)
        for number in (3, 1, 2):
            parts.add_part(number).put_content(bytes([number]) * 10)
        parts.complete()
        equal(read(bucket.object("large")), b"\1" * 10 + b"\2" * 10 + b"\3" * 10)


@case
def uploads_that_are_aborted_leave_nothing():
    with buckets() as bucket:
        parts = upload(bucket)
        parts.add_part(1).put_content(PART)
        parts.abort()
        equal(names(bucket), [])
        refused(404, read, bucket.object("large"))


@case
def uploads_replace_what_was_there():
    with buckets(large=b"old") as bucket:
        parts = upload(bucket)
        parts.add_part(1).put_content(b"new")
        equal(read(bucket.object("large")), b"old")
        parts.complete()
        equal(read(bucket.object("large")), b"new")
