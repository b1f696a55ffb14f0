"""Builds a worker of the role `cleanup` and runs it until it has drained. It renders nothing."""

import sys
from contextlib import AsyncExitStack

import structlog

from safelight.aws.session import Aws, connect
from safelight.metrics import ProcessMetrics, make_registry
from safelight.program import Program
from worker.cleanup.cleanup import Cleanup
from worker.cleanup.delete_objects import Objects
from worker.cleanup.erase_image import ImageErasures, Pauses
from worker.cleanup.erase_user import UserErasures
from worker.cleanup.metrics import CleanupMetrics
from worker.cleanup.remains import Remover
from worker.cleanup.settings import CleanupSettings
from worker.running import Work, run_until_drained

log = structlog.get_logger()

SLOTS = 8
"""Messages processed at once. Each waits for S3 and DynamoDB most of its time."""


def main() -> int:
    """Run a worker and return its exit code."""
    return Program(
        service="worker.cleanup",
        description="Process the messages of CleanupQueue: erase images, that is, delete their "
        "sources, variants and tag entries, and invalidate caches. Settings: "
        "docs/operate/settings.md.",
        settings=CleanupSettings,
        read_files=lambda _: None,
        run=run,
    ).main()


async def run(settings: CleanupSettings, _: None) -> None:
    """Build the worker and run it until a signal has drained it."""
    registry = make_registry()
    metrics = CleanupMetrics(registry)
    process_metrics = ProcessMetrics(registry, service="cleanup")
    async with AsyncExitStack() as stack:
        aws = await stack.enter_async_context(connect(settings, metrics=process_metrics))
        log.info("started", role="cleanup", slots=SLOTS)
        work = Work(
            process=(await build_cleanup(settings, aws, metrics)).process,
            slots=SLOTS,
            capacity=2 * SLOTS,
            rendering=lambda: False,
            well=lambda: True,
        )
        seconds = settings.visibility_seconds
        await run_until_drained(
            work,
            settings,
            aws,
            await aws.queue(settings.cleanup_queue_url, visibility_seconds=seconds),
            registry=registry,
            metrics=metrics,
            beside=(process_metrics.watch_loop(),),
        )


async def build_cleanup(settings: CleanupSettings, aws: Aws, metrics: CleanupMetrics) -> Cleanup:
    """Build the collaborators."""
    records, tombstones = await aws.records(), await aws.tombstones()
    inventory, deletions = await aws.inventory(), await aws.deletions()
    documents, topic = await aws.documents(), await aws.topic(settings.topic_arn)
    queue = await aws.queue(settings.cleanup_queue_url)
    distribution_id = settings.distribution_id
    cdn = await aws.cdn(distribution_id) if distribution_id else None
    pause_ms = round(1000 * settings.erase_pause_seconds)
    last_look_ms = round(1000 * settings.erase_last_look_seconds)
    remover = Remover(
        records=records,
        inventory=inventory,
        deletions=deletions,
        tags=tombstones,
        metrics=metrics,
        ids=settings.image_ids,
        uploads_bucket=settings.uploads_bucket,
    )
    return Cleanup(
        images=ImageErasures(
            records=records,
            tombstones=tombstones,
            ledger=documents,
            remover=remover,
            topic=topic,
            cdn=cdn,
            queue=queue,
            pauses=Pauses(before_invalidation_ms=pause_ms, before_last_look_ms=last_look_ms),
            metrics=metrics,
        ),
        users=UserErasures(
            records=records,
            tombstones=tombstones,
            counts=documents,
            topic=topic,
            queue=queue,
            wait_seconds=max(1, -(-last_look_ms // 3000)),
            index_lag_ms=round(1000 * settings.erase_index_lag_seconds),
            metrics=metrics,
        ),
        objects=Objects(
            records=records,
            inventory=inventory,
            deletions=deletions,
            cdn=cdn,
            queue=queue,
            pause_ms=pause_ms,
            metrics=metrics,
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
