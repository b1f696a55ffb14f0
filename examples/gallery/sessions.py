"""Remembers who is logged in. The sessions end with the process; use those of your framework."""

import re
import secrets

from aiohttp import web

COOKIE = "gallery"
NAME = re.compile("[a-z0-9-]{1,32}")


class Sessions:
    """Users by session id. A name is enough to log in here; check a password or more in yours."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}

    def begin(self, name: str, response: web.StreamResponse) -> None:
        """Log a user in. Raises `ValueError` for a name that no user can have."""
        if not NAME.fullmatch(name):
            raise ValueError("A name has up to 32 lower-case letters, digits and hyphens.")
        session_id = secrets.token_urlsafe()
        self._users[session_id] = name
        # Add secure=True where pages are served by HTTPS.
        response.set_cookie(COOKIE, session_id, httponly=True, samesite="Lax")

    def user(self, request: web.Request) -> str | None:
        """Return the user who sent a request; None if no one is logged in."""
        return self._users.get(request.cookies.get(COOKIE, ""))

    def required(self, request: web.Request) -> str:
        """Return the user who sent a request, or answer 401."""
        user = self.user(request)
        if user is None:
            raise web.HTTPUnauthorized(text="Log in first.")
        return user
