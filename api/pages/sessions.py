"""Sessions of pages: a cookie names the user who signed in, and what vouches for the user.

The cookie has no key and no token. A session ends after eight hours, or as soon as the key or the
issuer that vouched for its user is not accepted any more.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from aiohttp import web

from api.apikeys import ApiKey, ApiKeys
from api.pages.cookie import SealedCookie
from api.pages.cross_site import is_from_own_page
from api.pages.seal import Seal
from api.settings import ApiSettings
from safelight import users

COOKIE = "safelight"
SESSION_SECONDS = 8 * 3600
MAX_NAME_LENGTH = 64
"""The longest name that a session has, in characters."""

Method = Literal["key", "oidc"]
"""A way to sign in: with an API key, or at the OpenID Connect issuer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSession:
    """The session of a user who signed in on a page."""

    user_id: str
    name: str
    """What pages call the user. It decides nothing."""
    voucher: str
    """A hash of the key, or of the issuer, by which the user signed in."""


class PageSessions:
    """Begins, reads and ends sessions."""

    def __init__(
        self,
        seal: Seal,
        *,
        keys: ApiKeys,
        issuer: str | None = None,
        client_id: str | None = None,
        pages_url: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Let users sign in with keys, and with an issuer that knows the pages as `client_id`."""
        self._cookie = SealedCookie(
            seal, name=COOKIE, seconds=SESSION_SECONDS, pages_url=pages_url, now=now
        )
        self._of_keys = {
            (users.of_key(key.name), _of_key(key)) for key in keys.keys if not key.names_users
        }
        self._of_issuer = _hash(f"{issuer} {client_id}") if issuer and client_id else None
        self.seal = seal
        """What seals the cookies of the pages."""
        self.pages_url = pages_url
        """The origin of the pages; None if browsers on this machine alone reach them."""

    @property
    def methods(self) -> tuple[Method, ...]:
        """The ways to sign in."""
        by_issuer: tuple[Method, ...] = ("oidc",) if self._of_issuer else ()
        return (*by_issuer, "key") if self._of_keys else by_issuer

    def of(self, request: web.Request) -> PageSession | None:
        """Return the session of a request; None without a cookie that holds."""
        document = self._cookie.read(request)
        if document is None:
            return None
        session = PageSession(
            user_id=document["user"], name=document["name"], voucher=document["by"]
        )
        return session if self._is_vouched_for(session) else None

    def may_change(self, request: web.Request) -> bool:
        """Return whether a request that changes something was sent by a page of this server."""
        return is_from_own_page(request, self.pages_url)

    def begin_by_key(self, request: web.Request, response: web.Response, key: ApiKey) -> str:
        """Begin the session of an API key's user, and return the user id."""
        return self._begin(request, response, users.of_key(key.name), key.name, _of_key(key))

    def begin_by_claims(
        self, request: web.Request, response: web.Response, claims: Mapping[str, Any]
    ) -> str:
        """Begin the session of the user of a verified id token, and return the user id."""
        user_id = users.of_token(str(claims["sub"]))
        return self._begin(request, response, user_id, _name_of(claims), self._of_issuer or "")

    def end(self, request: web.Request, response: web.Response) -> None:
        """End the session of a browser. Over TLS it forgets the pages and pictures that it kept."""
        self._cookie.clear(request, response)
        if self._cookie.is_secure(request):
            response.headers["Clear-Site-Data"] = '"cache"'

    def _begin(
        self, request: web.Request, response: web.Response, user_id: str, name: str, voucher: str
    ) -> str:
        self._cookie.write(request, response, {"user": user_id, "name": name, "by": voucher})
        return user_id

    def _is_vouched_for(self, session: PageSession) -> bool:
        if session.user_id.startswith("oidc:"):
            return session.voucher == self._of_issuer
        return (session.user_id, session.voucher) in self._of_keys


def make_sessions(settings: ApiSettings) -> PageSessions | None:
    """Return the sessions of a server with pages and authentication; None for any other."""
    if settings.anonymous or not settings.serves_pages or settings.session_keys is None:
        return None
    return PageSessions(
        Seal.read(settings.session_keys.get_secret_value()),
        keys=settings.keys,
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        pages_url=settings.pages_url,
    )


def _name_of(claims: Mapping[str, Any]) -> str:
    """Return what to call the user of an id token: the first name in it that can be shown."""
    for claim in ("name", "preferred_username", "email", "cognito:username"):
        name = claims.get(claim)
        if isinstance(name, str) and name.strip() and name.isprintable():
            return name.strip()[:MAX_NAME_LENGTH]
    return str(claims["sub"])[:MAX_NAME_LENGTH]


def _of_key(key: ApiKey) -> str:
    return _hash(f"key {key.digest}")


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
