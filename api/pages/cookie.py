"""Cookies of the pages: sealed, for this host only, and unreadable for scripts."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import hdrs, web

from api.pages.seal import Seal
from safelight.serving import is_loopback_host

SECURE = "__Host-"
"""The prefix that lets a browser take a cookie only over TLS, from this host, for every path."""
_ENDS = "exp"
"""The member of a sealed document that says when it ends, in seconds since 1970."""


class SealedCookie:
    """One cookie, which holds a document that ends.

    Over plain HTTP on this machine its name has no prefix, because browsers take secure cookies
    over TLS only.
    """

    def __init__(
        self,
        seal: Seal,
        *,
        name: str,
        seconds: int,
        pages_url: str | None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`name` is also the purpose that the document is sealed for, `seconds` its lifetime."""
        self._seal = seal
        self._name = name
        self._seconds = seconds
        self._pages_url = pages_url
        self._now = now

    def read(self, request: web.Request) -> Mapping[str, Any] | None:
        """Return the document; None if the request has none that was sealed here and holds."""
        sealed = request.cookies.get(self._name_in(request))
        document = self._seal.open(sealed, purpose=self._name) if sealed else None
        return document if document is not None and document[_ENDS] > self._now() else None

    def write(
        self, request: web.Request, response: web.Response, document: Mapping[str, Any]
    ) -> None:
        """Add the document to an answer."""
        ends = {_ENDS: int(self._now()) + self._seconds}
        response.set_cookie(
            self._name_in(request),
            self._seal.seal({**document, **ends}, purpose=self._name),
            max_age=self._seconds,
            secure=self.is_secure(request),
            path="/",
            httponly=True,
            samesite="Lax",
        )

    def clear(self, request: web.Request, response: web.Response) -> None:
        """Let an answer remove the cookie."""
        response.del_cookie(
            self._name_in(request),
            secure=self.is_secure(request),
            path="/",
            httponly=True,
            samesite="Lax",
        )

    def _name_in(self, request: web.Request) -> str:
        return f"{SECURE}{self._name}" if self.is_secure(request) else self._name

    def is_secure(self, request: web.Request) -> bool:
        """Return whether browsers reach the pages over TLS."""
        if self._pages_url is not None:
            return self._pages_url.startswith("https:")
        return not is_loopback_host(request.headers.get(hdrs.HOST, ""))
