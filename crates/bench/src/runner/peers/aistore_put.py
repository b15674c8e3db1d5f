"""aistore_put.py FILE ENDPOINT BUCKET KEY: upload with AIStore's own SDK."""
import sys

from aistore.sdk import Client

path, endpoint, bucket, key = sys.argv[1:]
Client(endpoint).bucket(bucket).object(key).get_writer().put_file(path)
