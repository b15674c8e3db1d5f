"""The SDK under test, and what its versions call differently."""

import aistore
from aistore.sdk import Client
from cases import server

VERSION = tuple(int(part) for part in aistore.__version__.split(".")[:2])
# From here on reading and writing are done by objects of their own.
HAS_READERS = VERSION >= (1, 9)


def client():
    """A client of the dev server."""
    return Client(server("aistore"))


def put(thing, content):
    """Writes a whole object."""
    return thing.get_writer().put_content(content) if HAS_READERS else thing.put_content(content)


def read(thing, **options):
    """Reads a whole object."""
    reader = thing.get_reader(**options) if HAS_READERS else thing.get(**options)
    return reader.read_all()
