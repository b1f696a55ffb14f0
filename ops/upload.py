"""`safelight upload`: upload files to any Safelight and poll its API until they are settled."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from ops.client import Client, ClientFailed, Refused
from ops.report import one_line, size

POLL_SECONDS = 0.25
PATIENCE_SECONDS = 120
"""The longest wait for one picture, in seconds."""


async def upload(files: Sequence[Path], *, api_url: str, key: str | None) -> int:
    """Upload one file after the other; return the exit code, 0 if each was completed."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        client = Client(http, api_url, key=key)
        completed = [await _upload_one(client, file) for file in files]
    return 0 if all(completed) else 1


async def _upload_one(client: Client, file: Path) -> bool:
    name = one_line(file.name)
    try:
        ticket = await client.announce(file)
        await client.send(ticket, file)
        print(f"{name}: uploaded as {ticket.image_id}")
        return await _follow(client, name, ticket.image_id)
    except Refused as refused:
        print(f"{name}: refused: {one_line(str(refused))}")
    except (ClientFailed, aiohttp.ClientError, OSError) as error:
        print(f"{name}: failed: {one_line(str(error))}")
    return False


async def _follow(client: Client, name: str, image_id: str) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (image := await client.image(image_id))["status"] == "pending":
        if time.monotonic() > deadline:
            print(f"{name}: still pending after {PATIENCE_SECONDS} s; ask again later")
            return False
        await asyncio.sleep(POLL_SECONDS)
    print(f"{name}: {image['status']} {one_line(image.get('detail') or '')}".rstrip())
    for preset, variant in image.get("variants", {}).items():
        shape = f"{variant['width']}x{variant['height']}"
        print(f"  {preset}  {shape}  {size(variant['size'])}  {variant['url']}")
    return bool(image["status"] == "completed")
