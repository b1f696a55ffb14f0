"""Asking the ECS agent for protection from scaling in, against a stub that answers as it does."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from safelight.settings import InvalidSettings
from tests.support.fakes import ID_SECRET
from worker.protection import AGAIN_SECONDS, IDLE_SECONDS, RENEW_SECONDS, Protection
from worker.settings import WorkerSettings

GRANTED = {"protection": {"ProtectionEnabled": True, "TaskArn": "arn:task"}}
ON = {"ProtectionEnabled": True, "ExpiresInMinutes": 5}
OFF = {"ProtectionEnabled": False}


class Agent:
    """The agent's endpoint, a clock, and a worker that may be busy."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status, self.answer = 200, dict[str, Any](GRANTED)
        self.time = 1000.0
        self.working = 0
        self.protection: Protection

    async def put(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        return web.json_response(self.answer, status=self.status)

    async def after(self, seconds: float) -> list[dict[str, Any]]:
        """Let time pass, look once, and tell what was asked for meanwhile."""
        self.time += seconds
        before = len(self.asked)
        await self.protection.keep()
        return self.asked[before:]


@pytest.fixture
async def agent(aiohttp_server: Any) -> AsyncIterator[Agent]:
    stub = Agent()
    app = web.Application()
    app.router.add_put("/api/task-protection/v1/state", stub.put)
    server = await aiohttp_server(app)
    async with aiohttp.ClientSession() as http:
        stub.protection = Protection(
            http, str(server.make_url("/api")), working=lambda: stub.working, now=lambda: stub.time
        )
        yield stub


async def test_an_idle_worker_asks_for_nothing(agent: Agent) -> None:
    assert await agent.after(0) == []
    assert await agent.after(1000) == []


async def test_a_busy_worker_is_protected_and_stays_so(agent: Agent) -> None:
    agent.working = 1
    assert await agent.after(0) == [ON]
    assert await agent.after(RENEW_SECONDS - 1) == []
    assert await agent.after(1) == [ON]


async def test_a_worker_that_has_been_idle_for_a_while_gives_it_up_once(agent: Agent) -> None:
    agent.working = 1
    await agent.after(0)
    agent.working = 0
    assert await agent.after(IDLE_SECONDS - 1) == []
    assert await agent.after(1) == [OFF]
    assert await agent.after(1) == []
    agent.working = 1
    assert await agent.after(RENEW_SECONDS) == [ON]


async def test_work_after_a_pause_is_protected_at_once(agent: Agent) -> None:
    agent.working = 1
    await agent.after(0)
    agent.working = 0
    await agent.after(IDLE_SECONDS)
    agent.working = 1
    assert await agent.after(1) == [ON]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"failure": {"Arn": "arn:task", "Reason": "DEPLOYMENT_BLOCKED"}}),
        (400, {"error": {"Code": "AccessDeniedException"}}),
        (500, {}),
    ],
)
async def test_a_refusal_is_asked_again_later_and_stops_nothing(
    agent: Agent, status: int, answer: dict[str, Any]
) -> None:
    agent.working = 1
    agent.status, agent.answer = status, answer
    assert await agent.after(0) == [ON]
    assert await agent.after(AGAIN_SECONDS - 1) == []
    agent.status, agent.answer = 200, GRANTED
    assert await agent.after(1) == [ON]
    assert await agent.after(AGAIN_SECONDS) == []


async def test_an_agent_that_is_not_there_stops_nothing(unused_tcp_port: int) -> None:
    async with aiohttp.ClientSession() as http:
        nobody = f"http://127.0.0.1:{unused_tcp_port}"
        await Protection(http, nobody, working=lambda: 1).keep()


def test_it_is_off_unless_asked_for_and_needs_ecs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UPLOADS_BUCKET", "ASSETS_BUCKET", "TABLE", "QUEUE_URL", "TOPIC_ARN"):
        monkeypatch.setenv(f"SAFELIGHT_{name}", "named")
    monkeypatch.setenv("SAFELIGHT_ID_SECRET", ID_SECRET)
    monkeypatch.delenv("ECS_AGENT_URI", raising=False)
    assert WorkerSettings.load().scale_in_protection is False
    monkeypatch.setenv("SAFELIGHT_SCALE_IN_PROTECTION", "true")
    with pytest.raises(InvalidSettings, match="needs ECS_AGENT_URI"):
        WorkerSettings.load()
    monkeypatch.setenv("ECS_AGENT_URI", "http://169.254.170.2/api/task")
    assert WorkerSettings.load().scale_in_protection is True
