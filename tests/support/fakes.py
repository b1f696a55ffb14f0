"""Fakes of the AWS edges, in memory. They pass the same contract suites as the real ones.

The suites are in tests/contract. Every fake can be made to fail:
`fake.fail_next["fetch"] = [None, Unavailable("s3", "slow down")]` lets the next fetch succeed and
the one after it fail.
"""

import asyncio
import hashlib
import json
import time
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from safelight.aws.inventory import SourceVersion, StoredAsset
from safelight.aws.objects import PART_BYTES, Asset, Fetched, ObjectVersion
from safelight.aws.presign import PresignedGet, PresignedPost, PresignedPut
from safelight.aws.queue import LONGEST_DELAY_SECONDS, NO_ATTRIBUTES, Depth, Failure, Message
from safelight.aws.records import Commit
from safelight.aws.topic import Event
from safelight.days import shard_of
from safelight.erasures import By, Erasure
from safelight.errors import Reason, Rejection, StaleUpload, Superseded, Unavailable
from safelight.faces import Face, Faces, kept
from safelight.files import open_result
from safelight.image_ids import ImageIds
from safelight.imaging.appearance import Appearance
from safelight.keys import assets_prefix
from safelight.record import Record, Status
from safelight.search import EDGE, EVERYONE, Found, Position, Search, Settled, Summary
from safelight.tags import TagEntry, entry_of
from safelight.users import ERASED

ID_SECRET = "the-secret-of-ids-in-the-tests-only"
IDS = ImageIds(ID_SECRET)
"""Derives image ids in tests."""
APPEARANCE = Appearance(
    placeholder="3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    dominant_colour="#102030",
    perceptual_hash="00ff00ff00ff00ff",
)
"""The appearance of every picture that fakes render."""


class Fake:
    """Counts calls by operation, and raises the errors in `fail_next`."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.fail_next: defaultdict[str, list[Exception | None]] = defaultdict(list)

    def _called(self, operation: str) -> None:
        self.calls[operation] += 1
        outcomes = self.fail_next[operation]
        if outcomes and (error := outcomes.pop(0)) is not None:
            raise error


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeVersion:
    """One version of a source; a delete marker if it has no body."""

    version_id: str
    body: bytes | None
    modified_at: float = 1_793_588_645.0
    upload_token: str | None = None

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body or b"", usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeAsset:
    body: bytes
    media_type: str
    sha256: str
    cache_control: str = "public, max-age=31536000, immutable"


class FakeObjects(Fake):
    """A versioned uploads bucket and an assets bucket."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: defaultdict[str, list[FakeVersion]] = defaultdict(list)
        self.assets: dict[str, FakeAsset] = {}
        self._numbers = count(1)

    def upload(self, key: str, body: bytes | None, *, token: str | None = None) -> FakeVersion:
        """Store a new version, as a client would; None stores a delete marker."""
        version = FakeVersion(version_id=f"v{next(self._numbers)}", body=body, upload_token=token)
        self.sources[key].append(version)
        return version

    async def fetch(
        self, *, key: str, version_id: str | None, etag: str | None, to: Path, max_bytes: int,
        seconds: float = 60,
        upload_tokens: Collection[str | None] | None = None,
    ) -> Fetched:  # fmt: skip
        self._called("fetch")
        version = self._version(key, version_id)
        if version is None or version.body is None:
            raise Rejection(Reason.SOURCE_GONE, f"{key} is gone")
        if upload_tokens is not None and version.upload_token not in upload_tokens:
            raise StaleUpload(f"{key} has another token")
        if etag is not None and etag.strip('"') != version.etag:
            if version_id is None:
                raise Superseded(f"{key} was replaced")
            raise Unavailable("s3", f"{key} has another ETag than its event")
        if len(version.body) > max_bytes:
            raise Rejection(Reason.TOO_MANY_BYTES, f"{len(version.body)} bytes")
        to.write_bytes(version.body)
        digest = hashlib.sha256(version.body).hexdigest()
        return Fetched(size_bytes=len(version.body), sha256=digest)

    def _version(self, key: str, version_id: str | None) -> FakeVersion | None:
        versions = self.sources.get(key, [])
        if version_id is None:
            return versions[-1] if versions else None
        return next((one for one in versions if one.version_id == version_id), None)

    async def put(self, *, key: str, path: Path, media_type: str, sha256: str) -> None:
        self._called("put")
        with open_result(path) as file:
            body = file.read()
        if hashlib.sha256(body).hexdigest() != sha256:
            raise Unavailable("s3", f"{key} did not arrive as it was sent")
        self.assets[key] = FakeAsset(body=body, media_type=media_type, sha256=sha256)

    async def read(self, key: str, *, max_bytes: int, first: int = 0) -> Asset | None:
        self._called("read")
        stored = self.assets.get(key)
        if stored and len(stored.body) > max_bytes:
            raise Rejection(Reason.TOO_MANY_BYTES, f"{len(stored.body)} bytes")
        part = stored.body[first : first + PART_BYTES] if stored else b""
        return self._asset(stored, part) if stored and part else None

    async def current_version(self, key: str) -> ObjectVersion | None:
        self._called("current_version")
        version = self._version(key, None)
        if version is None or version.body is None:
            return None
        return ObjectVersion(
            version_id=version.version_id,
            etag=version.etag,
            size_bytes=len(version.body),
            media_type="binary/octet-stream",
            modified_at=version.modified_at,
        )

    async def look(self, key: str) -> Asset | None:
        self._called("look")
        stored = self.assets.get(key)
        return self._asset(stored, None) if stored else None

    def _asset(self, stored: FakeAsset, body: bytes | None) -> Asset:
        return Asset(
            media_type=stored.media_type,
            size_bytes=len(stored.body),
            sha256=stored.sha256,
            body=body,
        )


class FakeInventory(Fake):
    """The lists of the buckets of `FakeObjects`."""

    def __init__(self, objects: FakeObjects) -> None:
        super().__init__()
        self._objects = objects

    async def assets(self, image_id: str) -> tuple[StoredAsset, ...]:
        self._called("assets")
        return tuple(
            StoredAsset(key=key, size_bytes=len(asset.body), modified_at=1_793_588_645.0)
            for key, asset in sorted(self._objects.assets.items())
            if key.startswith(assets_prefix(image_id))
        )

    async def versions(self, key: str) -> tuple[SourceVersion, ...]:
        self._called("versions")
        stored = self._objects.sources.get(key, [])
        return tuple(
            SourceVersion(
                version_id=version.version_id,
                size_bytes=None if version.body is None else len(version.body),
                modified_at=version.modified_at,
                latest=version is stored[-1],
            )
            for version in reversed(stored)
        )

    async def source_keys(self) -> AsyncIterator[str]:
        self._called("source_keys")
        for key in sorted(self._objects.sources):
            if self._objects.sources[key]:
                yield key

    async def keys_below(self, prefix: str) -> AsyncIterator[tuple[str, float]]:
        self._called("keys_below")
        for key, stored in sorted(self._objects.sources.items()):
            if key.startswith(prefix) and stored:
                yield key, stored[-1].modified_at


class FakeDeletions(Fake):
    """Deletes from the buckets of `FakeObjects`."""

    def __init__(self, objects: FakeObjects) -> None:
        super().__init__()
        self._objects = objects

    async def versions(self, key: str, version_ids: Sequence[str]) -> None:
        self._called("versions")
        stored = self._objects.sources[key]
        stored[:] = [one for one in stored if one.version_id not in version_ids]

    async def assets(self, keys: Sequence[str]) -> None:
        self._called("assets")
        for key in keys:
            self._objects.assets.pop(key, None)


class FakeDocuments(Fake):
    """The documents in the uploads bucket."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}

    async def add(self, key: str, text: str) -> bool:
        self._called("add")
        if key in self.texts:
            return False
        self.texts[key] = text
        return True

    async def put(self, key: str, text: str) -> None:
        self._called("put")
        self.texts[key] = text

    async def read(self, key: str, *, lists: bool = True) -> str | None:
        self._called("read")
        return self.texts.get(key)


class FakeCdn(Fake):
    """A distribution. Its invalidations end at once, unless `slow` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.distribution_id = "E2FAKE"
        self.slow = False
        self.invalidated: dict[str, str] = {}
        """What was invalidated, by reference."""

    async def invalidate(self, what: str, *, reference: str) -> str:
        self._called("invalidate")
        self.invalidated.setdefault(reference, what)
        return f"I-{reference}"

    async def has_finished(self, invalidation: str) -> bool:
        self._called("has_finished")
        return not self.slow


class FakePresigner(Fake):
    """Makes URLs without a signature that contain the requested conditions."""

    def __init__(self, *, endpoint_url: str = "https://uploads.example") -> None:
        super().__init__()
        self.endpoint_url = endpoint_url

    async def post(
        self, *, key: str, content_type: str, size_bytes: int, sha256: str | None = None,
        upload_token: str | None = None, expires_seconds: int,
    ) -> PresignedPost:  # fmt: skip
        self._called("post")
        policy = {
            "key": key,
            "Content-Type": content_type,
            "content-length-range": [min(1, size_bytes), size_bytes],
            "x-amz-checksum-sha256": sha256,
            "expires_seconds": expires_seconds,
        }
        fields = {"key": key, "Content-Type": content_type, "policy": json.dumps(policy)}
        if upload_token:
            fields["x-amz-meta-upload-token"] = upload_token
        expires_at = _ends_in(expires_seconds)
        return PresignedPost(url=self.endpoint_url, fields=fields, expires_at=expires_at)

    async def put(
        self, *, key: str, content_type: str, size_bytes: int, sha256: str | None = None,
        upload_token: str | None = None, expires_seconds: int,
    ) -> PresignedPut:  # fmt: skip
        self._called("put")
        headers = {"Content-Type": content_type}
        if sha256:
            headers["x-amz-checksum-sha256"] = b64encode(bytes.fromhex(sha256)).decode()
        if upload_token:
            headers["x-amz-meta-upload-token"] = upload_token
        return PresignedPut(
            url=self._url(key, expires_seconds),
            headers=headers,
            expires_at=_ends_in(expires_seconds),
        )

    async def get_asset(self, *, key: str, expires_seconds: int) -> PresignedGet:
        self._called("get_asset")
        url = self._url(key, expires_seconds)
        return PresignedGet(url=url, expires_at=_ends_in(expires_seconds))

    async def get_source(
        self,
        *,
        key: str,
        content_disposition: str,
        expires_seconds: int,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> PresignedGet:
        self._called("get_source")
        url = self._url(key, expires_seconds) + f"&method={method}"
        url += "&response-content-disposition=" + quote(content_disposition, safe="")
        return PresignedGet(url=url, expires_at=_ends_in(expires_seconds))

    def _url(self, key: str, expires_seconds: int) -> str:
        return f"{self.endpoint_url}/{key}?X-Amz-Expires={expires_seconds}&X-Amz-Signature=fake"


def _ends_in(seconds: int) -> int:
    return int(time.time()) + seconds


KEPT = (
    "user_id",
    "uploaded_at",
    "original_key",
    "filename",
    "tags",
    "tags_version",
    "keep_until",
    "request_hash",
)
"""Fields that a settlement keeps from the stored record."""


class FakeRecords(Fake):
    """The table of images. Stored records went through `to_item` and back, as in DynamoDB."""

    def __init__(self, *records: Record) -> None:
        super().__init__()
        self.records: dict[str, Record] = {record.image_id: record for record in records}
        self.entries: dict[str, tuple[int, bool]] = {}
        """Tag entries by key: their version, and whether the index lists them."""

    async def get(self, image_id: str) -> Record | None:
        self._called("get")
        return self.records.get(image_id)

    async def check(self) -> None:
        self._called("check")

    async def find(self, search: Search, *, after: Position | None = None, most: int) -> Found:
        self._called("find")
        if search.user_id == EVERYONE:
            return self._find_settled(search, after, most)
        behind = sorted(
            (
                Summary.model_validate(record.to_item())
                for record in self.records.values()
                if record.user_id == search.user_id
                and record.uploaded_at in search.uploaded
                and (not search.tags or self._has_entry(record, search.tags[0]))
            ),
            key=_place,
            reverse=search.newest_first,
        )
        if after is not None:
            start = (after.time, after.image_id)
            behind = [
                one
                for one in behind
                if (_place(one) < start if search.newest_first else _place(one) > start)
            ]
        read = behind[: min(most, 100) if search.tags else most]
        return Found(
            summaries=tuple(filter(search.finds, read)),
            inspected=len(read),
            ends_at=read[-1].position if read and len(read) < len(behind) else None,
            stale=sum(search.tags[0] not in one.tags for one in read) if search.tags else 0,
        )

    def _find_settled(self, search: Search, after: Position | None, most: int) -> Found:
        sign = -1 if search.newest_first else 1

        def place(at: Position) -> tuple[float, int, str]:
            shard = shard_of(at.image_id)
            return (sign * at.time, *((99, "") if at.image_id == EDGE else (shard, at.image_id)))

        behind = sorted(
            (
                Settled.model_validate(record.to_item())
                for record in self.records.values()
                if record.day and (record.completed_at or 0) in search.uploaded
            ),
            key=lambda one: place(one.position),
        )
        if after is not None:
            behind = [one for one in behind if place(one.position) > place(after)]
        read = behind[:most]
        return Found(
            summaries=tuple(filter(search.finds, read)),
            inspected=len(read),
            ends_at=read[-1].position if len(read) < len(behind) else None,
        )

    def _has_entry(self, record: Record, tag: str) -> bool:
        _, listed = self.entries.get(entry_of(record, tag, version=0).key, (0, False))
        return listed

    async def put_tag(self, entry: TagEntry) -> None:
        self._called("put_tag")
        self._write_entry(entry, listed=True)

    async def drop_tag(self, entry: TagEntry, *, now: float) -> None:
        self._called("drop_tag")
        self._write_entry(entry, listed=False)

    def _write_entry(self, entry: TagEntry, *, listed: bool) -> None:
        version, _ = self.entries.get(entry.key, (0, False))
        if version <= entry.version:
            self.entries[entry.key] = (entry.version, listed)

    async def edit(
        self, read: Record, *, tags: tuple[str, ...], filename: str | None
    ) -> Record | None:
        self._called("edit")
        stored = self.records.get(read.image_id)
        if stored is None or _edited_state(stored) != _edited_state(read):
            return None
        changes: dict[str, object] = {"tags": tags, "tags_version": read.tags_version + 1}
        changes |= {"filename": filename} if filename is not None else {}
        self.records[read.image_id] = stored.model_copy(update=changes)
        return self.records[read.image_id]

    async def create(self, record: Record, *, forgotten_before: int = 0) -> Record:
        self._called("create")
        stored = self.records.get(record.image_id)
        if (
            stored
            and stored.status is Status.PENDING
            and stored.request_hash == record.request_hash
            and (stored.expires_at or forgotten_before) < forgotten_before
        ):
            del self.records[record.image_id]
        return self.records.setdefault(record.image_id, record)

    async def commit(self, record: Record) -> Commit:
        self._called("commit")
        stored = self.records.get(record.image_id)
        if stored is not None and (
            stored.original_key != record.original_key
            or _lacks_token(stored, record)
            or stored.settles(revision=record.revision or "", sequencer=record.sequencer or "")
        ):
            return Commit.found(stored, revision=record.revision)
        kept = {
            name: value
            for name in KEPT
            if stored is not None and (value := getattr(stored, name)) is not None
        }
        number = 1 + ((stored and stored.sequence) or 0)
        counted = {"expires_at": None, "sequence": number}
        written = record.model_copy(update=kept | counted)
        self.records[record.image_id] = Record.from_item(written.to_item())
        return Commit(result="written", record=self.records[record.image_id])

    async def await_upload(
        self, read: Record, *, token: str, expires_at: int | None
    ) -> Record | None:
        self._called("await_upload")
        stored = self.records.get(read.image_id)
        if stored is None or _awaiting_state(stored) != _awaiting_state(read):
            return None
        changes: dict[str, object] = {"upload_token": token}
        changes |= {"expires_at": expires_at} if expires_at else {}
        changes |= {} if read.status.settled else {"request_hash": None}
        self.records[read.image_id] = stored.model_copy(update=changes)
        return self.records[read.image_id]

    async def advance(self, record: Record, *, sequencer: str) -> None:
        self._called("advance")
        stored = self.records.get(record.image_id)
        if stored and stored.revision == record.revision:
            later = max(stored.sequencer or "", sequencer)
            self.records[record.image_id] = stored.model_copy(update={"sequencer": later})


class FakeIndexing(Fake):
    """What the indexes lack of the records of `FakeRecords`."""

    def __init__(self, records: FakeRecords) -> None:
        super().__init__()
        self._records = records

    async def read(self, image_ids: Sequence[str]) -> Mapping[str, Record]:
        self._called("read")
        stored = self._records.records
        return {image_id: stored[image_id] for image_id in image_ids if image_id in stored}

    async def listed(self, entries: Sequence[TagEntry]) -> frozenset[TagEntry]:
        self._called("listed")
        there = {key for key, (_, listed) in self._records.entries.items() if listed}
        return frozenset(entry for entry in entries if entry.key in there)

    async def put_day(self, read: Record, day: str) -> None:
        self._called("put_day")
        stored = self._records.records.get(read.image_id)
        if stored and (stored.status, stored.completed_at) == (read.status, read.completed_at):
            changed = stored.model_copy(update={"day": day})
            self._records.records[read.image_id] = changed


class FakeTombstones(Fake):
    """The tombstones among the records of `FakeRecords`."""

    def __init__(self, records: FakeRecords) -> None:
        super().__init__()
        self._records = records

    async def erase(
        self, image_id: str, *, before: Status | None, by: By, requested_at: int, at: int
    ) -> Record | None:
        self._called("erase")
        stored = self._records.records.get(image_id)
        if (stored.status if stored else None) != before:
            return None
        tombstone = Record(
            image_id=image_id,
            user_id=stored.user_id if stored else ERASED,
            uploaded_at=stored.uploaded_at if stored else at,
            original_key=stored.original_key if stored else ERASED,
            tags=stored.tags if stored else (),
            tags_version=stored.tags_version if stored else 0,
            status=Status.ERASED,
            erased_at=at,
            erased_by=by,
            erasure=Erasure(requested_at=requested_at, was_pending=before is Status.PENDING),
        )
        return self._store(tombstone)

    async def advance(
        self, read: Record, erasure: Erasure, *, expires_at: int | None = None
    ) -> Record | None:
        self._called("advance")
        stored = self._records.records.get(read.image_id)
        before = read.erasure.step if read.erasure else 0
        if stored is None or stored.erasure is None or stored.erasure.step != before:
            return None
        changes: dict[str, object] = {
            "erasure": erasure.model_copy(update={"step": before + 1}),
            "expires_at": expires_at,
        }
        if expires_at is not None:
            changes |= {"original_key": ERASED, "tags": (), "tags_version": 0}
        return self._store(stored.model_copy(update=changes))

    async def forget_user(self, tombstone: Record) -> None:
        self._called("forget_user")
        stored = self._records.records.get(tombstone.image_id)
        if stored is not None and stored.status is Status.ERASED:
            self._store(stored.model_copy(update={"user_id": ERASED}))

    async def delete_tag(self, entry: TagEntry) -> None:
        self._called("delete_tag")
        self._records.entries.pop(entry.key, None)

    def _store(self, tombstone: Record) -> Record:
        written = Record.from_item(tombstone.to_item())
        self._records.records[tombstone.image_id] = written
        return written


def _lacks_token(stored: Record, settlement: Record) -> bool:
    awaited = settlement.settled_token or settlement.upload_token
    return stored.upload_token != awaited if awaited else stored.has_tokens


def _awaiting_state(record: Record) -> tuple[str, str | None, str | None]:
    return record.status, record.upload_token, record.settled_token


def _edited_state(record: Record) -> tuple[str, str, int]:
    return record.status, record.user_id, record.tags_version


def _place(summary: Summary) -> tuple[int, str]:
    return summary.uploaded_at, summary.image_id


@dataclass(slots=True)
class FakeEntry:
    """One message in the fake queue."""

    message_id: str
    body: str
    sent_at: float
    visible_at: float
    attributes: Mapping[str, str] = field(default_factory=dict)
    receipt: str | None = None
    receive_count: int = 0


class FakeQueue(Fake):
    """A standard queue with visibility, receipts, receive counts and a dead-letter list.

    `now` is the monotonic clock of the visibility; call `wake` after moving a fake one.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        visibility_seconds: int = 60,
        max_receive_count: int = 10,
    ) -> None:
        super().__init__()
        self.now = now
        self.visibility_seconds = visibility_seconds
        self.max_receive_count = max_receive_count
        self.entries: list[FakeEntry] = []
        self.dead_letters: list[str] = []
        self.deleted: list[str] = []
        """Ids of the deleted messages."""
        self._numbers = count(1)
        self._changed = asyncio.Event()

    def send(
        self,
        body: str,
        *,
        sent_at: float | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> str:
        """Put a message into the queue; return its id."""
        entry = FakeEntry(
            message_id=f"message-{next(self._numbers)}",
            body=body,
            sent_at=time.time() if sent_at is None else sent_at,
            visible_at=self.now(),
            attributes={name: text for name, text in (attributes or {}).items() if text},
        )
        self.entries.append(entry)
        self.wake()
        return entry.message_id

    def wake(self) -> None:
        """Let waiting receives check the queue again."""
        self._changed.set()

    async def receive(self, *, max_messages: int, wait_seconds: int) -> tuple[Message, ...]:
        self._called("receive")
        deadline = self.now() + wait_seconds
        while not (messages := self._take(max_messages)) and self.now() < deadline:
            soonest = min((entry.visible_at for entry in self.entries), default=deadline)
            self._changed.clear()
            try:
                async with asyncio.timeout(max(0.0, min(soonest, deadline) - self.now())):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return messages

    def _take(self, max_messages: int) -> tuple[Message, ...]:
        taken: list[Message] = []
        for entry in list(self.entries):
            if len(taken) == max_messages:
                break
            if entry.visible_at > self.now():
                continue
            if entry.receive_count >= self.max_receive_count:
                self.entries.remove(entry)
                self.dead_letters.append(entry.body)
                continue
            taken.append(self._deliver(entry))
        return tuple(taken)

    def _deliver(self, entry: FakeEntry) -> Message:
        entry.receive_count += 1
        entry.receipt = f"{entry.message_id}/{entry.receive_count}"
        entry.visible_at = self.now() + self.visibility_seconds
        return Message(
            message_id=entry.message_id,
            receipt=entry.receipt,
            body=entry.body,
            receive_count=entry.receive_count,
            sent_at=entry.sent_at,
            received_at=self.now(),
            attributes=entry.attributes,
        )

    async def delete(self, receipts: Sequence[str]) -> tuple[Failure, ...]:
        self._called("delete")
        failures = []
        for receipt in receipts:
            entry = self._entry(receipt)
            if entry is None:
                continue  # deleted before: no failure
            if entry.receipt != receipt:
                failures.append(_lost(receipt))
                continue
            self.entries.remove(entry)
            self.deleted.append(entry.message_id)
        return tuple(failures)

    async def change_visibility(self, changes: Mapping[str, int]) -> tuple[Failure, ...]:
        self._called("change_visibility")
        failures = []
        for receipt, seconds in changes.items():
            entry = self._entry(receipt)
            held = entry is not None and entry.receipt == receipt
            if entry is None or not held or entry.visible_at <= self.now():
                failures.append(_lost(receipt))
                continue
            entry.visible_at = self.now() + seconds
        self.wake()
        return tuple(failures)

    async def depth(self) -> Depth:
        self._called("depth")
        visible = sum(entry.visible_at <= self.now() for entry in self.entries)
        return Depth(visible=visible, in_flight=len(self.entries) - visible)

    def _entry(self, receipt: str) -> FakeEntry | None:
        message_id = receipt.partition("/")[0]
        return next((one for one in self.entries if one.message_id == message_id), None)


def _lost(receipt: str) -> Failure:
    return Failure(receipt=receipt, lost=True, detail="the receipt is not current")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeDeadLetter:
    body: str
    attributes: Mapping[str, str]
    delay_seconds: int = 0


class FakeDeadLetters(Fake):
    """A queue that is only sent to, such as the dead-letter queue."""

    def __init__(self) -> None:
        super().__init__()
        self.letters: list[FakeDeadLetter] = []

    async def send(
        self,
        body: str,
        *,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
        delay_seconds: int = 0,
    ) -> None:
        self._called("send")
        kept = {name: value for name, value in attributes.items() if value}
        delay_seconds = min(LONGEST_DELAY_SECONDS, delay_seconds)
        self.letters.append(FakeDeadLetter(body=body, attributes=kept, delay_seconds=delay_seconds))


class FakeFaces(Fake):
    """Finds the same faces in every picture, as Amazon Rekognition does for one picture."""

    def __init__(self, *faces: Face) -> None:
        super().__init__()
        self.faces = faces

    async def detect(self, jpeg: bytes) -> Faces:
        self._called("detect")
        return kept(self.faces)


class FakeTopic(Fake):
    """Keeps the published events, repeats included."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[Any] = []

    async def publish(self, event: Event) -> None:
        self._called("publish")
        self.published.append(event)
