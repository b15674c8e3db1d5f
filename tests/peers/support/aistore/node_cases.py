"""What the nodes of a cluster tell of themselves, and what a cluster lacks."""

from aistore.sdk.errors import AISError
from cases import case, check, equal, raises
from sdk import VERSION, buckets, client, needs


@case
def counts_what_it_does():
    needs((1, 9), "model of what a cluster of today counts")
    with buckets(a=b"12345"):
        performance = client().cluster().get_performance()
        equal(set(performance), set(client().cluster().get_info().tmap), "targets")


@case
def gives_logs():
    needs((1, 25), "logs")
    cluster = client().cluster()
    node = next(iter(cluster.get_info().tmap))
    check(isinstance(cluster.get_node_log(node), str), "a log")
    check(cluster.get_node_log_archive(node)[:2] == b"\x1f\x8b", "an archive of logs")
    equal(set(cluster.get_cluster_logs()), set(cluster.get_info().tmap), "targets with logs")


@case
def without_kubernetes_has_no_etls():
    cluster = client().cluster()
    error = raises(AISError, cluster.list_etls if VERSION >= (1, 25) else cluster.list_running_etls)
    check(error.status_code in (400, 501), f"it says that it has none, not {error.status_code}")
