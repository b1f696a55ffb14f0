"""Lets web pages of configured origins call the API. Off unless origins are configured."""

from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

METHODS = "GET, HEAD, POST"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Api-Key, X-Request-Id"
)
EXPOSED_HEADERS = (
    "ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
)
PREFLIGHT_SECONDS = 600
"""How long a browser may keep the answer to a preflight request."""


def cross_origin(origins: Collection[str]) -> Middleware:
    """Answer preflight requests, and let pages of the origins read answers. No cookies are used."""
    allowed = frozenset(origins)

    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin", "")
        if origin not in allowed:
            response = await handler(request)
        elif request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response = _preflight()
        else:
            response = await handler(request)
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        if origin in allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
        response.headers.add("Vary", "Origin")
        return response

    return allow


def _preflight() -> web.Response:
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        },
    )
