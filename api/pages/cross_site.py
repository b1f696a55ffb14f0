"""Refuses requests that other web sites make a browser send (CSRF).

Credentials in headers cannot be forged by another site, but a browser adds cookies itself. Without
authentication there are no credentials at all. In both cases each change needs proof that it comes
from our own pages.
"""

from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api.problems import Problem, Refusal

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing. Other sites may send them, but cannot read the answers."""


def same_site_only(origins: Collection[str]) -> Middleware:
    """Refuse changes that pages of other origins send, apart from these origins.

    For servers without authentication. Programs that are no browsers send neither `Origin` nor
    `Sec-Fetch-Site`, and need no proof.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in SAFE_METHODS and not may_change(request, origins):
            raise Refusal(
                Problem.CROSS_SITE,
                "A page of another origin sent the request. The operator can allow its origin with "
                "SAFELIGHT_CORS_ORIGINS.",
            )
        return await handler(request)

    return check


def may_change(request: web.Request, origins: Collection[str]) -> bool:
    """Return whether a request that changes something was sent by no page of a foreign origin."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if origin in origins:
        return True
    if site is not None:
        return site == "same-origin"
    return origin is None or origin == f"{request.scheme}://{request.host}"


def is_from_own_page(request: web.Request, pages_url: str | None) -> bool:
    """Return whether a browser says that a page of this server sent the request.

    Requests without `Sec-Fetch-Site` need an `Origin` that is the origin of the pages.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return pages_url is not None and request.headers.get("Origin") == pages_url
