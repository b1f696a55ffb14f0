"""Erasures beside the other faults: cleanup processes, a distribution, and kills at random."""

import asyncio
import contextlib
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from ops.local.account import Account
from ops.local.emulator import Emulator
from safelight.erasures import By
from safelight.queued import EraseImage
from tests.support.faults.injector import Source
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
        self.references: defaultdict[str, set[str]] = defaultdict(set)
        """The references by what was invalidated. A repeat with the same one starts nothing."""
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

    async def picture(self, alice: Person, body: bytes, **request: Any) -> Source:
        """Request an upload and store the picture as by its form, without sending the event."""
        ticket = await alice.ask(body, **request)
        token = ticket["fields"]["x-amz-meta-upload-token"]
        return await self.rig.injector.put(body, key=ticket["key"], token=token)

    async def erase(self, source: Source, *, by: By = "operator") -> None:
        """Send the message that erases an image. Unlike the API's it is not delayed."""
        message = EraseImage(
            image_id=source.image_id, key=source.key, by=by, at=round(1000 * time.time())
        )
        url = self.rig.stack.cleanup_queue_url
        await self.rig.injector.send(message.to_json(), queue_url=url)

    async def until_state(self, alice: Person, image_id: str, *states: str, late: int = 0) -> None:
        """Wait until an erasure is in one of these states, after so many late objects."""
        path = f"/v1/images/{image_id}/erasure"
        async with asyncio.timeout(240):
            while True:
                receipt = await alice.request("GET", path, status=(200, 404))
                found = receipt.get("assets", {}).get("lateObjects", 0)
                if receipt.get("state") in states and found >= late:
                    return
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
            batch = call.body.decode()
            (reference,) = re.findall(r"<CallerReference>(.*?)</CallerReference>", batch)
            for path in re.findall(r"<Path>(.*?)</Path>", batch):
                self.invalidated.append(path)
                self.references[path].add(reference)


@asynccontextmanager
async def open_cleaning(
    emulator: Emulator,
    directory: Path,
    *,
    name: str,
    seed: int,
    remembered_calls: int | None = None,
) -> AsyncIterator[Cleaning]:
    """Deploy a stack whose caches a distribution holds, without any program yet."""
    arn = await create_distribution(emulator.account)
    async with open_rig(
        emulator,
        directory,
        name=name,
        seed=seed,
        remembered_calls=remembered_calls,
        parameters={"DistributionArn": arn},
    ) as rig:
        yield Cleaning(rig, arn.rpartition("/")[2])
