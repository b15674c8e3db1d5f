"""Archives: members of shards, listings of their content."""

from aistore.sdk.archive_config import ArchiveConfig, ArchiveMode
from aistore.sdk.list_object_flag import ListObjectFlag as Flag
from cases import case, equal
from sdk import buckets, names, needs, put, read, refused, shard, unpacked

FILES = {"img/1.jpg": b"one", "img/1.txt": b"cat", "img/2.jpg": b"two", "notes.txt": b"three"}
KINDS = ("tar", "tgz", "tar.gz", "zip")


@case
def give_single_members():
    with buckets() as bucket:
        for kind in KINDS:
            thing = bucket.object(f"shard.{kind}")
            put(thing, shard(kind, FILES))
            for name, content in FILES.items():
                equal(read(thing, archive_config=ArchiveConfig(archpath=name)), content, f"{kind} {name}")
            refused(404, read, thing, archive_config=ArchiveConfig(archpath="nothing"))


@case
def give_many_members_by_pattern():
    with buckets() as bucket:
        thing = bucket.object("shard.tar")
        put(thing, shard("tar", FILES))
        for mode, regex, expected in (
            (ArchiveMode.REGEXP, r".*\.jpg", {"img/1.jpg", "img/2.jpg"}),
            (ArchiveMode.PREFIX, "img/", {"img/1.jpg", "img/1.txt", "img/2.jpg"}),
            (ArchiveMode.SUFFIX, ".txt", {"img/1.txt", "notes.txt"}),
            (ArchiveMode.SUBSTR, "2", {"img/2.jpg"}),
            (ArchiveMode.WDSKEY, "img/1", {"img/1.jpg", "img/1.txt"}),
        ):
            found = unpacked(read(thing, archive_config=ArchiveConfig(regex=regex, mode=mode)))
            equal({name.removeprefix("shard.tar/") for name in found}, expected, mode.value)


@case
def are_listed_with_their_members():
    with buckets() as bucket:
        for kind in KINDS:
            put(bucket.object(f"shard.{kind}"), shard(kind, FILES))
            expected = [f"shard.{kind}"] + [f"shard.{kind}/{name}" for name in sorted(FILES)]
            equal(sorted(names(bucket, prefix=f"shard.{kind}", flags=[Flag.ARCH_DIR])), expected, kind)


@case
def are_listed_by_name():
    needs((1, 25), "list_archive")
    with buckets() as bucket:
        put(bucket.object("shard.tar"), shard("tar", FILES))
        entries = [entry.name for entry in bucket.list_archive("shard.tar")]
        equal(sorted(entries), [f"shard.tar/{name}" for name in sorted(FILES)])
