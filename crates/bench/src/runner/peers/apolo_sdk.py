import asyncio
import pathlib
import sys
import tempfile

import apolo_sdk
from yarl import URL


async def main(url, token, action, source, destination):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "config"
        await apolo_sdk.login_with_token(token, url=URL(url), path=path)
        async with apolo_sdk.get(path=path) as sdk:
            if action == "start":
                # Finds the bucket, asks for credentials, and lists a page.
                await sdk.buckets.blob_is_dir(URL(source))
            else:
                await getattr(sdk.buckets, action)(URL(source), URL(destination))


asyncio.run(main(*sys.argv[1:]))
