"""Asks ECS not to choose this task when scaling in, while pictures are being worked on.

Not needed: a worker that is chosen drains. For those who would rather not have it chosen at all; it
does not hold on Spot. The agent's endpoint is in every ECS container:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

import aiohttp
import structlog

log = structlog.get_logger()

INTERVAL_SECONDS = 1
IDLE_SECONDS = 30
"""How long a worker stays protected after its last picture: the agent is not asked for each one."""
EXPIRES_MINUTES = 5
"""What is asked for: a worker that hangs is not protected for ever."""
RENEW_SECONDS = 120
AGAIN_SECONDS = 10
"""After a refusal; the agent allows a few requests a second for all tasks of a service."""
ANSWER_SECONDS = 5


class Protection:
    """The one task's protection, kept as work comes and goes."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        agent_uri: str,
        *,
        working: Callable[[], int],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._url = f"{agent_uri.rstrip('/')}/task-protection/v1/state"
        self._working = working
        self._now = now
        self._busy_at = float("-inf")
        self._protected = False
        self._renew_at = float("inf")
        self._again_at = float("-inf")

    async def watch(self) -> None:
        """Keep it until cancelled."""
        while True:
            await self.keep()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def keep(self) -> None:
        """Look once whether the agent has to be asked for anything, and ask."""
        now = self._now()
        if self._working():
            self._busy_at = now
        wanted = now - self._busy_at < IDLE_SECONDS
        due = wanted != self._protected or (wanted and now >= self._renew_at)
        if not due or now < self._again_at:
            return
        if await self._ask(wanted):
            self._protected, self._renew_at = wanted, now + RENEW_SECONDS
        else:
            self._again_at = now + AGAIN_SECONDS

    async def _ask(self, wanted: bool) -> bool:
        """Ask the agent; tell whether it agreed. Whatever goes wrong, pictures go on."""
        request: dict[str, bool | int] = {"ProtectionEnabled": wanted}
        if wanted:
            request["ExpiresInMinutes"] = EXPIRES_MINUTES
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self._http.put(self._url, json=request, timeout=timeout) as answer:
                told = await answer.text()
                agreed = answer.status == HTTPStatus.OK and '"protection"' in told
        except (aiohttp.ClientError, TimeoutError) as error:
            told, agreed = repr(error), False
        if not agreed:
            log.warning("not_protected", wanted=wanted, answer=told[:500])
        return agreed
