"""`ObjectGroup`: lists, ranges and templates of objects."""

from aistore.sdk.multiobj import ObjectRange
from cases import case, eventually, equal, raises
from sdk import buckets, client, idle, names, put, read

NUMBERED = {f"shard-{number:03}.txt": str(number).encode() for number in range(10)}


def ids(answer):
    """Job ids; older SDKs give one text."""
    return answer if isinstance(answer, list) else [answer]


@case
def name_what_they_hold():
    bucket = client().bucket("any")
    equal(bucket.objects(obj_names=["a", "b"]).list_names(), ["a", "b"])
    in_range = ObjectRange("shard-", 0, 4, pad_width=3, step=2, suffix=".txt")
    expected = ["shard-000.txt", "shard-002.txt", "shard-004.txt"]
    equal(bucket.objects(obj_range=in_range).list_names(), expected)
    equal(bucket.objects(obj_template="shard-{000..004..2}.txt").list_names(), expected)
    raises(ValueError, bucket.objects, obj_names=["a"], obj_template="{1..2}")


@case
def are_removed_by_list():
    with buckets(a=b"1", b=b"2", c=b"3") as bucket:
        idle(bucket.objects(obj_names=["a", "c", "missing"]).delete())
        equal(names(bucket), ["b"])


@case
def are_removed_by_range_and_template():
    with buckets(**NUMBERED) as bucket:
        idle(bucket.objects(obj_range=ObjectRange("shard-", 0, 3, pad_width=3, suffix=".txt")).delete())
        equal(names(bucket), sorted(NUMBERED)[4:])
        idle(bucket.objects(obj_template="shard-{006..009}.txt").delete())
        equal(names(bucket), ["shard-004.txt", "shard-005.txt"])


@case
def are_copied():
    with buckets(2, **NUMBERED) as (source, target):
        for job in ids(source.objects(obj_template="shard-{002..004}.txt").copy(target, prepend="to/")):
            idle(job)
        expected = [f"to/shard-{number:03}.txt" for number in (2, 3, 4)]
        eventually(lambda: names(target) == expected, f"a copy of {expected}")
        equal(read(target.object("to/shard-003.txt")), b"3")


@case
def are_not_copied_in_a_dry_run():
    with buckets(2, a=b"1") as (source, target):
        for job in ids(source.objects(obj_names=["a"]).copy(target, dry_run=True)):
            idle(job)
        equal(names(target), [])


@case
def are_read_one_by_one():
    with buckets(a=b"1", b=b"22") as bucket:
        found = {thing.name: read(thing) for thing in bucket.objects(obj_names=["a", "b"]).list_all_objects_iter()}
        equal(found, {"a": b"1", "b": b"22"})
        urls = list(bucket.objects(obj_names=["a"]).list_urls())
        equal(len(urls), 1)


@case
def put_after_removal_is_new():
    with buckets(a=b"1") as bucket:
        idle(bucket.objects(obj_names=["a"]).delete())
        put(bucket.object("a"), b"2")
        equal(read(bucket.object("a")), b"2")
