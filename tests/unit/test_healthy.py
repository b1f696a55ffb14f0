"""The command of the image's health checks, run as a program."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

pytestmark = pytest.mark.starts

HEALTHY = Path(__file__).parents[2] / "deploy" / "healthy.py"


def ask(*arguments: str) -> int:
    command = [sys.executable, "-I", HEALTHY, *arguments]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
async def test_it_says_what_the_program_says(aiohttp_server, status: int, code: int) -> None:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(status=status, text="so\n")

    app = web.Application()
    if status != 404:
        app.router.add_get("/healthz", healthz)
    server = await aiohttp_server(app)
    assert await asyncio.to_thread(ask, str(server.port)) == code


async def test_it_asks_another_path_if_told(aiohttp_server) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/other/health", health)
    server = await aiohttp_server(app)
    assert await asyncio.to_thread(ask, str(server.port), "/other/health") == 0
    assert await asyncio.to_thread(ask, str(server.port)) == 1


def test_nobody_who_answers_is_not_well(unused_tcp_port: int) -> None:
    assert ask(str(unused_tcp_port)) == 1


@pytest.mark.parametrize("arguments", [(), ("eighty",), ("80", "/healthz", "81")])
def test_a_wrong_command_line_is_told_apart(arguments: tuple[str, ...]) -> None:
    assert ask(*arguments) == 2
