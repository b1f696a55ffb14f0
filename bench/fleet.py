"""Measures how a fleet of real workers works off a backlog.

Before the fleet starts, the sources are uploaded and their S3 events taken from the queue. The
measurement begins when the events are put back and ends when the queue is empty: no start-up.
"""

import asyncio
import json
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from ops.local.accounting import (
    cpu_seconds,
    cpu_seconds_with_reaped,
    family_of,
    machine_cpu_seconds,
)
from ops.local.system import LocalSystem
from safelight import keys, users
from safelight.aws.queue import BATCH_SIZE

T = TypeVar("T")

PROMPT_SECONDS = 0.01
"""An event-loop timer is prompt if it runs no later than this."""
UPLOADS_AT_ONCE = 8
LOOK_SECONDS = 0.25
STAGES = ("fetch", "probe", "render", "put", "commit", "publish")
_LAG = "safelight_event_loop_lag_seconds_bucket"


class Unsettled(Exception):
    """The fleet did not complete all of its pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """Processor time, user and system, in seconds."""

    parents: float
    """The workers' own processes: queue, AWS, files."""
    others: float
    """Their fork servers and render children, including those that have ended."""
    emulator: float
    machine: float
    """All processes on this machine."""

    def __sub__(self, before: Self) -> "Cpu":
        return Cpu(
            parents=self.parents - before.parents,
            others=self.others - before.others,
            emulator=self.emulator - before.emulator,
            machine=self.machine - before.machine,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One picture, as logged by its worker. Times in seconds."""

    end_to_end: float
    """From sending its event until its completion was published."""
    work: float
    """The part spent in its worker's stages, without waiting for memory."""
    render_cpu: float
    """CPU time of its child while rendering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A backlog that was worked off."""

    seconds: float
    cpu: Cpu
    settled: Sequence[Settled]
    prompt_share: float
    """Share of the workers' event-loop timers that ran promptly."""
    prompt_share_here: float
    """The same for this program, which is nearly idle: the best this machine allows."""

    @property
    def pictures(self) -> int:
        """Number of pictures."""
        return len(self.settled)

    @property
    def render_cpu(self) -> float:
        """CPU seconds that the children spent rendering, as measured by each."""
        return sum(one.render_cpu for one in self.settled)

    @property
    def other_cpu(self) -> float:
        """CPU seconds that all worker processes spent on anything else."""
        return self.cpu.parents + self.cpu.others - self.render_cpu


class Fleet:
    """Running workers, and the events not sent to them yet."""

    def __init__(self, system: LocalSystem, sqs: Any, events: Mapping[str, str]) -> None:
        self._system = system
        self._sqs = sqs
        self._events = dict(events)

    async def work_off(self, pictures: int) -> Run:
        """Send the events of this many pictures and wait until the queue is empty.

        Raises `Unsettled` unless each picture was completed.
        """
        images = list(self._events)[:pictures]
        events = {image_id: self._events.pop(image_id) for image_id in images}
        read = {worker: worker.log.stat().st_size for worker in self._system.workers}
        timers = await self._timers()
        before, started = self._cpu(), time.perf_counter()
        sent_at = await self._send(events)
        lateness = await self._until_empty()
        seconds, cpu = time.perf_counter() - started, self._cpu() - before
        timers = {bound: count - timers[bound] for bound, count in (await self._timers()).items()}
        settled = [
            _settled(line, sent_at)
            for worker, start in read.items()
            for line in _messages(worker.log, start)
        ]
        if len(settled) != pictures:
            raise Unsettled(f"{len(settled)} messages were handled, not {pictures}")
        return Run(
            seconds=seconds,
            cpu=cpu,
            settled=settled,
            prompt_share=timers[PROMPT_SECONDS] / timers[math.inf],
            prompt_share_here=sum(late <= PROMPT_SECONDS for late in lateness) / len(lateness),
        )

    async def _until_empty(self) -> list[float]:
        """Wait until no message is left; return by how many seconds each timer here ran late."""
        lateness = []
        while await self._holds_messages():
            for worker in self._system.workers:
                worker.check()
            due = time.perf_counter() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            lateness.append(time.perf_counter() - due)
        return lateness

    async def _send(self, events: Mapping[str, str]) -> Mapping[str, float]:
        """Send events; return the time of each image's event, in seconds since 1970."""
        sent_at: dict[str, float] = {}
        for batch in _batches(events, BATCH_SIZE):
            sent_at |= dict.fromkeys(batch, time.time())
            await self._sqs.send_message_batch(
                QueueUrl=self._system.stack.uploads_queue_url,
                Entries=[
                    {"Id": str(number), "MessageBody": events[image_id]}
                    for number, image_id in enumerate(batch)
                ],
            )
        return sent_at

    async def _holds_messages(self) -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = await self._sqs.get_queue_attributes(
            QueueUrl=self._system.stack.uploads_queue_url, AttributeNames=names
        )
        return any(int(answer["Attributes"][name]) for name in names)

    def _cpu(self) -> Cpu:
        pids = [worker.pid for worker in self._system.workers]
        families = [pid for pid in pids for pid in family_of(pid)]
        parents = sum(map(cpu_seconds, pids))
        return Cpu(
            parents=parents,
            others=cpu_seconds_with_reaped(families) - parents,
            emulator=cpu_seconds(self._system.emulator.child.pid),
            machine=machine_cpu_seconds(),
        )

    async def _timers(self) -> Mapping[float, float]:
        """Count the workers' event-loop timers by the upper bound of their lateness."""
        counts: defaultdict[float, float] = defaultdict(float)
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            for url in self._system.worker_urls.values():
                async with http.get(f"{url}/metrics") as answer:
                    page = await answer.text()
                for family in text_string_to_metric_families(page):
                    for sample in family.samples:
                        if sample.name == _LAG:
                            counts[float(sample.labels["le"])] += sample.value
        return counts


@asynccontextmanager
async def open_fleet(sources: Sequence[Path], *, workers: int, slots: int) -> AsyncIterator[Fleet]:
    """Upload the sources, take their events from the queue, and only then start the workers."""
    settings = {"SAFELIGHT_SLOTS": str(slots)}
    async with (
        LocalSystem(workers=0, worker_settings=settings) as system,
        system.account.client("s3") as s3,
        system.account.client("sqs") as sqs,
    ):
        await _upload(s3, system.stack.uploads_bucket, sources)
        events = await _take_events(sqs, system.stack.uploads_queue_url, len(sources))
        await asyncio.gather(*(system.start_worker() for _ in range(workers)))
        yield Fleet(system, sqs, events)


async def _upload(s3: Any, bucket: str, sources: Sequence[Path]) -> None:
    """Store every source under an image id of its own, in the order given."""
    bodies = {path: path.read_bytes() for path in set(sources)}
    for batch in _batches(sources, UPLOADS_AT_ONCE):
        images = [(keys.new_image_id(), path) for path in batch]
        await asyncio.gather(*(
            s3.put_object(
                Bucket=bucket,
                Key=keys.source_key(user_id=users.of_key("load"), image_id=image_id),
                Body=bodies[path],
            )
            for image_id, path in images
        ))  # fmt: skip


async def _take_events(sqs: Any, queue_url: str, uploads: int) -> Mapping[str, str]:
    """Take S3's messages from the queue; return bodies by image id, sorted."""
    events: dict[str, str] = {}
    while len(events) < uploads:
        answer = await sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=BATCH_SIZE, WaitTimeSeconds=1
        )
        messages = answer["Messages"]
        for message in messages:
            for record in json.loads(message["Body"]).get("Records", ()):  # its greeting has none
                _, image_id = record["s3"]["object"]["key"].rsplit("/", 1)
                events[image_id] = message["Body"]
        await sqs.delete_message_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ],
        )
    return dict(sorted(events.items()))


def _messages(log: Path, start: int) -> Iterator[Mapping[str, Any]]:
    """Read the wide log events of messages, from an offset in the log on."""
    with log.open("rb") as lines:
        lines.seek(start)
        for line in lines:
            event = json.loads(line)
            if event["event"] == "message":
                yield event


def _settled(message: Mapping[str, Any], sent_at: Mapping[str, float]) -> Settled:
    if message.get("outcome") != "completed":
        raise Unsettled(f"not completed: {json.dumps(message)}")
    ended = datetime.fromisoformat(message["timestamp"]).timestamp()
    return Settled(
        end_to_end=ended - sent_at[message["image_id"]],
        work=sum(message[f"{stage}_seconds"] for stage in STAGES),
        render_cpu=message["render_cpu_seconds"],
    )


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    return iter(lambda: list(islice(rest, size)), [])
