"""Sends owners to the originals of their images: to the sources, as they were uploaded."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, Protocol

from aiohttp import web
from pydantic import Field

from api.delivery.negotiation import accept_of, names
from api.dispositions import disposition
from api.middlewares import note
from api.problems import Document, Problem, Refusal, json_answer
from safelight.aws.presign import PresignedGet
from safelight.record import Record

URL_SECONDS = 300
"""How long a URL of an original is valid: it is followed at once."""


class Original(Document):
    """Where the source of an image is, for a while."""

    url: str = Field(description="Saves the source under its file name.")
    expires_at: datetime


class Presigner(Protocol):
    """Signs the URLs of sources."""

    async def get_source(
        self,
        *,
        key: str,
        content_disposition: str,
        expires_seconds: int,
        method: Literal["GET", "HEAD"],
    ) -> PresignedGet:
        """Return a presigned URL of one source, for one method."""
        ...


class Originals:
    """`GET /v1/images/{imageId}/original`.

    The URL names no version: asset keys can be computed from a version id, so it stays internal.
    """

    def __init__(
        self, presigner: Presigner, *, find: Callable[[web.Request], Awaitable[Record]]
    ) -> None:
        """`find` returns the record of a request's image, or raises a `Refusal`."""
        self._presigner = presigner
        self._find = find

    async def get(self, request: web.Request) -> web.Response:
        """Redirect to the source of one of the user's images, as a download.

        A client that names JSON gets the URL instead: scripts of pages cannot follow the redirect,
        because the bucket lets no page read sources. A HEAD is redirected to a URL for a HEAD.
        """
        record = await self._find(request)
        note(request, image_id=record.image_id, image_status=record.status)
        if not record.status.settled:
            raise Refusal(Problem.NOT_ARRIVED, "The source has not arrived, or is being processed.")
        as_json = names(accept_of(request), "application/json")
        signed = await self._presigner.get_source(
            key=record.original_key,
            content_disposition=disposition("attachment", record.filename or record.image_id),
            expires_seconds=URL_SECONDS,
            method="HEAD" if request.method == "HEAD" and not as_json else "GET",
        )
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if as_json:
            ends = datetime.fromtimestamp(signed.expires_at, UTC)
            return json_answer(Original(url=signed.url, expires_at=ends), headers=headers)
        return web.Response(status=303, headers={"Location": signed.url, **headers})
