"""Puts sources into the bucket and sends their events in any form and order, any number of times.

It sends as the account's root, which no policy restricts: the queue's policy admits S3 alone, as a
contract test shows. Events are as S3 would send them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from urllib.parse import quote_plus

from ops.local.stack import Stack
from safelight import keys

_EVENT_TIME = "2026-11-02T03:04:05.000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One version of a source as S3 stored it, and the sequencer that its event carries."""

    bucket: str
    key: str
    image_id: str
    version_id: str | None
    etag: str
    size_bytes: int
    sequencer: str | None
    token: str | None = None
    """The upload token in its metadata."""
    removed: bool = False

    @property
    def revision(self) -> str:
        """The revision that the record must have for it."""
        sequencer = keys.padded_sequencer(self.sequencer)
        return keys.revision_of(version_id=self.version_id, sequencer=sequencer, etag=self.etag)

    @property
    def order(self) -> str:
        """The sequencer that orders it among the versions of its key."""
        return keys.padded_sequencer(self.sequencer)


class Injector:
    """Uploads sources and sends S3's notifications."""

    def __init__(self, s3: Any, sqs: Any, stack: Stack) -> None:
        self.notified: dict[Source, None] = {}
        """Every upload whose event was sent, once each, in the order of the first events."""
        self._s3 = s3
        self._sqs = sqs
        self._stack = stack
        self._numbers = count(1)

    async def silence(self) -> None:
        """Stop the bucket's own notifications, and delete its greeting from the queue."""
        await self._s3.put_bucket_notification_configuration(
            Bucket=self._stack.uploads_bucket, NotificationConfiguration={}
        )
        await self._sqs.purge_queue(QueueUrl=self._stack.uploads_queue_url)

    async def put(
        self,
        body: bytes,
        *,
        key: str | None = None,
        sequencer: str | None = None,
        token: str | None = None,
    ) -> Source:
        """Store a source without sending its event. Sequencers rise by default.

        With a token it is stored as by the form that has it.
        """
        key = key or keys.source_key(user_id="key:alice", image_id=keys.new_image_id())
        bucket = self._stack.uploads_bucket
        metadata = {"upload-token": token} if token else {}
        answer = await self._s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)
        return self._source(answer, key, len(body), sequencer=sequencer, token=token)

    async def latest(self, key: str) -> Source:
        """Return the latest version of a key, which a client stored."""
        answer = await self._s3.head_object(Bucket=self._stack.uploads_bucket, Key=key)
        token = answer["Metadata"].get("upload-token")
        return self._source(answer, key, answer["ContentLength"], token=token)

    def _source(
        self,
        answer: Mapping[str, Any],
        key: str,
        size_bytes: int,
        *,
        sequencer: str | None = None,
        token: str | None,
    ) -> Source:
        """Describe the version that S3's answer names."""
        bucket = self._stack.uploads_bucket
        uploaded = keys.read_source_key(key)
        ids = self._stack.image_ids
        return Source(
            bucket=bucket,
            key=key,
            image_id=uploaded[1] if uploaded else ids.of_object(bucket=bucket, key=key),
            version_id=answer["VersionId"],
            etag=answer["ETag"].strip('"'),
            size_bytes=size_bytes,
            sequencer=sequencer or f"{next(self._numbers):016X}",
            token=token,
        )

    async def remove(self, source: Source, *, version: bool = False) -> None:
        """Delete a source: its key, or permanently its version."""
        which = {"VersionId": source.version_id} if version else {}
        await self._s3.delete_object(Bucket=source.bucket, Key=source.key, **which)

    async def notify(self, *sources: Source, times: int = 1) -> None:
        """Send the events of sources in S3's own form, each this many times."""
        for source in sources:
            for _ in range(times):
                await self.send(json.dumps({"Records": [s3_record(source)]}))
            self.remember(source)

    def remember(self, *sources: Source) -> None:
        """Note that events of these sources were sent, so that the invariant expects them."""
        self.notified |= dict.fromkeys(sources)

    async def send(self, body: str, *, queue_url: str | None = None) -> None:
        """Send a message with any body, to UploadsQueue by default."""
        url = queue_url or self._stack.uploads_queue_url
        await self._sqs.send_message(QueueUrl=url, MessageBody=body)

    async def upload(self, body: bytes, **how: Any) -> Source:
        """Store a source and send its event."""
        source = await self.put(body, **how)
        await self.notify(source)
        return source


def s3_record(source: Source) -> dict[str, Any]:
    """Make one record of S3's event, whose keys are form-encoded."""
    facts = {
        "key": quote_plus(source.key, safe="/"),
        "size": source.size_bytes,
        "eTag": source.etag,
        "versionId": source.version_id,
        "sequencer": source.sequencer,
    }
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventName": "ObjectRemoved:Delete" if source.removed else "ObjectCreated:Post",
        "eventTime": _EVENT_TIME,
        "s3": {
            "bucket": {"name": source.bucket},
            "object": {name: value for name, value in facts.items() if value is not None},
        },
    }


def eventbridge_event(source: Source) -> dict[str, Any]:
    """Make EventBridge's event, which has other names and keys that are not encoded."""
    facts = {
        "key": source.key,
        "size": source.size_bytes,
        "etag": source.etag,
        "version-id": source.version_id,
        "sequencer": source.sequencer,
    }
    return {
        "version": "0",
        "source": "aws.s3",
        "detail-type": "Object Deleted" if source.removed else "Object Created",
        "time": _EVENT_TIME,
        "detail": {
            "bucket": {"name": source.bucket},
            "object": {name: value for name, value in facts.items() if value is not None},
        },
    }


def sns_notification(document: dict[str, Any]) -> dict[str, Any]:
    """Wrap a document as SNS does without raw delivery."""
    return {"Type": "Notification", "MessageId": "1", "Message": json.dumps(document)}


def removal(source: Source, *, sequencer: str) -> Source:
    """Make the event that a source was removed."""
    return replace(source, removed=True, sequencer=sequencer)
