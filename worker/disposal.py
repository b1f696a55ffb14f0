"""Carries out what becomes of messages: deletes, releases or buries them, ten a request."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from safelight import __version__
from safelight.aws.queue import Failure, Message
from safelight.errors import SafelightError, Unavailable
from safelight.metrics import timed
from worker.batch import Batch
from worker.metrics import WorkerMetrics
from worker.verdict import NOT_BURIED, Abandon, Cause, DeadLetter, Done, Retry, Verdict

log = structlog.get_logger()

TRIES = 4
FIRST_PAUSE_SECONDS = 0.2
"""Before the second try; doubled before each next one."""


class Queue(Protocol):
    """Where messages go back to."""

    async def delete(self, receipts: Sequence[str]) -> Sequence[Failure]:
        """Delete up to ten messages; answer the failures."""
        ...

    async def change_visibility(self, changes: Mapping[str, int]) -> Sequence[Failure]:
        """Hide up to ten messages for so many seconds from now; answer the failures."""
        ...


class DeadLetters(Protocol):
    """Where messages go that nothing could be done with."""

    async def send(self, body: str, *, attributes: Mapping[str, str]) -> None:
        """Keep a message, with words on it."""
        ...


class Disposal:
    """Does what verdicts say."""

    def __init__(
        self,
        queue: Queue,
        *,
        dead_letters: DeadLetters | None,
        max_receives: int,
        metrics: WorkerMetrics,
    ) -> None:
        self._deletes: Batch[None] = Batch(lambda items: queue.delete(list(items)))
        self._releases: Batch[int] = Batch(queue.change_visibility)
        self._dead_letters = dead_letters
        self._max_receives = max_receives
        self._metrics = metrics

    def is_last_chance(self, message: Message) -> bool:
        """Tell whether it is to be buried if it fails now. Without a known place, never."""
        return self._dead_letters is not None and message.receive_count >= self._max_receives

    async def carry_out(
        self, verdict: Verdict, message: Message, *, facts: Mapping[str, Any]
    ) -> None:
        """Delete the message, let it come back, or bury it with these facts of its end.

        Raises `Unavailable` or `Misconfigured` when the queue takes none of it. Nothing is lost by
        that: the message comes back when its lease has run out.
        """
        match verdict:
            case Done():
                with timed(self._metrics.stages.labels("delete")):
                    await self._send(self._deletes, message, None)
            case Retry(after_seconds, cause):
                await self._send(self._releases, message, after_seconds)
                self._metrics.messages_released.labels(cause).inc()
            case DeadLetter(cause) if self._dead_letters is None:
                # Come back at once, until the queue's redrive policy moves it.
                await self.carry_out(Retry(0, cause), message, facts=facts)
            case DeadLetter(cause) if await self._bury(message, cause, facts):
                self._metrics.messages_buried.labels(cause).inc()
                await self._send(self._deletes, message, None)
            case DeadLetter():
                await self.carry_out(NOT_BURIED, message, facts=facts)
            case Abandon():
                pass

    async def _bury(self, message: Message, cause: Cause, facts: Mapping[str, Any]) -> bool:
        """Send a message to the dead-letter queue; tell whether it is there."""
        attributes = {
            "reason": cause,
            "stage": facts.get("stage", "read"),
            "exceptionType": facts.get("exception_type", ""),
            "imageId": facts.get("image_id", ""),
            "receiveCount": str(message.receive_count),
            "version": __version__,
            "firstSeen": datetime.fromtimestamp(message.sent_at, UTC).isoformat(),
        }
        if self._dead_letters is None:
            return False
        try:
            await self._dead_letters.send(message.body, attributes=attributes)
        except SafelightError as error:
            log.error("not_buried", error=str(error), message_id=message.message_id)
            return False
        return True

    async def _send(self, batch: Batch[Any], message: Message, item: int | None) -> None:
        """Send one entry; try it again, and only it, after growing pauses."""
        detail = ""
        for attempt in range(TRIES):
            try:
                failure = await batch.add(message.receipt, item)
            except Unavailable as error:
                detail = str(error)
            else:
                if failure is None or failure.lost:
                    return
                detail = failure.detail
            log.warning("delete_or_release_retrying", detail=detail, attempt=attempt + 1)
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
        raise Unavailable("sqs", f"the queue did not take it in {TRIES} tries: {detail}")
