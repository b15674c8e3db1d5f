"""`Batch`: many objects and members of archives in one request."""

from cases import case, equal, raises
from sdk import buckets, client, needs, put, shard

FILES = {"a": b"one", "b": b"two", "c": b"three"}


def batch(bucket, *names, **options):
    needs((1, 25), "batches")
    return client().batch(list(names) or None, bucket=bucket, **options)


def contents(batch, **options):
    return [bytes(content) for _, content in batch.get(**options)]


@case
def give_objects_in_order():
    with buckets(**FILES) as bucket:
        equal(contents(batch(bucket, "c", "a", "b")), [b"three", b"one", b"two"])


@case
def tell_sizes_and_names_when_not_streaming():
    with buckets(**FILES) as bucket:
        found = [(info.obj_name, info.size) for info, _ in batch(bucket, "a", "c", streaming_get=False).get()]
        equal(found, [("a", 3), ("c", 5)])


@case
def go_on_without_what_is_missing():
    with buckets(**FILES) as bucket:
        asked = batch(bucket, "a", "missing", "b", cont_on_err=True, streaming_get=False)
        found = [(info.obj_name, bytes(content)) for info, content in asked.get()]
        equal([content for _, content in found if content], [b"one", b"two"])


@case
def come_as_any_archive():
    with buckets(**FILES) as bucket:
        for kind in (".tar", ".tgz", ".zip"):
            equal(contents(batch(bucket, "b", "a", output_format=kind)), [b"two", b"one"], kind)


@case
def take_members_of_archives():
    with buckets(**FILES) as bucket:
        put(bucket.object("shard.tar"), shard("tar", {"x": b"inside", "y": b"too"}))
        asked = batch(bucket, "a")
        asked.add("shard.tar", archpath="y")
        equal(contents(asked), [b"one", b"too"])


@case
def carry_what_the_caller_attaches():
    with buckets(**FILES) as bucket:
        asked = batch(bucket, streaming_get=False)
        asked.add("a", opaque=b"\x00mine")
        equal([info.opaque for info, _ in asked.get()], [b"\x00mine"])


@case
def without_objects_are_refused():
    with buckets() as bucket:
        raises(ValueError, batch(bucket).get)
