"""Signing in with an API key, signing out, and the ways back to a page."""

import re
from urllib.parse import urlencode

from aiohttp import web

from api.apikeys import ApiKeys
from api.bodies import read_form
from api.middlewares import note
from api.pages.sessions import PageSessions
from api.problems import Problem, Refusal

START = "/ui/"
SIGN_IN = "/ui/sign-in"

_TO = re.compile(r"(?!.*//)/ui/[!#-\[\]-~]{0,2000}")
"""A path of a page, with its query: visible ASCII without `//`, a backslash and a quotation mark.
So it never names another server, whatever a browser makes of it. JSON escapes none of it, so its
sealed form fits into a cookie of 4096 bytes."""


class SignIn:
    """`POST /ui/key` and `POST /ui/logout`, the forms of the pages."""

    def __init__(self, sessions: PageSessions, *, keys: ApiKeys) -> None:
        self._sessions = sessions
        self._keys = keys

    async def by_key(self, request: web.Request) -> web.Response:
        """Begin a session for the user of an API key, and go to the page that wanted it.

        Keys that may name users are refused: they speak for all their users, and stay on servers.
        """
        self._check_page(request)
        form = await read_form(request)
        to = checked(form.get("to"))
        key = self._keys.find(form.get("key", "").strip())
        if key is None or key.names_users:
            fault = "key" if key is None else "users"
            note(request, sign_in_failed=fault)
            return failed(fault, to)
        response = went(to)
        user_id = self._sessions.begin_by_key(request, response, key)
        note(request, signed_in="key", user_id=user_id)
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session of the browser, and go to the start."""
        self._check_page(request)
        response = went(START)
        self._sessions.end(request, response)
        return response

    def _check_page(self, request: web.Request) -> None:
        """Refuse forms of other sites: they could sign a user in as another user."""
        if not self._sessions.may_change(request):
            raise Refusal(Problem.CROSS_SITE, "The form was not sent by a page of this server.")


def checked(to: str | None) -> str:
    """Return the page to go to after a sign-in: this one, or the start if it is no page of ours."""
    return to if to is not None and _TO.fullmatch(to) else START


def went(to: str) -> web.Response:
    """Answer with a redirect to a page, which the browser gets."""
    return web.Response(status=303, headers={"Location": to})


def failed(fault: str, to: str) -> web.Response:
    """Answer with a redirect to the page of sign-in, which shows the fault."""
    return went(f"{SIGN_IN}?{urlencode({'error': fault, 'to': to})}")
