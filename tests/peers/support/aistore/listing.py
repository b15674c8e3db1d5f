"""Listings: prefixes, pages, properties, flags."""

from aistore.sdk.list_object_flag import ListObjectFlag as Flag
from cases import case, check, equal
from sdk import buckets, client, names, needs, put

FILES = {"a": b"1", "dir/b": b"22", "dir/c": b"333", "dir/sub/d": b"4444", "e": b"5"}


@case
def is_sorted_and_complete():
    with buckets(**FILES) as bucket:
        equal(names(bucket), sorted(FILES))
        equal(names(bucket, prefix="dir/"), ["dir/b", "dir/c", "dir/sub/d"])
        equal(names(bucket, prefix="nothing"), [])


@case
def comes_in_pages():
    with buckets(**FILES) as bucket:
        page = bucket.list_objects(page_size=2)
        equal([entry.name for entry in page.entries], ["a", "dir/b"])
        check(page.continuation_token, "there is more")
        seen, pages = [entry.name for entry in page.entries], 1
        while page.continuation_token:
            page = bucket.list_objects(
                page_size=2, uuid=page.uuid, continuation_token=page.continuation_token
            )
            seen += [entry.name for entry in page.entries]
            pages += 1
        equal((seen, pages), (sorted(FILES), 3))
        equal(names(bucket, page_size=2), sorted(FILES))
        equal([entry.name for entry in bucket.list_objects_iter(page_size=1)], sorted(FILES))


@case
def of_one_level_shows_folders():
    needs((1, 9), "flag NO_RECURSION")
    with buckets(**FILES) as bucket:
        found = names(bucket, flags=[Flag.NO_RECURSION])
        equal(sorted(name.rstrip("/") for name in found), ["a", "dir", "e"])
        found = names(bucket, prefix="dir/", flags=[Flag.NO_RECURSION])
        check({"dir/b", "dir/c"} <= set(found), f"files in {found}")


@case
def gives_names_only():
    with buckets(**FILES) as bucket:
        entries = bucket.list_objects(flags=[Flag.NAME_ONLY]).entries
        equal([(entry.name, int(entry.size or 0)) for entry in entries][:2], [("a", 0), ("dir/b", 0)])


@case
def gives_names_and_sizes():
    with buckets(**FILES) as bucket:
        entries = bucket.list_objects(flags=[Flag.NAME_SIZE]).entries
        equal({entry.name: int(entry.size) for entry in entries}, {n: len(c) for n, c in FILES.items()})


@case
def of_much_is_complete():
    with buckets() as bucket:
        for number in range(250):
            put(bucket.object(f"{number:03}"), b"")
        equal(names(bucket), [f"{number:03}" for number in range(250)])
        equal(len(names(bucket, page_size=99)), 250)


@case
def can_start_after_a_name():
    needs((2, 0), "start_after")
    with buckets(**FILES) as bucket:
        equal(names(bucket, start_after="dir/b"), ["dir/c", "dir/sub/d", "e"])


@case
def asks_for_one_targets_objects():
    with buckets(**FILES) as bucket:
        targets = client().cluster().get_info().tmap
        equal(len(targets), 2, "targets")
        for target in targets:
            names(bucket, target=target)
