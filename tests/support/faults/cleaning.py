"""Erasures beside the other faults: cleanup processes, a distribution, and kills at random."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from ops.local.account import Account
from ops.local.emulator import Emulator
from tests.support.faults.invariant import World
from tests.support.faults.proxy import Answer, Call
from tests.support.faults.rig import Rig, open_rig
from tests.support.faults.supervisor import Worker
from tests.support.person import Person

_numbers = count(1)


async def create_distribution(account: Account) -> str:
    """Create a distribution and return its ARN. It serves nothing; its invalidations are kept."""
    origin = {
        "Id": "origin",
        "DomainName": "pictures.example.com",
        "CustomOriginConfig": {
            "HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"
        },
    }  # fmt: skip
    behavior = {
        "TargetOriginId": "origin",
        "ViewerProtocolPolicy": "https-only",
        "MinTTL": 0,
        "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
    }
    config = {
        "CallerReference": f"faults-{next(_numbers)}",
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": behavior,
    }
    async with account.client("cloudfront") as cloudfront:
        made = await cloudfront.create_distribution(DistributionConfig=config)
    return str(made["Distribution"]["ARN"])


class Cleaning:
    """A rig with cleanup processes that invalidate the caches of a distribution."""

    def __init__(self, rig: Rig, distribution_id: str) -> None:
        self.rig = rig
        self.running: list[Worker] = []
        """The workers of all roles, of which any may be killed and replaced."""
        self.kills = 0
        self.invalidated: list[str] = []
        """What was invalidated, in the order of the calls, repeats included."""
        rig.proxy.watch(self._see)
        self._distribution_id = distribution_id

    async def start(self, role: str = "cleanup", **settings: str) -> Worker:
        """Start a worker that `kill_now_and_then` may kill. Names of `settings` have no prefix."""
        own = {"DISTRIBUTION_ID": self._distribution_id} if role == "cleanup" else {}
        worker = await self.rig.worker(role=role, environment=None, **own, **settings)
        self.running.append(worker)
        return worker

    async def replace(self, victim: Worker) -> None:
        """Kill a worker and start another in its role."""
        self.kills += 1
        self.running.remove(victim)
        victim.kill()
        await self.start(victim.role)

    async def kill_now_and_then(self) -> None:
        """Replace a worker, drawn at random, every few seconds, for ever."""
        draw = self.rig.random
        while True:
            await asyncio.sleep(draw.uniform(0.5, 4))
            await self.replace(draw.choice(self.running))

    @asynccontextmanager
    async def killing(self) -> AsyncIterator[None]:
        """Kill workers now and then during the block; afterwards one of each role runs."""
        task = asyncio.create_task(self.kill_now_and_then())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        running = {worker.role for worker in self.running}
        for role in {"uploads", "cleanup"} - running:
            await self.start(role)

    async def until_state(self, alice: Person, image_id: str, *states: str) -> None:
        """Wait until an erasure is in one of these states."""
        async with asyncio.timeout(240):
            while (await alice.receipt(image_id))["state"] not in states:
                await asyncio.sleep(0.1)

    def faults(self, world: World) -> list[str]:
        """List images that were delivered and erased, but not invalidated, and files in spools."""
        faults = [
            f"{image_id} could be delivered and was erased, but not invalidated"
            for image_id in {one["subject"] for one in world.completions}
            if world.records[image_id].erasure is not None
            and f"#img-{image_id}" not in self.invalidated
        ]
        return faults + [
            f"{path.name} is left in the spool of {worker.name}"
            for worker in self.running
            for path in worker.spool.rglob("*")
            if path.is_file()
        ]

    async def cleaned(self, *, seconds: float = 120, **expected: Any) -> World:
        """Wait until all erasures are complete, and assert the invariant and that of caches."""
        world = await self.rig.cleaned(seconds=seconds, **expected)
        faults = self.faults(world)
        assert not faults, "\n".join(faults)
        return world

    def _see(self, call: Call, answer: Answer) -> None:
        if call.operation == "CreateInvalidation" and answer.status == 201:
            self.invalidated += re.findall(r"<Path>(.*?)</Path>", call.body.decode())


@asynccontextmanager
async def open_cleaning(
    emulator: Emulator,
    directory: Path,
    *,
    name: str,
    seed: int,
) -> AsyncIterator[Cleaning]:
    """Deploy a stack whose caches a distribution holds, without any program yet."""
    arn = await create_distribution(emulator.account)
    async with open_rig(
        emulator,
        directory,
        name=name,
        seed=seed,
        parameters={"DistributionArn": arn},
    ) as rig:
        yield Cleaning(rig, arn.rpartition("/")[2])
