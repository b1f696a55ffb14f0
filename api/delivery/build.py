"""Builds delivery and its render children. Loaded by `api/__main__.py` in that role alone:

what renders is most of a process's memory, and whoever only presigns needs none of it.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from api.delivery.aliases import Alias
from api.delivery.cache import CachedAssets, CachedRecords, CoalescedRecords
from api.delivery.defaults import load_defaults
from api.delivery.deferral import Deferral
from api.delivery.delivery import Delivery
from api.delivery.freeform import FreeForm
from api.delivery.lookup import Lookup
from api.delivery.on_demand import OnDemand
from api.metrics import DeliveryMetrics
from api.quotas import Quotas
from api.settings import ApiSettings
from safelight.aws.session import Aws
from safelight.imaging.admission import Admission
from safelight.imaging.pool import RenderPool
from safelight.imaging.spool import Spool
from safelight.making import Maker, Pipeline
from safelight.presets import Preset

log = structlog.get_logger()


async def build(
    settings: ApiSettings,
    presets: Sequence[Preset],
    aliases: Mapping[str, Alias],
    aws: Aws,
    stack: AsyncExitStack,
    registry: CollectorRegistry,
) -> Delivery:
    """Put delivery and its collaborators together; its children live as long as the stack."""
    defaults = load_defaults(presets, settings.presets.parent)
    metrics = DeliveryMetrics(registry)
    # Before the children, who may open nothing else.
    spool = stack.enter_context(Spool(settings.spool))
    pool = RenderPool(
        slots=settings.slots,
        limits=settings.limits,
        on_child_exit=lambda cause: metrics.child_exits.labels(cause).inc(),
    )
    await stack.enter_async_context(pool)
    if pool.gaps:
        log.warning("children_not_fully_confined", missing=pool.gaps)
    objects = await aws.objects()
    pipeline = Pipeline(
        assets=objects,
        renderer=pool,
        admission=Admission(settings.memory_budget_bytes),
        max_source_bytes=settings.max_bytes,
        max_result_bytes=settings.max_result_bytes,
    )
    queue = await aws.queue(settings.renders_queue_url) if settings.renders_queue_url else None
    buckets = {
        name: await aws.sources(
            alias.bucket, role_arn=alias.role_arn, external_id=alias.external_id
        )
        for name, alias in aliases.items()
    }
    named = {name: (alias, buckets[name]) for name, alias in aliases.items()}
    current = CoalescedRecords(await aws.records())
    records = CachedRecords(current)
    dialects = settings.dialects
    freeform = FreeForm(
        dialects=dialects,
        aliases=named,
        records=records,
        objects=objects,
        ids=settings.image_ids,
        max_age_seconds=settings.options_max_age,
    )
    return Delivery(
        records=records,
        current=current,
        freeform=freeform if dialects.known else None,
        bucket=objects,
        lookup=Lookup(
            assets=CachedAssets(objects, most_bytes=settings.cache_bytes),
            on_demand=OnDemand(
                Maker(pipeline=pipeline, spool=spool),
                slots=settings.slots,
                queue=settings.render_queue,
                wait_seconds=settings.render_wait_seconds,
                metrics=metrics,
            ),
            deferral=Deferral(queue, least_pixels=settings.avif_wait_pixels),
            quotas=Quotas(settings.renders_per_minute, policy="renders"),
            max_bytes=settings.max_result_bytes,
        ),
        presets=presets,
        aliases=named,
        defaults=defaults,
        signing=settings.signing,
        ids=settings.image_ids,
        metrics=metrics,
    )
