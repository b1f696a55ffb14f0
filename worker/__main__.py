"""Builds a worker from its settings and runs it until it has drained. Only this module builds."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from safelight.aws.session import Aws, connect
from safelight.face_settings import REKOGNITION
from safelight.imaging.admission import Admission
from safelight.imaging.pool import RenderPool
from safelight.imaging.spool import Spool
from safelight.looking import finder_of
from safelight.making import Maker, Pipeline
from safelight.metrics import FaceMetrics, ProcessMetrics, make_registry
from safelight.presets import Preset
from safelight.program import Program
from safelight.tracing import Spans, tracing
from worker.admin import Health
from worker.demands import Demands
from worker.ingest import Ingests
from worker.metrics import WorkerMetrics
from worker.observer import Observer
from worker.processor import Processor
from worker.renders import Renders
from worker.running import Process, Work, run_until_drained
from worker.settings import WorkerSettings
from worker.stale_versions import StaleVersions
from worker.tombstones import MetTombstones

log = structlog.get_logger()


def main() -> int:
    """Run a worker and return its exit code."""
    return Program(
        service="worker",
        description="Process the messages of one SQS queue. Role `uploads`: render the variants of "
        "each upload, store them, update the record and publish the completion. Role `renders`: "
        "render the pictures that delivery requests, and process source objects by key. "
        "Settings: docs/operate/settings.md.",
        settings=WorkerSettings,
        read_files=WorkerSettings.load_presets,
        run=run,
    ).main()


async def run(settings: WorkerSettings, presets: tuple[Preset, ...]) -> None:
    """Build the worker and run it until a signal has drained it."""
    registry = make_registry()
    metrics = WorkerMetrics(registry)
    process_metrics = ProcessMetrics(registry, service="worker")
    async with AsyncExitStack() as stack:
        # Before the children, who may open nothing else.
        spool = stack.enter_context(Spool(settings.spool))
        pool = await stack.enter_async_context(start_pool(settings, metrics))
        # After the children's server, which must not inherit its thread.
        spans = stack.enter_context(tracing(wanted=settings.tracing, service="worker"))
        aws = await stack.enter_async_context(connect(settings, metrics=process_metrics))
        faces = FaceMetrics(registry)
        process = await build_process(settings, presets, aws, pool, spool, metrics, spans, faces)
        queue = await aws.queue(settings.queue_url, visibility_seconds=settings.visibility_seconds)
        health = Health(pool, metrics, max_seconds=settings.max_seconds)
        work = Work(
            process=process,
            slots=settings.slots,
            capacity=settings.slots + settings.prefetch,
            rendering=lambda: pool.rendering,
            well=lambda: health.well,
        )
        await run_until_drained(
            work,
            settings,
            aws,
            queue,
            registry=registry,
            metrics=metrics,
            beside=(health.watch(), process_metrics.watch_loop()),
        )


@asynccontextmanager
async def start_pool(settings: WorkerSettings, metrics: WorkerMetrics) -> AsyncIterator[RenderPool]:
    """Start the render children for the block, and log what they can do."""
    pool = RenderPool(
        slots=settings.slots,
        limits=settings.limits,
        on_child_exit=lambda cause: metrics.child_exits.labels(cause).inc(),
    )
    async with pool:
        log.info(
            "started",
            role=settings.worker_role,
            slots=settings.slots,
            webp_encoder=pool.webp_encoder,
        )
        if pool.gaps:
            log.warning("children_not_fully_confined", missing=pool.gaps)
        yield pool


async def build_process(
    settings: WorkerSettings,
    presets: tuple[Preset, ...],
    aws: Aws,
    pool: RenderPool,
    spool: Spool,
    metrics: WorkerMetrics,
    spans: Spans,
    faces: FaceMetrics,
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
        face_finder=finder_of(
            settings.faces,
            pool=pool,
            admission=admission,
            service=await aws.rekognition() if settings.faces == REKOGNITION else None,
            metrics=faces,
        ),
    )
    url = settings.cleanup_queue_url
    cleanup = await aws.queue(url) if url else None
    tombstones = MetTombstones(cleanup, metrics=metrics)
    processor = Processor(
        sources=objects,
        records=records,
        topic=await aws.topic(settings.topic_arn),
        pipeline=pipeline,
        spool=spool,
        presets=presets,
        observer=observer,
        tombstones=tombstones,
        stale_versions=StaleVersions(cleanup, metrics=metrics),
        ids=settings.image_ids,
        uploads_bucket=settings.uploads_bucket,
        keep_days=settings.keep_days,
    )
    if settings.worker_role == "uploads":
        return processor.process
    maker = Maker(pipeline=pipeline, spool=spool)
    return Renders(
        demands=Demands(
            records=records,
            sources=objects,
            maker=maker,
            observer=observer,
            tombstones=tombstones,
        ),
        ingests=Ingests(
            sources=objects,
            processor=processor,
            observer=observer,
            ids=settings.image_ids,
            uploads_bucket=settings.uploads_bucket,
        ),
    ).process


if __name__ == "__main__":
    sys.exit(main())
