"""Archives made by the cluster, of objects that it has."""

from aistore.sdk.errors import AISError
from cases import case, equal, eventually
from sdk import buckets, read, unpacked


@case
def are_made_of_objects():
    with buckets(2, a=b"1", b=b"22", c=b"333") as (source, target):
        source.objects(obj_names=["a", "b"]).archive("made.tar", to_bck=target)
        found = wait_for_archive(target, "made.tar", {"a", "b"})
        equal(found, {"a": b"1", "b": b"22"})
        source.objects(obj_names=["c"]).archive("made.tar", to_bck=target, allow_append=True)
        equal(wait_for_archive(target, "made.tar", {"a", "b", "c"})["c"], b"333")


@case
def are_made_with_the_buckets_name_inside():
    with buckets(a=b"1") as bucket:
        bucket.objects(obj_names=["a"]).archive("named.tar", include_source_name=True)
        equal(wait_for_archive(bucket, "named.tar", {f"{bucket.name}/a"}), {f"{bucket.name}/a": b"1"})


def wait_for_archive(bucket, name, members):
    """The content of an archive once it holds these members."""
    def complete():
        try:
            found = unpacked(read(bucket.object(name)))
        except AISError:
            return None
        return found if set(found) == members else None

    return eventually(complete, f"{name} with {sorted(members)}")
