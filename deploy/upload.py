#!/usr/bin/env -S python3 -I
"""Upload a JPEG to the containers of docker-compose.yml, and print the URL of its image.

    python3 deploy/upload.py FILE

Needs Python alone, since a machine with Docker need not have Safelight installed. Reads the API key
from `.env`, which `make env` writes.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

ENVIRONMENT = Path(__file__).resolve().parents[1] / ".env"
API = "http://localhost:8080"
SECONDS = 30


def main() -> int:
    """Upload the file of the command line; exit with 1 if the API or S3 refuses it."""
    parser = argparse.ArgumentParser(description="Upload a JPEG and print the URL of its image.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--api", default=API, help=f"address of the API (default: {API})")
    parser.add_argument("--env", type=Path, default=ENVIRONMENT, help="file with API_KEY=...")
    chosen = parser.parse_args()
    try:
        print(upload(chosen.file, api=chosen.api, key=api_key(chosen.env)))  # noqa: T201 - asked for
    except HTTPError as error:
        address = str(error.url).partition("?")[0]  # without the signature
        return _failed(f"{address} answered {error.code}: {error.read().decode(errors='replace')}")
    except (URLError, OSError, ValueError) as error:
        return _failed(str(error))
    return 0


def api_key(path: Path) -> str:
    """Read `API_KEY` from a file of `NAME=value` lines; raise `ValueError` without one."""
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition("=")
        if name == "API_KEY":
            return value
    raise ValueError(f"{path}: no API_KEY; run make env first")


def upload(file: Path, *, api: str, key: str) -> str:
    """Ask for an upload URL, put the file there, and return the URL of its image."""
    body = file.read_bytes()
    wanted = {
        "filename": file.name,
        "contentType": "image/jpeg",
        "size": len(body),
        "method": "PUT",
    }
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    answer = _send("POST", f"{api}/v1/uploads", json.dumps(wanted).encode(), headers)
    ticket: dict[str, Any] = json.loads(answer)
    _send("PUT", ticket["url"], body, ticket["headers"])
    return f"{api}{ticket['statusUrl']}"


def _send(method: str, url: str, body: bytes, headers: dict[str, str]) -> bytes:
    request = Request(url, body, headers, method=method)  # noqa: S310 - the user names the address
    with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - the same
        content: bytes = answer.read()
    return content


def _failed(why: str) -> int:
    print(why, file=sys.stderr)  # noqa: T201 - for a person
    return 1


if __name__ == "__main__":
    sys.exit(main())
