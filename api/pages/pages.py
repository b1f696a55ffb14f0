"""Answers with the pages: HTML without data, and the headers that confine it."""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from api.delivery.negotiation import accept_of, names
from api.middlewares import note
from api.pages.static import StaticFiles
from api.problems import Problem, Refusal
from safelight.aws.presign import PresignedGet, PresignedPost

_CONFINED: Mapping[str, str] = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
}


class Presigner(Protocol):
    """Signs for the addresses of the buckets that browsers see."""

    async def post(
        self, *, key: str, content_type: str, size_bytes: int, sha256: str | None,
        upload_token: str | None, expires_seconds: int,
    ) -> PresignedPost:  # fmt: skip
        """Return a presigned form upload."""
        ...

    async def get_asset(self, *, key: str, expires_seconds: int) -> PresignedGet:
        """Return a presigned URL that gets one asset."""
        ...


class Pages:
    """The pages of this process, and their files."""

    def __init__(
        self, *, presigner: Presigner, delivery_url: str | None, files: StaticFiles | None = None
    ) -> None:
        """Without a `delivery_url`, pages show variants from the assets bucket."""
        self._presigner = presigner
        self._delivery = origin_of(delivery_url) if delivery_url else None
        self._files = files or StaticFiles()
        self._unknown = self._files.page("unknown")
        self.static = self._files.get
        """Answers with a file that a page loads."""

    def page(self, name: str, *, fetches_pictures: bool = False) -> Handler:
        """Return the handler of a page; `fetches_pictures` lets its scripts read delivery."""
        file = self._files.page(name)

        async def get(request: web.Request) -> web.StreamResponse:
            return file.answer(request, await self._headers(fetches_pictures=fetches_pictures))

        return get

    async def unknown(self, request: web.Request) -> web.StreamResponse:
        """Answer 404 for a path that has no page: a page for browsers, a problem for others."""
        if not names(accept_of(request), "text/html"):
            raise Refusal(Problem.UNKNOWN_PATH, Problem.UNKNOWN_PATH.remedy)
        note(request, problem=Problem.UNKNOWN_PATH.slug)
        headers = await self._headers(fetches_pictures=False)
        return self._unknown.answer(request, headers, status=404)

    async def start(self, _: web.Request) -> web.StreamResponse:
        """Redirect from `/ui` to the page of pictures."""
        return web.Response(status=308, headers={"Location": "/ui/"})

    async def _headers(self, *, fetches_pictures: bool) -> dict[str, str]:
        """Write the headers of a page, with the origins that pages upload to and show."""
        # Signing calls no service. It alone knows the addresses, such as those of a bucket.
        posted = await self._presigner.post(
            key="uploads/policy",
            content_type="application/octet-stream",
            size_bytes=1,
            sha256=None,
            upload_token=None,
            expires_seconds=60,
        )
        pictures = self._delivery
        if pictures is None:
            asset = await self._presigner.get_asset(key="images/policy", expires_seconds=60)
            pictures = origin_of(asset.url)
        connect = f"'self' {origin_of(posted.url)}"
        if fetches_pictures:
            connect += f" {pictures}"
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; "
            f"img-src 'self' blob: {pictures}; connect-src {connect}; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )
        return {**_CONFINED, "Content-Security-Policy": policy}


def origin_of(url: str) -> str:
    """Return the origin of a URL, as content security policies name it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
