"""`safelight upload --replace`: it follows the image until the new picture is settled."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

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
