"""A client of Safelight as anybody could write one: HTTP to the API, then to the presigned URL."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import aiohttp

from safelight.errors import Reason
from safelight.formats import READABLE

UNKNOWN = "application/octet-stream"
_MEDIA_TYPES = {format.media_type for format in READABLE}
_ABOUT_THE_FILE = 422
_REASONS = {"#/size": str(Reason.TOO_MANY_BYTES)}
"""What a refused member of the request says of the file."""
_CHUNK_BYTES = 1024 * 1024


class Refused(Exception):
    """The API does not take this file; `reason` is short, the message says it in words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class ClientFailed(Exception):
    """Something answered as it never should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Leave to upload one file, by a form."""

    image_id: str
    url: str
    fields: Mapping[str, str]


class Client:
    """Uploads files, asks for images, downloads assets."""

    def __init__(
        self, http: aiohttp.ClientSession, api_url: str, *, key: str | None = None
    ) -> None:
        """Talk to the API at `api_url`, with an API key if it wants one."""
        self._http = http
        self._api_url = api_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def announce(self, picture: Path) -> Ticket:
        """Ask for a presigned form for this file. Raises `Refused` if the API wants none of it."""
        url = f"{self._api_url}/v1/uploads"
        async with self._http.post(
            url, json=_announcement(picture), headers=self._headers
        ) as answer:
            if answer.status == _ABOUT_THE_FILE:
                raise _refused(await answer.json(content_type=None))
            told = await _told(answer)
        return Ticket(image_id=told["imageId"], url=told["url"], fields=told["fields"])

    async def send(self, ticket: Ticket, picture: Path) -> None:
        """Upload the file. Once this returns, storage has accepted it."""
        with os.fdopen(os.open(picture, os.O_RDONLY), "rb") as source:  # has no name to send
            form = aiohttp.FormData(quote_fields=False)
            for name, value in ticket.fields.items():
                form.add_field(name, value)
            form.add_field("file", source, filename="file")  # the last one: S3 reads no further
            async with self._http.post(ticket.url, data=form) as answer:
                if not answer.ok:
                    raise ClientFailed(f"upload: HTTP {answer.status}: {await answer.text()}")

    async def image(self, image_id: str) -> Mapping[str, Any]:
        """Ask what is known of an image."""
        url = f"{self._api_url}/v1/images/{image_id}"
        async with self._http.get(url, headers=self._headers) as answer:
            return await _told(answer)

    async def download(self, url: str, to: Path, *, sha256_hex: str) -> None:
        """Save an asset, and make sure that it is the one that was promised."""
        digest = sha256()
        async with self._http.get(url) as answer:
            if not answer.ok:
                raise ClientFailed(f"download: HTTP {answer.status}: {await answer.text()}")
            with to.open("wb") as file:
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
        if digest.hexdigest() != sha256_hex:
            raise ClientFailed(f"{to} has another checksum than its record says")


def printable_name(picture: Path) -> str:
    """Name a file in UTF-8, whatever its bytes are."""
    return os.fsencode(picture.name).decode("utf-8", "replace")


def declared_type(picture: Path) -> str:
    """Guess a media type from the name, as a browser would; only those that Safelight reads."""
    guessed, _ = guess_type(picture.name)
    return guessed if guessed in _MEDIA_TYPES else UNKNOWN


def _announcement(picture: Path) -> dict[str, object]:
    return {
        "filename": "".join(c if c.isprintable() else "\ufffd" for c in printable_name(picture)),
        "contentType": declared_type(picture),
        "size": picture.stat().st_size,
    }


async def _told(answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
    if not answer.ok:
        raise ClientFailed(f"{answer.url.path}: HTTP {answer.status}: {await answer.text()}")
    told: Mapping[str, Any] = await answer.json()
    return told


def _refused(problem: Mapping[str, Any]) -> Refused:
    """Read a problem (RFC 9457): which member is at fault, or else of what type it is."""
    faults = {fault["pointer"]: fault["detail"] for fault in problem.get("errors", [])}
    kind = str(problem.get("type", "")).rpartition("/")[2]
    return Refused(
        reason=next((_REASONS[pointer] for pointer in faults if pointer in _REASONS), kind),
        detail=" ".join(faults.values()) or str(problem.get("detail", "refused by the API")),
    )
