"""Collects the items of many tasks, so that ten of them cost one request."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from safelight.aws.queue import BATCH_SIZE, Failure

Item = TypeVar("Item")


class Batch(Generic[Item]):
    """Collects items for a moment, sends them in one call, and returns each sender its own result.

    `send` takes up to ten items by receipt and returns those that failed.
    """

    def __init__(
        self,
        send: Callable[[Mapping[str, Item]], Awaitable[Sequence[Failure]]],
        *,
        linger_seconds: float = 0.05,
    ) -> None:
        self._send = send
        self._linger_seconds = linger_seconds
        self._waiting: dict[str, tuple[Item, asyncio.Future[Failure | None]]] = {}
        self._flushes: set[asyncio.Future[None]] = set()

    async def add(self, receipt: str, item: Item) -> Failure | None:
        """Send one item with others; return its failure, or raise the error of the whole call."""
        answer: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        self._waiting[receipt] = (item, answer)
        if len(self._waiting) == BATCH_SIZE:
            self._flush()
        elif len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(self._linger_seconds, self._flush)
        return await answer

    def _flush(self) -> None:
        if self._waiting:
            batch, self._waiting = self._waiting, {}
            flush = asyncio.ensure_future(self._answer(batch))
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)

    async def _answer(
        self, batch: Mapping[str, tuple[Item, "asyncio.Future[Failure | None]"]]
    ) -> None:
        """Send a batch, and give each sender its result, unless the sender was cancelled."""
        waiting = {receipt: answer for receipt, (_, answer) in batch.items()}
        try:
            failures = await self._send({receipt: item for receipt, (item, _) in batch.items()})
        except Exception as error:  # noqa: BLE001 - raised in every sender
            for answer in waiting.values():
                if not answer.done():
                    answer.set_exception(error)
            return
        failed = {failure.receipt: failure for failure in failures}
        for receipt, answer in waiting.items():
            if not answer.done():
                answer.set_result(failed.get(receipt))
