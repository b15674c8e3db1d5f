"""The access matrix: for each operation, each bit alone, all bits but the needed ones, and just those.

Every operation is tried with tokens whose only permission, on the whole cluster, is one bit. It must pass with the
bit it needs and be refused, with status 403, with any other.
"""

from functools import cache

from aistore.sdk.authn.access_attr import AccessAttr as Bit
from cases import case, equal, folder
from world import as_admin, cluster, new_bucket, new_name, refused, token_with, will_be_made

_OBJECT_RW = [Bit.GET, Bit.OBJ_HEAD, Bit.BCK_HEAD, Bit.OBJ_LIST, Bit.PUT, Bit.APPEND, Bit.OBJ_DELETE, Bit.OBJ_MOVE]


@cache
def shared():
    """A bucket that no case removes, with an object."""
    bucket = new_bucket()
    bucket.object("there").get_writer().put_content(b"content")
    return bucket


@cache
def alone(bits):
    """A client whose token allows just these bits."""
    return cluster(token_with(list(bits)))


def request(client, method, path, bucket, **options):
    """What the SDK has no method for."""
    return client.bucket(bucket.name).client.request(method, path=path, params=bucket.qparam, **options)


def operation(*needed):
    """Makes a function a case: called with a client, and what its preparation gave."""

    def register(function):
        def run():
            tries = [((bit,), bit in needed and len(needed) == 1) for bit in Bit if bit.value.bit_count() == 1]
            rest = tuple(bit for bit in Bit if bit.value.bit_count() == 1 and bit not in needed)
            # An administrator may do everything.
            tries.append((tuple(bit for bit in rest if bit != Bit.ADMIN), False))
            if len(needed) > 1:
                tries.append((needed, True))
                tries.extend((tuple(bit for bit in needed if bit != missing), False) for missing in needed)
            for bits, allowed in tries:
                attempt(function, bits, allowed)

        run.__name__ = function.__name__
        run.__module__ = function.__module__
        case(run)
        return function

    return register


def attempt(function, bits, allowed):
    call = function()
    with_bits = "+".join(bit.name for bit in bits)
    try:
        if allowed:
            call(alone(bits))
        else:
            refused(403, call, alone(bits))
    except Exception as error:
        raise AssertionError(f"{'allowed' if allowed else 'refused'} with {with_bits}: {error}") from error


@operation(Bit.GET)
def reading_an_object():
    bucket = shared()
    return lambda client: equal(client.bucket(bucket.name).object("there").get_reader().read_all(), b"content")


@operation(Bit.OBJ_HEAD)
def asking_about_an_object():
    bucket = shared()
    return lambda client: client.bucket(bucket.name).object("there").head()


@operation(Bit.PUT)
def writing_an_object():
    bucket = shared()
    return lambda client: client.bucket(bucket.name).object("written").get_writer().put_content(b"x")


@operation(Bit.APPEND)
def appending_to_an_object():
    bucket = shared()
    return lambda client: client.bucket(bucket.name).object("appended").get_writer().append_content(b"x")


@operation(Bit.OBJ_DELETE)
def removing_an_object():
    bucket = shared()
    bucket.object("removed").get_writer().put_content(b"x")
    return lambda client: client.bucket(bucket.name).object("removed").delete()


@operation(Bit.OBJ_DELETE)
def removing_many_objects():
    bucket = shared()
    return lambda client: client.bucket(bucket.name).objects(obj_names=["removed"]).delete()


@operation(Bit.OBJ_MOVE)
def renaming_an_object():
    bucket, new = shared(), new_name()
    bucket.object("moved").get_writer().put_content(b"x")
    message = {"action": "rename-obj", "name": new}
    return lambda client: request(client, "POST", f"objects/{bucket.name}/moved", bucket, json=message)


@operation(Bit.PROMOTE)
def promoting_a_file():
    bucket, file = shared(), folder() / new_name()
    file.write_bytes(b"x")
    return lambda client: client.bucket(bucket.name).object("promoted").promote(str(file))


@operation(Bit.OBJ_UPDATE)
def changing_metadata():
    bucket = shared()
    return lambda client: client.bucket(bucket.name).object("there").get_writer().set_custom_props({"a": "b"})


@operation(Bit.BCK_HEAD)
def asking_about_a_bucket():
    bucket = shared()
    return lambda client: client.bucket(bucket.name).head()


@operation(Bit.OBJ_LIST)
def listing_objects():
    bucket = shared()
    return lambda client: client.bucket(bucket.name).list_all_objects()


@operation(Bit.PATCH)
def changing_a_bucket():
    bucket = shared()
    message = {"action": "set-bprops", "value": {"mirror": {"burst_buffer": 600}}}
    return lambda client: request(client, "PATCH", f"buckets/{bucket.name}", bucket, json=message)


@operation(Bit.PATCH, Bit.BCK_SET_ACL)
def changing_a_buckets_access():
    bucket = shared()
    message = {"action": "set-bprops", "value": {"access": "18446744073709551615"}}
    return lambda client: request(client, "PATCH", f"buckets/{bucket.name}", bucket, json=message)


@operation(Bit.LIST_BUCKETS)
def listing_buckets():
    return lambda client: client.cluster().list_buckets()


@operation(Bit.SHOW_CLUSTER)
def looking_at_the_cluster():
    return lambda client: client.cluster().get_info()


@operation(Bit.SHOW_CLUSTER)
def looking_at_jobs():
    return lambda client: client.cluster().list_running_jobs()


@operation(Bit.CREATE_BUCKET)
def making_a_bucket():
    name = new_name()
    will_be_made(name)
    return lambda client: client.bucket(name).create()


@operation(Bit.DESTROY_BUCKET)
def removing_a_bucket():
    bucket = new_bucket()
    return lambda client: client.bucket(bucket.name).delete()


@operation(Bit.MOVE_BUCKET)
def renaming_a_bucket():
    bucket, new = new_bucket(), new_name()
    will_be_made(new)
    # The cluster does little else until it is done.
    return lambda client: as_admin.job(client.bucket(bucket.name).rename(new)).wait(timeout=60)


@operation(*_OBJECT_RW)
def copying_a_bucket():
    bucket, to = shared(), new_bucket()
    return lambda client: client.bucket(bucket.name).copy(client.bucket(to.name))


@operation(Bit.ADMIN)
def starting_a_job():
    return lambda client: client.job(job_kind="lru").start()


@case
def a_bucket_permission_decides_alone():
    open_bucket, other = new_bucket(), new_bucket()
    for bucket in (open_bucket, other):
        bucket.object("a").get_writer().put_content(b"x")
    client = cluster(token_with([Bit.GET], bucket=open_bucket.name))
    equal(client.bucket(open_bucket.name).object("a").get_reader().read_all(), b"x")
    refused(403, client.bucket(other.name).object("a").get_reader().read_all)
    refused(403, client.bucket(open_bucket.name).object("a").get_writer().put_content, b"y")
    refused(403, client.cluster().list_buckets)


@case
def a_refusal_names_what_is_missing():
    bucket = shared()
    client = alone((Bit.GET,))
    text = str(refused(403, client.bucket(bucket.name).object("there").get_writer().put_content, b"y"))
    equal("insufficient permissions" in text and "granted(GET)" in text, True, f"the text {text!r}")
