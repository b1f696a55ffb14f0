"""Serves the gallery: python -m examples.gallery. README.md lists the variables that it reads."""

import asyncio
import logging
import os
import threading
import time
from pathlib import Path

import aiohttp
from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError
from yarl import URL

from examples.gallery.app import Gallery
from examples.gallery.completions import connect, run
from examples.gallery.issuer import Issuer
from examples.gallery.pages import Pictures

log = logging.getLogger(__name__)

DEFAULT_URL = "http://127.0.0.1:8300"
PAUSE_SECONDS = 5


def receive_for_ever(queue_url: str, file: str) -> None:
    """Receive completions; begin again after a failure of the queue."""
    while True:
        try:
            run(queue_url, file)
        except (BotoCoreError, ClientError) as error:
            log.warning("completions cannot be received: %s", error)
            time.sleep(PAUSE_SECONDS)


async def serve() -> None:
    """Serve until the process is stopped."""
    url = os.environ.get("GALLERY_URL", DEFAULT_URL)
    folder = Path(os.environ.get("GALLERY_FOLDER", "."))
    file = str(folder / "gallery.sqlite")
    key_id, _, secret = os.environ["SIGNING_KEY"].partition(":")
    receiver = (os.environ["QUEUE_URL"], file)
    threading.Thread(target=receive_for_ever, args=receiver, daemon=True).start()
    async with aiohttp.ClientSession() as http:
        gallery = Gallery(
            api=os.environ["API"],
            http=http,
            issuer=Issuer(url, folder / "gallery-key.pem"),
            database=connect(file),
            pictures=Pictures(base=os.environ["DELIVERY"], key_id=key_id, secret=secret),
        )
        runner = web.AppRunner(gallery.make_app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", URL(url).port).start()
        print(f"The gallery is at {url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
