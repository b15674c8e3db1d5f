"""The service, the cluster, and what the cases make on them."""

import itertools
import os

from aistore.sdk import Client
from aistore.sdk.authn import AuthNClient
from aistore.sdk.authn.access_attr import AccessAttr
from aistore.sdk.authn.errors import AuthNError
from aistore.sdk.errors import AISError
from cases import equal, server

AISTORE = server("aistore")
AUTHN = server("authn")
ADMIN = (server("admin-name", "admin"), server("admin-password", "admin"))
PASSWORD = "a-good-passw0rd"
# A role of its own: `ADMIN` and the rest in one number.
EVERYTHING = list(AccessAttr)

_names = (f"tour-{os.getpid()}-{number}" for number in itertools.count(1))
_made = {"users": [], "roles": [], "buckets": []}


def anonymous():
    return AuthNClient(AUTHN)


def log_in(name, password, **options):
    """A client of the service with a token of its own, and the token."""
    client = anonymous()
    return client, client.login(name, password, **options)


def cluster(token=None):
    """A client of the guarded cluster."""
    return Client(AISTORE, token=token)


admin, ADMIN_TOKEN = log_in(*ADMIN)
as_admin = cluster(ADMIN_TOKEN)


def new_name():
    return next(_names)


def cluster_alias():
    """The alias under which the service knows the cluster; registers it if nobody has."""
    uuid = as_admin.cluster().get_uuid()
    known = admin.cluster_manager().list().clusters
    if uuid in known:
        return known[uuid].alias or uuid
    return admin.cluster_manager().register("tour-cluster", [AISTORE]).alias


def new_role(permissions, bucket=None):
    """A role with these permissions on the cluster, or on one of its buckets."""
    name = new_name()
    _made["roles"].append(name)
    admin.role_manager().create(
        name=name, desc="made by a tour", cluster_alias=cluster_alias(), perms=permissions, bucket_name=bucket
    )
    return name


def new_user(roles):
    name = new_name()
    _made["users"].append(name)
    admin.user_manager().create(username=name, roles=roles, password=PASSWORD)
    return name


def token_with(permissions, bucket=None):
    """A token that allows just this."""
    return log_in(new_user([new_role(permissions, bucket)]), PASSWORD)[1]


def new_bucket():
    bucket = as_admin.bucket(new_name())
    bucket.create()
    _made["buckets"].append(bucket.name)
    return bucket


def will_be_made(bucket):
    """Remembers the name of a bucket that a case makes."""
    _made["buckets"].append(bucket)


def refused(status, call, *args, **kwargs):
    """Calls, and fails unless the answer is this status. Returns the error."""
    try:
        answer = call(*args, **kwargs)
    except (AISError, AuthNError) as error:
        equal(error.status_code, status, "status")
        return error
    raise AssertionError(f"expected status {status}, got {answer!r}")


def clean_up():
    """Removes whatever the cases have made; the server may be somebody's."""
    for name in _made["users"]:
        admin.user_manager().delete(name, missing_ok=True)
    for name in _made["roles"]:
        admin.role_manager().delete(name, missing_ok=True)
    for name in _made["buckets"]:
        as_admin.bucket(name).delete(missing_ok=True)
