"""`Cluster`: the map, health, buckets."""

from cases import case, check, equal, server
from sdk import buckets, client


@case
def has_a_gateway_and_two_targets():
    smap = client().cluster().get_info()
    equal((len(smap.pmap), len(smap.tmap)), (1, 2), "gateways and targets")
    check(smap.uuid and smap.uuid == client().cluster().get_uuid(), "an id")
    equal(client().cluster().get_primary_url(), server("aistore"))


@case
def is_ready():
    check(client().cluster().is_ready(), "it is ready")


@case
def lists_buckets_by_provider():
    with buckets() as bucket:
        found = client().cluster().list_buckets()
        check(bucket.name in [b.name for b in found], "the bucket is listed")
        check(all(b.provider == "ais" for b in found), "all are AIStore's own")
