"""The role `cleanup` among fakes, with a clock that jumps to the next delayed message."""

import heapq
from collections.abc import Mapping
from itertools import count

from prometheus_client import CollectorRegistry

from safelight import keys
from safelight.aws.queue import Message
from safelight.errors import SafelightError
from safelight.queued import EraseImage
from safelight.record import Record, Status
from safelight.tags import entries_of
from tests.support.fakes import (
    IDS,
    FakeAsset,
    FakeCdn,
    FakeDeadLetters,
    FakeDeletions,
    FakeDocuments,
    FakeInventory,
    FakeObjects,
    FakeRecords,
    FakeTombstones,
    FakeTopic,
)
from worker.cleanup.cleanup import Cleanup
from worker.cleanup.delete_objects import Objects
from worker.cleanup.erase_image import ImageErasures, Pauses
from worker.cleanup.erase_user import UserErasures
from worker.cleanup.metrics import CleanupMetrics
from worker.cleanup.remains import Remover
from worker.verdict import Progress

BUCKET = "uploads-bucket"
IMAGE = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB"
KEY = keys.source_key(user_id="key:alice", image_id=IMAGE)
START = 1_800_000_000
"""In seconds since 1970."""
AT = 1000 * START
COMPLETED = Record(
    image_id=IMAGE,
    user_id="key:alice",
    uploaded_at=AT - 5000,
    original_key=KEY,
    status=Status.COMPLETED,
    filename="IMG_1.JPG",
    tags=("sea", "summer"),
    tags_version=1,
    revision="v1",
    version_id="v1",
    sequencer=keys.padded_sequencer("10"),
)


class Vault:
    """Cleanup, and the buckets, table, topic and caches that it clears."""

    def __init__(self, record: Record | None = COMPLETED, *, caches: bool = True) -> None:
        self.now = float(START)
        self.registry = CollectorRegistry()
        self.objects = FakeObjects()
        self.records = FakeRecords(*([record] if record else []))
        self.tombstones = FakeTombstones(self.records)
        self.deletions = FakeDeletions(self.objects)
        self.ledger = FakeDocuments()
        self.topic = FakeTopic()
        self.cdn = FakeCdn()
        self.queue = FakeDeadLetters()
        self.sent: list[str] = []
        """The bodies of the messages that cleanup sent."""
        metrics = CleanupMetrics(self.registry)
        inventory, cdn = FakeInventory(self.objects), self.cdn if caches else None
        remover = Remover(
            records=self.records,
            inventory=inventory,
            deletions=self.deletions,
            tags=self.tombstones,
            metrics=metrics,
            ids=IDS,
            uploads_bucket=BUCKET,
        )
        self.cleanup = Cleanup(
            images=ImageErasures(
                records=self.records,
                tombstones=self.tombstones,
                ledger=self.ledger,
                remover=remover,
                topic=self.topic,
                cdn=cdn,
                queue=self.queue,
                pauses=Pauses(before_invalidation_ms=20_000, before_last_look_ms=900_000),
                metrics=metrics,
                now=lambda: self.now,
            ),
            users=UserErasures(
                records=self.records,
                tombstones=self.tombstones,
                counts=self.ledger,
                topic=self.topic,
                queue=self.queue,
                wait_seconds=300,
                index_lag_ms=60_000,
                metrics=metrics,
                now=lambda: self.now,
            ),
            objects=Objects(
                records=self.records,
                inventory=inventory,
                deletions=self.deletions,
                cdn=cdn,
                queue=self.queue,
                pause_ms=20_000,
                metrics=metrics,
            ),
        )
        self._waiting: list[tuple[float, int, str]] = []
        self._numbers = count()

    async def fill(self, *, assets: int = 2) -> None:
        """Store two versions of the source with a delete marker between, assets and tag entries."""
        for body in (b"first", None, b"second"):
            self.objects.upload(KEY, body)
        for number in range(assets):
            self.put_asset(f"v{number}")
        for entry in entries_of(COMPLETED):
            await self.records.put_tag(entry)

    def put_asset(self, revision: str, image_id: str = IMAGE) -> str:
        """Store an asset of seven bytes; return its key."""
        key = keys.asset_key(
            image_id=image_id,
            revision=revision,
            preset="small",
            fingerprint="0123456789ab",
            extension="webp",
        )
        self.objects.assets[key] = FakeAsset(body=b"picture", media_type="image/webp", sha256="0")
        return key

    async def process(self, body: str) -> Progress:
        """Process one message, and take what it sent."""
        message = Message(
            message_id="m", receipt="r", body=body, receive_count=1, sent_at=0, received_at=0
        )
        try:
            return await self.cleanup.process(message)
        finally:
            for letter in self.queue.letters:
                self.sent.append(letter.body)
                due = (self.now + letter.delay_seconds, next(self._numbers), letter.body)
                heapq.heappush(self._waiting, due)
            self.queue.letters.clear()

    async def step(self) -> bool:
        """Move the clock to the next message and process it; return whether there was one."""
        if not self._waiting:
            return False
        due, _, body = heapq.heappop(self._waiting)
        self.now = max(self.now, due)
        await self.process(body)
        return True

    async def run(self, *, most: int = 50) -> None:
        """Process messages until none is left."""
        for _ in range(most):
            if not await self.step():
                return
        raise AssertionError(f"more than {most} messages")

    def lose(self) -> None:
        """Lose the messages that wait."""
        self._waiting.clear()

    async def run_until(self, end: float) -> None:
        """Process the messages that are due until then, in seconds since 1970."""
        while self._waiting and self._waiting[0][0] < end:
            await self.step()
        self.now = end

    async def deliver(self, body: str, *, most: int = 200) -> None:
        """Process a message and all that follow. One that fails comes back after a second."""
        heapq.heappush(self._waiting, (self.now, next(self._numbers), body))
        for _ in range(most):
            waiting = self._waiting[0] if self._waiting else None
            try:
                if not await self.step():
                    return
            except SafelightError:
                assert waiting is not None
                again = (self.now + 1, next(self._numbers), waiting[2])
                heapq.heappush(self._waiting, again)
        raise AssertionError(f"more than {most} messages")

    async def erase(self, **changes: object) -> Progress:
        return await self.process(asked(**changes).to_json())

    @property
    def tombstone(self) -> Record:
        return self.records.records[IMAGE]

    @property
    def state(self) -> str:
        erasure = self.tombstone.erasure
        return erasure.state if erasure else "none"

    @property
    def empty(self) -> bool:
        """Whether nothing of the image is left but its tombstone and its entry in the ledger."""
        versions = any(self.objects.sources.values())
        return not (versions or self.objects.assets or self.records.entries)

    def published(self, kind: str) -> list[str]:
        """Return the ids of the published events of a type."""
        return [one.id for one in self.topic.published if one.type == kind]

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"safelight_{name}", labels) or 0


def asked(**changes: object) -> EraseImage:
    fields: Mapping[str, object] = {"image_id": IMAGE, "key": KEY, "by": "owner", "at": AT}
    return EraseImage.model_validate({**fields, **changes})
