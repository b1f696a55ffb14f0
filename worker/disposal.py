"""Carries out verdicts: deletes, releases or buries messages, ten per request."""

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
from worker.consumer_metrics import ConsumerMetrics
from worker.verdict import NOT_BURIED, Abandon, DeadLetter, Done, Retry, Verdict

log = structlog.get_logger()

LONGEST_DETAIL = 500
"""The longest detail of a dead letter, in characters."""
TRIES = 4
FIRST_PAUSE_SECONDS = 0.2
"""The pause before the second try. It doubles with every further try."""


class Queue(Protocol):
    """The queue of this worker's role."""

    async def delete(self, receipts: Sequence[str]) -> Sequence[Failure]:
        """Delete up to ten messages; return the failures."""
        ...

    async def change_visibility(self, changes: Mapping[str, int]) -> Sequence[Failure]:
        """Hide up to ten messages for some seconds from now; return the failures."""
        ...


class DeadLetters(Protocol):
    """The dead-letter queue."""

    async def send(self, body: str, *, attributes: Mapping[str, str]) -> None:
        """Send a message, with attributes that say why it is there."""
        ...


class Disposal:
    """Carries out what verdicts say."""

    def __init__(
        self,
        queue: Queue,
        *,
        dead_letters: DeadLetters | None,
        max_receives: int,
        metrics: ConsumerMetrics,
    ) -> None:
        self._deletes: Batch[None] = Batch(lambda items: queue.delete(list(items)))
        self._releases: Batch[int] = Batch(queue.change_visibility)
        self._dead_letters = dead_letters
        self._max_receives = max_receives
        self._metrics = metrics

    def is_last_chance(self, message: Message) -> bool:
        """Return whether a failure now buries the message: never without a dead-letter queue."""
        return self._dead_letters is not None and message.receive_count >= self._max_receives

    async def carry_out(
        self, verdict: Verdict, message: Message, *, facts: Mapping[str, Any]
    ) -> None:
        """Delete the message, release it, or bury it with these facts from its log event.

        Raises `Unavailable` or `Misconfigured` if the queue refuses. The message is not lost then:
        it comes back when its lease has run out.
        """
        match verdict:
            case Done():
                with timed(self._metrics.stages.labels("delete")):
                    await self._send(self._deletes, message, None)
            case Retry(after_seconds, cause):
                await self._send(self._releases, message, after_seconds)
                self._metrics.messages_released.labels(cause).inc()
            case DeadLetter(cause) if self._dead_letters is None:
                # It comes back at once, until the queue's redrive policy moves it.
                await self.carry_out(Retry(0, cause), message, facts=facts)
            case DeadLetter(cause) if await self._bury(message, cause, facts):
                self._metrics.messages_buried.labels(cause).inc()
                await self._send(self._deletes, message, None)
            case DeadLetter():
                await self.carry_out(NOT_BURIED, message, facts=facts)
            case Abandon():
                pass

    async def _bury(self, message: Message, cause: str, facts: Mapping[str, Any]) -> bool:
        """Send a message to the dead-letter queue; return whether it was accepted."""
        attributes = {
            "reason": cause,
            "stage": facts.get("stage", "read"),
            "exceptionType": facts.get("exception_type", ""),
            "detail": _as_attribute(facts.get("detail", "")),
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
            log.error("dead_letter_failed", error=str(error), message_id=message.message_id)
            return False
        return True

    async def _send(self, batch: Batch[Any], message: Message, item: int | None) -> None:
        """Send one entry. If it fails, send it alone again, after growing pauses."""
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
        raise Unavailable("sqs", f"the queue refused it {TRIES} times: {detail}")


def _as_attribute(text: str) -> str:
    """Return a text that SQS accepts as an attribute: no control characters, not too long."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:LONGEST_DETAIL])
