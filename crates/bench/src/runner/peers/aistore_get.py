"""aistore_get.py ENDPOINT BUCKET KEY FILE: download with AIStore's own SDK, its reader's default way."""
import sys

from aistore.sdk import Client

endpoint, bucket, key, path = sys.argv[1:]
reader = Client(endpoint).bucket(bucket).object(key).get_reader()
with open(path, "wb") as file:
    for chunk in reader:
        file.write(chunk)
