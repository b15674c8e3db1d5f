"""aistore_small.py ENDPOINT BUCKET OBJECTS REQUESTS THREADS: small objects with AIStore's own SDK."""
import sys
from concurrent.futures import ThreadPoolExecutor

from aistore.sdk import Client

endpoint, name, objects, count, threads = *sys.argv[1:3], *map(int, sys.argv[3:])


def work(first):
    bucket = Client(endpoint).bucket(name)
    for number in range(first, count, threads):
        number %= objects
        content = bucket.object(f"d{number // 100:04}/f{number:06}").get_reader().read_all()
        if len(content) != 4096:
            raise RuntimeError(f"object {number} has {len(content)} bytes")


with ThreadPoolExecutor(threads) as pool:
    list(pool.map(work, range(threads)))
