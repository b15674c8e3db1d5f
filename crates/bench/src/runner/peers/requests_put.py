"""requests_put.py FILE URL: upload with requests, straight from the file."""
import sys

import requests

path, url = sys.argv[1:]
with open(path, "rb") as file:
    requests.put(url, data=file, timeout=60).raise_for_status()
