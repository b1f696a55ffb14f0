"""Answers the gallery's browsers, and asks Safelight in the names of its users."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from examples.gallery import pages
from examples.gallery.issuer import Issuer
from examples.gallery.pages import Pictures
from examples.gallery.rejections import explain_refusal
from examples.gallery.sessions import Sessions

STATIC = Path(__file__).with_name("static")
OF_USER = """
SELECT data FROM images WHERE json_extract(data, '$.userId') = ? ORDER BY time DESC LIMIT 100
"""
ONE_OF_USER = """
SELECT data FROM images WHERE json_extract(data, '$.userId') = ? AND id = ?
"""


class Gallery:
    """The routes of the gallery."""

    def __init__(
        self,
        *,
        api: str,
        http: aiohttp.ClientSession,
        issuer: Issuer,
        database: sqlite3.Connection,
        pictures: Pictures,
    ) -> None:
        """Use the API of Safelight at `api`, and the completions in the database."""
        self._api = api
        self._http = http
        self._issuer = issuer
        self._database = database
        self._pictures = pictures
        self._sessions = Sessions()

    def make_app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_get("/", self._home)
        app.router.add_post("/login", self._login)
        app.router.add_post("/uploads", self._request_upload)
        app.router.add_get("/pictures/{image_id}", self._picture)
        app.router.add_static("/static", STATIC)
        self._issuer.add_routes(app)
        return app

    async def _home(self, request: web.Request) -> web.Response:
        user = self._sessions.user(request)
        if user is None:
            return _html(pages.login())
        rows = self._database.execute(OF_USER, [_user_id(user)])
        figures = [self._pictures.figure(json.loads(data)) for (data,) in rows]
        return _html(pages.gallery(user, figures))

    async def _login(self, request: web.Request) -> web.Response:
        name = str((await request.post()).get("name", ""))
        answer = web.Response(status=303, headers={"Location": "/"})
        try:
            self._sessions.begin(name, answer)
        except ValueError as error:
            return _html(pages.login(str(error)), status=422)
        return answer

    async def _request_upload(self, request: web.Request) -> web.Response:
        """Ask Safelight for an upload URL in the user's name, and pass its answer on."""
        user = self._sessions.required(request)
        headers = {"Authorization": f"Bearer {self._issuer.token(user)}"}
        if key := request.headers.get("Idempotency-Key"):
            headers["Idempotency-Key"] = key
        wanted: Any = await request.json()
        url = f"{self._api}/v1/uploads"
        async with self._http.post(url, json=wanted, headers=headers) as answer:
            passed_on = {"Retry-After": answer.headers.get("Retry-After", "1")}
            body = await answer.json(content_type=None)
            if not answer.ok:
                body = {"text": explain_refusal(body)}  # `detail` is for developers
            return web.json_response(body, status=answer.status, headers=passed_on)

    async def _picture(self, request: web.Request) -> web.Response:
        """Show one picture of the user, or answer 202 until its completion has arrived."""
        user = self._sessions.required(request)
        wanted = [_user_id(user), request.match_info["image_id"]]
        row = self._database.execute(ONE_OF_USER, wanted).fetchone()
        if row is None:
            return web.Response(status=202)
        return _html(self._pictures.figure(json.loads(row[0])))


def _user_id(user: str) -> str:
    """Return the id that Safelight gives to the user of a token."""
    return f"oidc:{user}"


def _html(text: str, *, status: int = 200) -> web.Response:
    # The page has links that end, so no cache may keep it.
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)
