"""`safelight up`: start Safelight on this machine and keep it running until it is stopped."""

import asyncio
import json
import shlex
from contextlib import suppress
from pathlib import Path

from ops.client import declared_type, printable_name
from ops.local.emulator import ROOT
from ops.local.system import LocalSystem

SAMPLE = ROOT / "samples" / "cat-451px.jpg"


async def up() -> None:
    """Start everything, print the addresses, and run until cancelled.

    Raises `ChildDied` as soon as any of its processes ends.
    """
    print("Starting the embedded AWS, the stack, api, delivery and two workers")
    async with LocalSystem(renders=True, delivers=True) as system:
        print(describe(system), flush=True)
        with suppress(asyncio.CancelledError):  # Ctrl-C is the normal end
            await system.while_up(asyncio.Event().wait())
    print("Stopped.")


def describe(system: LocalSystem) -> str:
    """List the addresses of every part, with commands to try."""
    stack = system.stack
    worker, renders = (system.worker_urls[one] for one in system.workers)
    root = system.emulator.root
    sample = Path(SAMPLE).relative_to(ROOT)
    return f"""
api           {system.api_url}   (try /openapi.json, /readyz, /metrics)
delivery      {system.delivery_url}   (/small/IMAGE_ID, /large/IMAGE_ID.webp)
worker        {worker}   (uploads: /metrics, /healthz)
renders       {renders}   (renders: /metrics, /healthz)
AWS           {system.emulator.endpoint_url}
  as root     AWS_ACCESS_KEY_ID={root.access_key_id} AWS_SECRET_ACCESS_KEY={root.secret_access_key}
uploads       s3://{stack.uploads_bucket}
assets        s3://{stack.assets_bucket}
queues        {stack.uploads_queue_url}   (S3's events)
              {stack.renders_queue_url}   (renders)
dead letters  {stack.dead_letter_queue_url}
topic         {stack.topic_arn}
table         {stack.table}
logs          {system.directory}

Upload a picture and follow it:

    .venv/bin/safelight upload {sample} --api {system.api_url}

The same with curl: it gets a presigned URL, uploads to it, and prints the image's status URL:

    {curl_line(system.api_url, SAMPLE, shown_as=sample)}

Ctrl-C stops everything."""


def curl_line(api_url: str, picture: Path, *, shown_as: Path) -> str:
    """Write a shell command that uploads a picture and prints its status URL."""
    request = {
        "filename": printable_name(picture),
        "contentType": declared_type(picture),
        "size": picture.stat().st_size,
        "method": "PUT",
    }
    configuration = (
        "import json, sys; answer = json.load(sys.stdin); "
        f'print("{api_url}" + answer["statusUrl"], file=sys.stderr); '
        'print("url =", json.dumps(answer["url"])); '
        '[print("header =", json.dumps(n + ": " + v)) for n, v in answer["headers"].items()]'
    )
    return (
        f"curl -sS {api_url}/v1/uploads -H 'Content-Type: application/json' "
        f"-d {shlex.quote(json.dumps(request))} | python3 -c {shlex.quote(configuration)} | "
        f"curl -sS -K - -T {shlex.quote(str(shown_as))}"
    )
