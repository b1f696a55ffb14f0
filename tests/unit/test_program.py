"""The shell around both programs."""

import asyncio
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from safelight.errors import InvalidConfiguration, Misconfigured, Refused, Unavailable
from safelight.program import (
    NOT_STARTED,
    SET_UP_WRONGLY,
    STOPPED,
    Program,
    background,
    serve,
)
from safelight.settings import Settings


def program(run: Any) -> Program[Settings, None]:
    return Program(
        service="worker",
        description="A program.",
        settings=Settings,
        read_files=lambda _: None,
        run=run,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, STOPPED),
        (Misconfigured("sqs", "no such queue"), SET_UP_WRONGLY),
        (InvalidConfiguration(["presets.toml: a fault"]), SET_UP_WRONGLY),
        (Unavailable("sqs", "down"), NOT_STARTED),
        (Refused("sqs", "no"), NOT_STARTED),
        (OSError("the port is taken"), NOT_STARTED),
    ],
)
def test_the_exit_code_says_why_a_program_did_not_start(error: Exception | None, code: int) -> None:
    async def run(*_: Any) -> None:
        if error:
            raise error

    with structlog.testing.capture_logs() as events:
        assert program(run)._run(Settings(), None) == code
    assert [event["event"] for event in events] == (["not_started"] if error else [])


def test_a_bug_is_not_hidden_behind_an_exit_code() -> None:
    async def run(*_: Any) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        program(run)._run(Settings(), None)


async def test_a_served_application_logs_its_url() -> None:
    with structlog.testing.capture_logs() as events:
        async with serve(web.Application(), host="127.0.0.1", port=0, shutdown_seconds=2):
            (event,) = [event for event in events if event["event"] == "listening"]
            assert event["url"].startswith("http://127.0.0.1:")
            async with aiohttp.request("GET", event["url"]) as answer:
                assert answer.status == 404


async def test_background_work_ends_with_its_block() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background(work()):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_background_work_that_fails_ends_its_block() -> None:
    async def work() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(ExceptionGroup):
        async with background(work()):
            await asyncio.Event().wait()
