"""A plain client of Safelight: HTTP requests to the API, then to the presigned URL."""

import json
import os
from collections.abc import Mapping, Sequence
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
_NO_SUCH_ROUTE = 404
_REASONS = {"#/size": str(Reason.TOO_MANY_BYTES)}
"""Rejection reason by the member of the request that the API refused."""
_CHUNK_BYTES = 1024 * 1024
_QUOTED = 200
"""How many characters of an unexpected answer are quoted."""
_NOT_SAFELIGHT = "the answer is not one of Safelight's API; is the address right?"


class Refused(Exception):
    """The API refused this file; `reason` is a code, the message explains it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class ClientFailed(Exception):
    """The API or the storage gave an unexpected answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The presigned form for uploading one file."""

    image_id: str
    url: str
    fields: Mapping[str, str]


class Client:
    """Uploads files, reads images, downloads assets."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        api_url: str,
        *,
        key: str | None = None,
        user: str | None = None,
        tags: Sequence[str] = (),
        keep_days: int | None = None,
    ) -> None:
        """Use the API at `api_url`, with an API key if it requires one, and for a user it names.

        Every upload gets the tags, and is kept for so many days; with None the API decides.
        """
        self._http = http
        self._of_images = {
            **({"tags": list(tags)} if tags else {}),
            **({} if keep_days is None else {"keepDays": keep_days}),
        }
        self._api_url = api_url.rstrip("/")
        self._headers = {
            **({"Authorization": f"Bearer {key}"} if key else {}),
            **({"X-Safelight-User": user} if user is not None else {}),
        }

    async def announce(self, picture: Path, *, replacing: str | None = None) -> Ticket:
        """Request a presigned form for this file, maybe to replace the picture of an image.

        Raises `Refused` if the API refuses it.
        """
        url = f"{self._api_url}/v1/uploads"
        body = _announcement(picture, replacing) | self._of_images
        async with self._http.post(url, json=body, headers=self._headers) as answer:
            if answer.status == _ABOUT_THE_FILE:
                raise _refused(await answer.json(content_type=None))
            if answer.status == _NO_SUCH_ROUTE and replacing is None:
                raise ClientFailed(
                    f"There is no uploads API at {self._api_url}; is this delivery's address?"
                )
            form = await _body_of(answer)
        try:
            return Ticket(image_id=form["imageId"], url=form["url"], fields=form["fields"])
        except (KeyError, TypeError) as error:
            raise ClientFailed(f"{url}: {_NOT_SAFELIGHT}") from error

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
        """Read the record of an image."""
        url = f"{self._api_url}/v1/images/{image_id}"
        async with self._http.get(url, headers=self._headers) as answer:
            return await _body_of(answer)

    async def download(self, url: str, to: Path, *, sha256_hex: str) -> None:
        """Save an asset. Raises `ClientFailed` if its SHA-256 differs from the record's."""
        digest = sha256()
        async with self._http.get(url) as answer:
            if not answer.ok:
                raise ClientFailed(f"download: HTTP {answer.status}: {await answer.text()}")
            with to.open("wb") as file:
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
        if digest.hexdigest() != sha256_hex:
            raise ClientFailed(f"{to} has another checksum than its record")


def printable(path: Path) -> str:
    """Return a path as valid UTF-8, even if its bytes are not."""
    return os.fsencode(path).decode("utf-8", "replace")


def printable_name(picture: Path) -> str:
    """Return the file's name as valid UTF-8, even if its bytes are not."""
    return printable(Path(picture.name))


def declared_type(picture: Path) -> str:
    """Guess the media type from the name, as browsers do, limited to types Safelight reads."""
    guessed, _ = guess_type(picture.name)
    return guessed if guessed in _MEDIA_TYPES else UNKNOWN


def _announcement(picture: Path, replacing: str | None) -> dict[str, object]:
    name = "".join(c if c.isprintable() else "\ufffd" for c in printable_name(picture))
    return {
        **({"filename": name} if replacing is None else {"imageId": replacing}),
        "contentType": declared_type(picture),
        "size": picture.stat().st_size,
    }


async def _body_of(answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
    """Read an answer in JSON. Raises `ClientFailed` for a problem and for anything else."""
    text = await answer.text()
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not answer.ok:
        problem = body if isinstance(body, dict) else {}
        why = problem.get("detail") or text[:_QUOTED] or answer.reason
        raise ClientFailed(f"{answer.url.path}: HTTP {answer.status}: {why}")
    if not isinstance(body, dict):
        raise ClientFailed(f"{answer.url}: {_NOT_SAFELIGHT}")
    return body


def why_failed(error: Exception) -> str:
    """Explain in one line why a request failed."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {_system_error(error.os_error)}"
    return str(error) or type(error).__name__


def _system_error(error: OSError) -> str:
    """Return the system's words for an error. Those of asyncio repeat the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)


def _refused(problem: Mapping[str, Any]) -> Refused:
    """Read a problem (RFC 9457): the reason is the faulty member's, else the problem's type."""
    faults = {fault["pointer"]: fault["detail"] for fault in problem.get("errors", [])}
    kind = str(problem.get("type", "")).rpartition("/")[2]
    return Refused(
        reason=next((_REASONS[pointer] for pointer in faults if pointer in _REASONS), kind),
        detail=" ".join(faults.values()) or str(problem.get("detail", "refused by the API")),
    )
