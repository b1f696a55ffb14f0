"""Sends owners to the originals of their images: to the sources, as they were uploaded."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from api.dispositions import disposition
from api.middlewares import note
from api.problems import Problem, Refusal
from safelight.aws.presign import PresignedGet
from safelight.record import Record

URL_SECONDS = 300
"""How long a URL of an original is valid: it is followed at once."""


class Presigner(Protocol):
    """Signs the URLs of sources."""

    async def get_source(
        self, *, key: str, content_disposition: str, expires_seconds: int
    ) -> PresignedGet:
        """Return a presigned URL that gets one source."""
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
        """Redirect to the source of one of the user's images, as a download."""
        record = await self._find(request)
        note(request, image_id=record.image_id, image_status=record.status)
        if not record.status.settled:
            raise Refusal(Problem.NOT_ARRIVED, "The source has not arrived, or is being processed.")
        signed = await self._presigner.get_source(
            key=record.original_key,
            content_disposition=disposition("attachment", record.filename or record.image_id),
            expires_seconds=URL_SECONDS,
        )
        headers = {"Location": signed.url, "Cache-Control": "no-store"}
        return web.Response(status=303, headers=headers)
