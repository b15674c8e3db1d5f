"""requests_small.py BUCKET_URL OBJECTS REQUESTS THREADS: small objects, one session for each thread."""
import sys
from concurrent.futures import ThreadPoolExecutor

import requests

base, objects, count, threads = sys.argv[1], *map(int, sys.argv[2:])


def work(first):
    with requests.Session() as session:
        for number in range(first, count, threads):
            number %= objects
            answer = session.get(f"{base}/d{number // 100:04}/f{number:06}", timeout=60)
            answer.raise_for_status()
            if len(answer.content) != 4096:
                raise RuntimeError(f"object {number} has {len(answer.content)} bytes")


with ThreadPoolExecutor(threads) as pool:
    list(pool.map(work, range(threads)))
