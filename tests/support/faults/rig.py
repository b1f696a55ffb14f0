"""Sets up everything that a fault test needs: a stack, a proxy, uploads and workers."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from ops.local.account import Principal
from ops.local.completions import Completions, subscribe
from ops.local.emulator import ROOT, Emulator
from ops.local.processes import Child
from ops.local.stack import Stack, deploy
from ops.local.system import LOCAL_SETTINGS
from safelight import keys
from safelight.record import Record
from tests.support.faults.injector import Injector
from tests.support.faults.invariant import (
    World,
    faults_of,
    read_assets,
    read_entries,
    read_records,
)
from tests.support.faults.proxy import FaultProxy
from tests.support.faults.remains import is_of_erasure, read_keys
from tests.support.faults.supervisor import Worker
from tests.support.person import Person

MAX_RECEIVES = 10
POLL_SECONDS = 0.1
"""Interval of reads of the queue's depth, each of which costs the emulator a signed request."""


class Rig:
    """A stack of its own on the embedded AWS, and the means to cause and observe faults."""

    def __init__(
        self, *, emulator: Emulator, stack: Stack, proxy: FaultProxy, injector: Injector,
        completions: Completions, clients: Mapping[str, Any], directory: Path, seed: int,
        opened: AsyncExitStack,
    ) -> None:  # fmt: skip
        self.emulator = emulator
        self.stack = stack
        self.proxy = proxy
        self.injector = injector
        self.random = random.Random(seed)
        self.received: list[Mapping[str, Any]] = []
        """Completions in the order of their arrival."""
        self.workers: list[Worker] = []
        self._completions = completions
        self._clients = clients
        self._directory = directory
        self._opened = opened
        self._numbers = count(1)

    async def worker(
        self,
        *,
        role: str = "uploads",
        environment: Mapping[str, str] | None = None,
        **settings: str,
    ) -> Worker:
        """Start a worker behind the proxy. Names of `settings` have no prefix."""
        return await self._start(role, {**_prefixed(settings), **(environment or {})})

    async def fleet(self, number: int, **settings: str) -> list[Worker]:
        """Start several workers at once."""
        environment = _prefixed(settings)
        started = (self._start("uploads", environment) for _ in range(number))
        return list(await asyncio.gather(*started))

    async def _start(self, role: str, environment: Mapping[str, str]) -> Worker:
        name = f"worker-{next(self._numbers)}"
        worker = await Worker.start(
            name, self.stack, self.proxy.url, self._directory, role, **environment
        )
        self.workers.append(worker)
        return worker

    async def alice(self) -> Person:
        """Start an api without the proxy; return the user who owns the uploads, signed in."""
        child = self._api(self.emulator.endpoint_url)
        http = await self._opened.enter_async_context(aiohttp.ClientSession())
        return Person(http, await child.listening(), "sl_alice")

    async def api(self) -> Child:
        """Start an api behind the proxy, which knows alice's key, and wait until it listens."""
        child = self._api(self.proxy.url)
        await child.listening()
        return child

    async def delivery(self) -> Child:
        """Start an api in the role delivery behind the proxy, and wait until it listens."""
        settings = {
            **self.stack.delivery_settings(),
            "SAFELIGHT_PRESETS": str(ROOT / "presets.toml"),
            "SAFELIGHT_SPOOL": str(self._directory),
        }
        child = self._api(self.proxy.url, self.stack.delivery, **settings)
        await child.listening()
        return child

    def _api(self, endpoint_url: str, principal: Principal | None = None, **settings: str) -> Child:
        name = f"api-{next(self._numbers)}"
        child = Child(
            name,
            [sys.executable, "-m", "api"],
            environment={
                **(principal or self.stack.api).environment(endpoint_url),
                "AWS_SDK_UA_APP_ID": name,  # so that a proxy knows the caller
                **LOCAL_SETTINGS,
                **self.stack.settings(),
                "SAFELIGHT_PORT": "0",
                "SAFELIGHT_CLEANUP_QUEUE_URL": self.stack.cleanup_queue_url,
                "SAFELIGHT_API_KEYS": f"alice:{sha256(b'sl_alice').hexdigest()}",
                **settings,
            },
            log=self._directory / f"{name}.log",
            directory=ROOT,
        )
        self._opened.push_async_callback(child.stop)
        return child

    async def safelight(self, *arguments: str) -> str:
        """Run the operator's command with OperatorPolicy; return its output. It must succeed."""
        command = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("safelight"),
            *arguments,
            env={
                "PATH": os.environ["PATH"],
                **self.stack.operator.environment(self.emulator.endpoint_url),
                **self.stack.settings(),
                "SAFELIGHT_RENDERS_QUEUE_URL": self.stack.renders_queue_url,
                "SAFELIGHT_CLEANUP_QUEUE_URL": self.stack.cleanup_queue_url,
                "SAFELIGHT_DEAD_LETTER_QUEUE_URL": self.stack.dead_letter_queue_url,
            },
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await command.communicate()
        assert command.returncode == 0
        return output.decode()

    async def show(self, receipt: str) -> None:
        """Make a message visible now, although it was hidden for longer."""
        await self._clients["sqs"].change_message_visibility(
            QueueUrl=self.stack.uploads_queue_url, ReceiptHandle=receipt, VisibilityTimeout=0
        )

    async def depth(self, url: str | None = None) -> tuple[int, int]:
        """Count visible and in-flight messages of one queue, or of both queues of workers."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        urls = [url] if url else [self.stack.uploads_queue_url, self.stack.renders_queue_url]
        visible = in_flight = 0
        for one in urls:
            answer = await self._clients["sqs"].get_queue_attributes(
                QueueUrl=one, AttributeNames=["All"]
            )
            counts = [int(answer["Attributes"][name]) for name in names]
            visible, in_flight = visible + counts[0], in_flight + counts[1]
        return visible, in_flight

    async def until_empty(self, *, seconds: float = 60) -> None:
        """Wait until no message is left: all are settled or dead letters."""
        depth = None
        try:
            async with asyncio.timeout(seconds):
                while (depth := await self.depth()) != (0, 0):
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"after {seconds:g} s the queue holds {depth}") from None

    async def until_cleaned(self, *, seconds: float = 120) -> None:
        """Wait until no message is left for uploads, renders or cleanup, not even a delayed one."""
        url, names = self.stack.cleanup_queue_url, ("", "NotVisible", "Delayed")
        async with asyncio.timeout(seconds):
            while True:
                await self.until_empty(seconds=seconds)
                answer = await self._clients["sqs"].get_queue_attributes(
                    QueueUrl=url, AttributeNames=["All"]
                )
                counts = answer["Attributes"]
                if not any(int(counts[f"ApproximateNumberOfMessages{name}"]) for name in names):
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def cleaned(self, *, seconds: float = 120, **expected: Any) -> World:
        """Wait until all erasures are complete, and assert the invariant."""
        await self.until_cleaned(seconds=seconds)
        return await self.check(**expected)

    async def records(self) -> dict[str, Record]:
        return await read_records(self._clients["dynamodb"], self.stack.table)

    async def assets(self) -> dict[str, Any]:
        return await read_assets(self._clients["s3"], self.stack.assets_bucket)

    async def completions(self) -> list[Mapping[str, Any]]:
        """Receive all completions published so far; return all received ones, repeats included."""
        while await self.some_completions():
            pass
        return self.received

    async def some_completions(self) -> Sequence[Mapping[str, Any]]:
        """Wait a moment for completions; return at most ten. Cancelled, it loses none."""
        receiving = asyncio.ensure_future(self._receive())
        try:
            return await asyncio.shield(receiving)
        except asyncio.CancelledError:
            await receiving
            raise

    async def _receive(self) -> Sequence[Mapping[str, Any]]:
        came = await self._completions.receive()
        self.received += came
        return came

    async def dead_letters(self) -> list[Mapping[str, Any]]:
        """Receive the messages of the dead-letter queue; they return to it after a minute."""
        letters: list[Mapping[str, Any]] = []
        while True:
            answer = await self._clients["sqs"].receive_message(
                QueueUrl=self.stack.dead_letter_queue_url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=60,
                MessageAttributeNames=["All"],
            )
            if not answer.get("Messages"):
                return letters
            letters += answer["Messages"]

    async def check(self, **expected: Any) -> World:
        """Assert the invariant with what `faults_of` expects; return the state that was checked."""
        world = await self.world()
        faults = faults_of(world, self.injector.notified, **expected)
        assert not faults, "\n".join(faults)
        return world

    async def world(self) -> World:
        """Read everything that is stored and queued now."""
        visible, in_flight = await self.depth()
        events = await self.completions()
        s3, bucket = self._clients["s3"], self.stack.uploads_bucket
        return World(
            records=await self.records(),
            assets=await self.assets(),
            completions=[event for event in events if not is_of_erasure(event)],
            erasures=[event for event in events if is_of_erasure(event)],
            sources=await read_keys(s3, bucket, keys.UPLOADS_PREFIX),
            ledger=await read_keys(s3, bucket, "erasures/"),
            entries=await read_entries(self._clients["dynamodb"], self.stack.table),
            queued=visible,
            in_flight=in_flight,
            dead_letters=[letter["Body"] for letter in await self.dead_letters()],
        )

    async def settled(self, *, seconds: float = 60, **expected: Any) -> World:
        """Wait until no message is left, and assert the invariant."""
        await self.until_empty(seconds=seconds)
        return await self.check(**expected)

    async def stop(self) -> None:
        """Kill every worker that still runs, including frozen ones."""
        for worker in self.workers:
            worker.kill()


def _prefixed(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"SAFELIGHT_{name}": value for name, value in settings.items()}


@asynccontextmanager
async def open_rig(
    emulator: Emulator,
    directory: Path,
    *,
    name: str,
    seed: int = 0,
    remembered_calls: int | None = None,
    parameters: dict[str, str] | None = None,
) -> AsyncIterator[Rig]:
    """Deploy a stack of this name with these parameters, and set up the rig around it."""
    account = emulator.account
    async with AsyncExitStack() as opened:
        stack = await deploy(account, name=name, parameters=parameters)
        clients = {
            service: await opened.enter_async_context(account.client(service))
            for service in ("s3", "sqs", "dynamodb")
        }
        injector = Injector(clients["s3"], clients["sqs"], stack)
        await injector.silence()
        proxy = FaultProxy(emulator.endpoint_url, seed=seed, remembered=remembered_calls)
        rig = Rig(
            emulator=emulator,
            stack=stack,
            proxy=await opened.enter_async_context(proxy),
            injector=injector,
            completions=await opened.enter_async_context(
                subscribe(account, stack.topic_arn, queue_name=f"{name}-completions")
            ),
            clients=clients,
            directory=directory,
            seed=seed,
            opened=opened,
        )
        opened.push_async_callback(rig.stop)
        yield rig
