"""Builds the loop of a worker, whatever its role, and runs it until it has drained."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from safelight.aws.queue import Message, Queue
from safelight.aws.session import Aws
from safelight.program import background, on_stop_signal, serve
from worker.admin import make_admin_app
from worker.breaker import Breaker
from worker.consumer import Consumer
from worker.consumer_metrics import ConsumerMetrics
from worker.disposal import Disposal
from worker.handler import Handler
from worker.lease import Leases
from worker.queue_depth import watch_depth
from worker.queue_settings import QueueSettings
from worker.verdict import Progress

log = structlog.get_logger()

ADMIN_SHUTDOWN_SECONDS = 2
"""How long a scrape or health check under way may take once the worker has drained."""
Process = Callable[[Message], Awaitable[Progress]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a role does with its messages, and how many at once."""

    process: Process
    slots: int
    capacity: int
    """The most messages held, in slots and ready to start."""
    rendering: Callable[[], bool]
    """Returns whether a picture is being rendered."""
    well: Callable[[], bool]
    """Returns whether the worker can do its work at all."""


async def run_until_drained(
    work: Work,
    settings: QueueSettings,
    aws: Aws,
    queue: Queue,
    *,
    registry: CollectorRegistry,
    metrics: ConsumerMetrics,
    beside: Sequence[Coroutine[Any, Any, None]],
) -> None:
    """Receive and process messages until a signal has drained the worker.

    The coroutines of `beside` run meanwhile.
    """
    url = settings.dead_letter_queue_url
    dead_letters = await aws.queue(url) if url else None
    consumer = _consumer(work, settings, queue, dead_letters, metrics)
    app = make_admin_app(
        registry=registry, well=work.well, ready=lambda: consumer.ready, host=settings.admin_host
    )
    admin = serve(
        app,
        host=settings.admin_host,
        port=settings.admin_port,
        shutdown_seconds=ADMIN_SHUTDOWN_SECONDS,
    )
    async with admin:
        on_stop_signal(consumer.drain)
        async with background(*beside, watch_depth(queue, dead_letters, metrics)):
            await consumer.run()
    log.info("drained")


def _consumer(
    work: Work,
    settings: QueueSettings,
    queue: Queue,
    dead_letters: Queue | None,
    metrics: ConsumerMetrics,
) -> Consumer:
    room = asyncio.Event()
    breaker = Breaker(metrics, room=room)
    disposal = Disposal(
        queue, dead_letters=dead_letters, max_receives=settings.max_receives, metrics=metrics
    )
    return Consumer(
        queue=queue,
        handler=Handler(
            process=work.process,
            slots=work.slots,
            breaker=breaker,
            disposal=disposal,
            metrics=metrics,
        ),
        leases=Leases(queue, visibility_seconds=settings.visibility_seconds, metrics=metrics),
        breaker=breaker,
        room=room,
        capacity=work.capacity,
        rendering=work.rendering,
        receive_wait_seconds=settings.receive_wait_seconds,
        drain_seconds=settings.drain_seconds,
        metrics=metrics,
    )
