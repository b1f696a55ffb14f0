"""`safelight upload`: upload files to any Safelight and poll its API until they are settled."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from ops.client import Client, ClientFailed, Refused, why_failed
from ops.exit_codes import INCOMPLETE, ExitCode, code_of
from ops.report import one_line, size
from safelight.settings import InvalidSettings, unknown_settings

POLL_SECONDS = 0.25
PATIENCE_SECONDS = 120
"""The longest wait for one picture, in seconds."""


async def upload(
    files: Sequence[Path],
    *,
    api_url: str,
    key: str | None,
    user: str | None,
    tags: Sequence[str] = (),
    keep_days: int | None = None,
    replacing: str | None = None,
) -> ExitCode:
    """Upload one file after the other, each with the tags; return the exit code.

    Each is kept for so many days; by default the API decides. One file may replace the picture of
    an image.
    """
    if faults := unknown_settings(os.environ):
        raise InvalidSettings(faults)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        client = Client(http, api_url, key=key, user=user, tags=tags, keep_days=keep_days)
        return code_of([await _upload_one(client, file, replacing) for file in files])


async def _upload_one(client: Client, file: Path, replacing: str | None) -> str:
    """Upload a file and follow it; return its status as in records, or `failed`."""
    name = one_line(file.name)
    try:
        ticket = await client.announce(file, replacing=replacing)
        await client.send(ticket, file)
        print(f"{name}: uploaded as {ticket.image_id}")
        return await _follow(client, name, ticket.image_id)
    except Refused as refused:
        print(f"{name}: refused: {one_line(str(refused))}")
        return "rejected"
    except (ClientFailed, aiohttp.ClientError, OSError) as error:
        print(f"{name}: failed: {one_line(why_failed(error))}")
    return "failed"


def _is_awaited(image: Mapping[str, Any]) -> bool:
    return image["status"] == "pending" or bool(image.get("replacing"))


async def _follow(client: Client, name: str, image_id: str) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _is_awaited(image := await client.image(image_id)):
        if time.monotonic() > deadline:
            print(f"{name}: still pending after {PATIENCE_SECONDS} s; ask again later")
            return "failed"
        await asyncio.sleep(POLL_SECONDS)
    why = ": ".join(filter(None, (image.get("reason"), image.get("detail"))))
    print(f"{name}: {image['status']} {one_line(why)}".rstrip())
    for preset, variant in image.get("variants", {}).items():
        shape = f"{variant['width']}x{variant['height']}"
        print(f"  {preset}  {shape}  {size(variant['size'])}  {variant['url']}")
    for preset, fault in image.get("failedVariants", {}).items():
        print(f"  {preset}  failed: {one_line(fault)}")
    return INCOMPLETE if image.get("failedVariants") else str(image["status"])
