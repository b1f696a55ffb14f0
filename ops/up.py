"""`safelight up`: start Safelight on this machine and keep it running until it is stopped."""

import asyncio
import json
import os
import shlex
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ops.client import declared_type
from ops.folders import Unusable, require_presets
from ops.local.emulator import ROOT
from ops.local.given import Given
from ops.local.system import PORTS, LocalSystem

_AS_OPTIONS = r"""
python3 -c 'import json; ticket = json.load(open("ticket.json")); print("url =", ticket["url"], *(
  "\nform-string = " + json.dumps("=".join(field)) for field in ticket["fields"].items()))' \
  > form.curl
""".strip()
_STATUS_ONLY = r"-o /dev/null -w '%{http_code}\n'"
SAMPLE = ROOT / "samples" / "cat-451px.jpg"


async def up(*, presets: Path | None, first_port: int | None) -> None:
    """Start everything, print the addresses, and run until cancelled.

    With a first port, the API, delivery, AWS and the two workers that render listen on five ports
    from there on; the worker of cleanup takes a free one.
    Raises `ChildDied` as soon as any of its processes ends, `Unusable` for a port in use, and
    `InvalidSettings`.
    """
    given = Given.of(os.environ, presets=presets)
    require_presets(given.presets)
    if first_port is not None:
        _check_ports(first_port)
    print("Starting the embedded AWS, the stack, api, delivery and three workers")
    async with LocalSystem(
        renders=True,
        delivers=True,
        cleans=True,
        pages=True,
        first_port=first_port,
        **given.settings(),
    ) as system:
        print(describe(system, given), flush=True)
        with suppress(asyncio.CancelledError):  # Ctrl-C is the normal end
            await system.while_up(asyncio.Event().wait())
    print("Stopped.")


def _check_ports(first: int) -> None:
    for port in range(first, first + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError) as error:
                raise Unusable(f"--ports: port {port} cannot be used: {error}") from error


def describe(system: LocalSystem, given: Given) -> str:
    """List the addresses of every part, with commands to paste."""
    workers = (*system.workers, *system.cleanups)
    worker, renders, cleanup = (system.worker_urls[one] for one in workers)
    sample = SAMPLE.relative_to(ROOT)
    option = " --key $KEY" if given.authenticates else ""
    needed = " (set KEY to an API key or a token first)" if given.authenticates else ""
    sign_in = f"; {given.sign_in}" if given.authenticates else ""
    return f"""
pages         {given.pages_url or system.api_url}/ui/   (in a browser: upload pictures{sign_in})
api           {system.api_url}   (try /openapi.json, /readyz, /metrics)
delivery      {system.delivery_url}   (/small/IMAGE_ID, /large/IMAGE_ID.webp)
worker        {worker}   (uploads: /metrics, /healthz)
renders       {renders}   (renders: /metrics, /healthz)
cleanup       {cleanup}   (cleanup: /metrics, /healthz)
AWS           {system.emulator.endpoint_url}
logs          {system.directory}

{_of_urls(system)}

Paste these lines into another terminal, in the folder of the checkout:

{_exports(of_clients(system, given))}

Upload a picture and follow it{needed}:

    .venv/bin/safelight upload {sample} --api $API{option}

The same with curl: get a form, write it as curl's options, send it with the picture, look:

{_indented(curl_lines(SAMPLE, shown_as=sample, authenticates=given.authenticates))}

For `safelight redrive` and `safelight doctor`, also paste:

{_exports(of_operators(system))}

Ctrl-C stops everything."""


def _of_urls(system: LocalSystem) -> str:
    """Say where the URLs in the API's answers lead."""
    if not system.public_url:
        return "SAFELIGHT_DELIVERY_URL is empty: URLs of variants are presigned."
    return f"""URLs of thumbnails and variants begin with {system.public_url}
(SAFELIGHT_DELIVERY_URL; set it to nothing for presigned URLs of variants)"""


def of_clients(system: LocalSystem, given: Given) -> dict[str, str]:
    """Return the variables of the README's commands, and those of AWS for its owner."""
    aws = system.emulator.root.environment(system.emulator.endpoint_url)
    return {
        "API": system.api_url,
        "DELIVERY": system.delivery_url,
        **({"SAFELIGHT_PRESETS": str(given.presets)} if given.presets else {}),
        **{name: aws[name] for name in sorted(aws) if not aws[name].startswith(os.devnull)},
    }


def of_operators(system: LocalSystem) -> dict[str, str]:
    """Return the settings of the operator's commands. The secret is that of this system alone."""
    stack = system.stack
    return {
        **stack.settings(),
        "SAFELIGHT_QUEUE_URL": stack.uploads_queue_url,
        "SAFELIGHT_RENDERS_QUEUE_URL": stack.renders_queue_url,
        "SAFELIGHT_CLEANUP_QUEUE_URL": stack.cleanup_queue_url,
        "SAFELIGHT_DEAD_LETTER_QUEUE_URL": stack.dead_letter_queue_url,
        "SAFELIGHT_TOPIC_ARN": stack.topic_arn,
    }


def curl_lines(picture: Path, *, shown_as: Path, authenticates: bool) -> list[str]:
    """Write the shell commands that upload a picture by a form and print its image.

    The first gets the form as JSON. The second writes it as options of curl. The README has them
    too.
    """
    key = ' -H "Authorization: Bearer $KEY"' if authenticates else ""
    request = json.dumps(
        {
            "filename": picture.name,
            "contentType": declared_type(picture),
            "size": picture.stat().st_size,
        }
    )
    return [
        f"curl -sS $API/v1/uploads{key} -o ticket.json -H 'Content-Type: application/json' \\",
        f"  -d {shlex.quote(request)}",
        *_AS_OPTIONS.splitlines(),
        f"curl -sS -K form.curl -F file=@{shlex.quote(str(shown_as))} {_STATUS_ONLY}",
        """ID=$(python3 -c 'import json; print(json.load(open("ticket.json"))["imageId"])')""",
        f"curl -sS $API/v1/images/$ID{key}",
    ]


def _exports(variables: Mapping[str, str]) -> str:
    return _indented(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
