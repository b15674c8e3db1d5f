"""AIStore's Python SDK against the dev server."""

from cases import case, equal, main
from sdk import client, put, read


@case
def a_bucket_is_made_and_removed():
    bucket = client().bucket("first")
    bucket.create()
    put(bucket.object("a"), b"hello")
    equal(read(bucket.object("a")), b"hello")
    bucket.delete()


main()
