"""`safelight upload`: what it asks for, and that it follows the image until it is settled."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from ops.__main__ import app as command
from ops.exit_codes import ExitCode
from ops.upload import upload

OLD = {"status": "completed", "replacing": True, "variants": {}}
NEW = {"status": "completed", "variants": {}}


@pytest.mark.parametrize("before", [OLD, {"status": "pending", "variants": {}}])
async def test_an_upload_is_followed_until_it_is_settled(
    aiohttp_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], before: dict[str, Any]
) -> None:
    states = [before, before, NEW]

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(states.pop(0))
        ticket = {"imageId": "01", "url": str(request.url.with_path("/bucket")), "fields": {}}
        return web.json_response(ticket, status=201)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    url = str((await aiohttp_server(app)).make_url("/"))
    (tmp_path / "cat.jpg").write_bytes(b"picture")
    code = await upload([tmp_path / "cat.jpg"], api_url=url, key=None, user=None, replacing="01")
    assert (code, states) == (ExitCode.DONE, [])
    assert "completed" in capsys.readouterr().out


async def test_the_days_of_the_option_are_asked_for(aiohttp_server: Any, tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(NEW)
        if request.path == "/v1/uploads":
            asked.append(await request.json())
        ticket = {"imageId": "01", "url": str(request.url.with_path("/bucket")), "fields": {}}
        return web.json_response(ticket, status=201)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    url = str((await aiohttp_server(app)).make_url("/"))
    (tmp_path / "cat.jpg").write_bytes(b"picture")
    paths = [tmp_path / "cat.jpg"]
    code = await upload(paths, api_url=url, key=None, user=None, keep_days=30)
    assert (code, [one["keepDays"] for one in asked]) == (ExitCode.DONE, [30])


def test_days_must_be_a_number_from_one_on(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"picture")
    for days in ("0", "a"):
        words = ["upload", str(tmp_path / "cat.jpg"), "--api", "http://x", "--keep-days", days]
        assert CliRunner().invoke(command, words).exit_code == ExitCode.UNUSABLE
