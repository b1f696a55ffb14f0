"""Builds delivery and its render children.

`api/__main__.py` imports it in the role `delivery` only: the renderer takes most of a process's
memory, and the role `uploads` does not need it.
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
from api.delivery.sources import SourceImages
from api.metrics import DeliveryMetrics
from api.quotas import Quotas
from api.settings import ApiSettings
from safelight.aws.objects import Objects
from safelight.aws.session import Aws
from safelight.face_settings import REKOGNITION
from safelight.imaging.admission import Admission
from safelight.imaging.pool import RenderPool
from safelight.imaging.spool import Spool
from safelight.looking import finder_of
from safelight.making import Maker, Pipeline
from safelight.metrics import FaceMetrics
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
    """Build delivery and its collaborators. Its render children live as long as the stack."""
    defaults = load_defaults(presets, settings.presets.parent)
    metrics = DeliveryMetrics(registry)
    spool, pool = await _renderer(settings, stack, metrics)
    objects = await aws.objects()
    sources = await _sources(settings, objects, aws, aliases)
    admission = Admission(settings.memory_budget_bytes)
    pipeline = Pipeline(
        assets=objects,
        renderer=pool,
        admission=admission,
        max_source_bytes=settings.max_bytes,
        max_result_bytes=settings.max_result_bytes,
        face_finder=finder_of(
            settings.faces,
            pool=pool,
            admission=admission,
            service=await aws.rekognition() if settings.faces == REKOGNITION else None,
            metrics=FaceMetrics(registry),
        ),
    )
    lookup = await _lookup(settings, objects, aws, Maker(pipeline=pipeline, spool=spool), metrics)
    freeform = FreeForm(
        dialects=settings.dialects,
        aliases=aliases.values(),
        sources=sources,
        max_age_seconds=settings.options_max_age,
    )
    return Delivery(
        sources=sources,
        lookup=lookup,
        freeform=freeform if settings.dialects.known else None,
        presets=presets,
        aliases=aliases,
        defaults=defaults,
        signing=settings.signing,
        metrics=metrics,
    )


async def _renderer(
    settings: ApiSettings, stack: AsyncExitStack, metrics: DeliveryMetrics
) -> tuple[Spool, RenderPool]:
    """Start the render children. The spool comes first: they may open no other folder."""
    spool = stack.enter_context(Spool(settings.spool))
    pool = RenderPool(
        slots=settings.slots,
        limits=settings.limits,
        on_child_exit=lambda cause: metrics.child_exits.labels(cause).inc(),
    )
    await stack.enter_async_context(pool)
    if pool.gaps:
        log.warning("children_not_fully_confined", missing=pool.gaps)
    return spool, pool


async def _lookup(
    settings: ApiSettings, objects: Objects, aws: Aws, maker: Maker, metrics: DeliveryMetrics
) -> Lookup:
    deferral = None
    if settings.renders_queue_url:
        queue = await aws.queue(settings.renders_queue_url)
        deferral = Deferral(queue, least_pixels=settings.avif_wait_pixels)
    return Lookup(
        assets=CachedAssets(objects, most_bytes=settings.cache_bytes),
        on_demand=OnDemand(
            maker,
            slots=settings.slots,
            queue=settings.render_queue,
            wait_seconds=settings.render_wait_seconds,
            metrics=metrics,
        ),
        deferral=deferral,
        quotas=Quotas(settings.renders_per_minute, policy="renders"),
        max_bytes=settings.max_result_bytes,
        metrics=metrics,
    )


async def _sources(
    settings: ApiSettings, objects: Objects, aws: Aws, aliases: Mapping[str, Alias]
) -> SourceImages:
    buckets = {
        name: await aws.sources(
            alias.bucket, role_arn=alias.role_arn, external_id=alias.external_id
        )
        for name, alias in aliases.items()
    }
    current = CoalescedRecords(await aws.records())
    return SourceImages(
        cached=CachedRecords(current),
        current=current,
        bucket=objects,
        buckets=buckets,
        ids=settings.image_ids,
    )
