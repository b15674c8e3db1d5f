"""requests_get.py URL FILE: download with requests, read 32 KiB at a time."""
import sys

import requests

url, path = sys.argv[1:]
with requests.get(url, stream=True, timeout=60) as answer, open(path, "wb") as file:
    answer.raise_for_status()
    for chunk in answer.iter_content(32768):
        file.write(chunk)
