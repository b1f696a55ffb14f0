"""Builds a worker from its settings and runs it until it has drained. Only this module builds."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog
import uvloop

from safelight import __version__
from safelight.aws.queue import Message, Queue
from safelight.aws.session import Aws, connect
from safelight.errors import Misconfigured, SafelightError
from safelight.hidden import hide_from_children
from safelight.imaging.admission import Admission
from safelight.imaging.pool import RenderPool
from safelight.imaging.spool import Spool
from safelight.logs import configure_logging
from safelight.making import Maker, Pipeline
from safelight.metrics import ProcessMetrics, make_registry
from safelight.presets import InvalidPresets, Preset, load_presets
from safelight.program import background
from safelight.settings import InvalidSettings
from safelight.tracing import Spans, tracing
from worker.admin import Health, make_admin_app, serve
from worker.breaker import Breaker
from worker.consumer import Consumer
from worker.demands import Demands
from worker.disposal import Disposal
from worker.handler import Handler
from worker.ingest import Ingests
from worker.lease import Leases
from worker.metrics import WorkerMetrics
from worker.observer import Observer
from worker.processor import Processor
from worker.queue_depth import watch_depth
from worker.renders import Renders
from worker.settings import WorkerSettings
from worker.verdict import Progress

log = structlog.get_logger()

Process = Callable[[Message], Awaitable[Progress]]


def main() -> int:
    """Run a worker: 0 once drained, 1 when it cannot start, 2 when it is set up wrongly."""
    hide_from_children()
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Work on the messages of one SQS queue. In the role `uploads`: render the "
        "variants of uploads, store and record them, publish completions. In the role `renders`: "
        "render what delivery asks for, and settle sources by key. "
        "Settings: docs/operate/settings.md.",
    )
    parser.add_argument("--print-config", action="store_true", help="print the settings and exit")
    parser.add_argument("--version", action="version", version=__version__)
    arguments = parser.parse_args()
    try:
        settings = WorkerSettings.load()
        presets = load_presets(settings.presets)
    except (InvalidSettings, InvalidPresets) as error:
        print(error, file=sys.stderr)  # noqa: T201 - for a person, before there is a log
        return 2
    if arguments.print_config:
        print(settings.printable())  # noqa: T201 - what was asked for
        return 0
    configure_logging(log_format=settings.log_format, level=settings.log_level, service="worker")
    try:
        uvloop.run(run(settings, presets))
    except Misconfigured as error:
        log.error("not_started", error=str(error))
        return 2
    except (SafelightError, OSError) as error:
        log.error("not_started", error=str(error))
        return 1
    return 0


async def run(settings: WorkerSettings, presets: tuple[Preset, ...]) -> None:
    """Build the worker, run it until a signal has drained it, and take it down again."""
    registry = make_registry()
    metrics = WorkerMetrics(registry)
    process_metrics = ProcessMetrics(registry, service="worker")
    async with AsyncExitStack() as stack:
        # Before the children, who may open nothing else.
        spool = stack.enter_context(Spool(settings.spool))
        pool = await stack.enter_async_context(
            RenderPool(
                slots=settings.slots,
                limits=settings.limits,
                on_child_exit=lambda cause: metrics.child_exits.labels(cause).inc(),
            )
        )
        log.info(
            "started",
            role=settings.worker_role,
            slots=settings.slots,
            webp_encoder=pool.webp_encoder,
        )
        if pool.gaps:
            log.warning("children_not_fully_confined", missing=pool.gaps)
        # After the children's server, which must not inherit its thread.
        spans = stack.enter_context(tracing(wanted=settings.tracing, service="worker"))
        aws = await stack.enter_async_context(connect(settings, metrics=process_metrics))
        process = await build_process(settings, presets, aws, pool, spool, metrics, spans)
        queue = await aws.queue(settings.queue_url, visibility_seconds=settings.visibility_seconds)
        url = settings.dead_letter_queue_url
        dead_letters = await aws.queue(url) if url else None
        consumer = build_consumer(settings, queue, dead_letters, process, pool, metrics)
        health = Health(pool, metrics, max_seconds=settings.max_seconds)
        app = make_admin_app(
            registry=registry,
            health=health,
            ready=lambda: consumer.ready,
            host=settings.admin_host,
        )
        await stack.enter_async_context(serve(app, settings.admin_host, settings.admin_port))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, consumer.drain)
        depth = watch_depth(queue, dead_letters, metrics)
        async with background(health.watch(), process_metrics.watch_loop(), depth):
            await consumer.run()
    log.info("drained")


async def build_process(
    settings: WorkerSettings,
    presets: tuple[Preset, ...],
    aws: Aws,
    pool: RenderPool,
    spool: Spool,
    metrics: WorkerMetrics,
    spans: Spans,
) -> Process:
    """Build the collaborators of the role; return the function that processes a message."""
    admission = Admission(settings.memory_budget_bytes, wait=metrics.stages.labels("admit"))
    metrics.memory_budget.set(admission.budget_bytes)
    metrics.memory_admitted.set_function(lambda: admission.admitted_bytes)
    observer = Observer(metrics, spans=spans)
    objects, records = await aws.objects(), await aws.records()
    pipeline = Pipeline(
        assets=objects,
        renderer=pool,
        admission=admission,
        max_source_bytes=settings.max_bytes,
    )
    processor = Processor(
        sources=objects,
        records=records,
        topic=await aws.topic(settings.topic_arn),
        pipeline=pipeline,
        spool=spool,
        presets=presets,
        observer=observer,
        ids=settings.image_ids,
        uploads_bucket=settings.uploads_bucket,
    )
    if settings.worker_role == "uploads":
        return processor.process
    maker = Maker(pipeline=pipeline, spool=spool)
    return Renders(
        demands=Demands(records=records, sources=objects, maker=maker, observer=observer),
        ingests=Ingests(
            sources=objects,
            processor=processor,
            observer=observer,
            ids=settings.image_ids,
            uploads_bucket=settings.uploads_bucket,
        ),
    ).process


def build_consumer(
    settings: WorkerSettings,
    queue: Queue,
    dead_letters: Queue | None,
    process: Process,
    pool: RenderPool,
    metrics: WorkerMetrics,
) -> Consumer:
    """Build the loop that receives and handles messages."""
    room = asyncio.Event()
    breaker = Breaker(metrics, room=room)
    handler = Handler(
        process=process,
        slots=settings.slots,
        breaker=breaker,
        disposal=Disposal(
            queue,
            dead_letters=dead_letters,
            max_receives=settings.max_receives,
            metrics=metrics,
        ),
        metrics=metrics,
    )
    return Consumer(
        queue=queue,
        handler=handler,
        leases=Leases(queue, visibility_seconds=settings.visibility_seconds, metrics=metrics),
        breaker=breaker,
        room=room,
        capacity=settings.slots + settings.prefetch,
        rendering=lambda: pool.rendering,
        receive_wait_seconds=settings.receive_wait_seconds,
        drain_seconds=settings.drain_seconds,
        metrics=metrics,
    )


if __name__ == "__main__":
    sys.exit(main())
