"""Services that fail or refuse while images are erased: row 53 of the faults."""

import asyncio
import time
from typing import Any

import pytest

from tests.support.faults.cleaning import Cleaning
from tests.support.faults.injector import Source
from tests.support.faults.proxy import Fault, Rule, answer_lost, refused, reset
from tests.support.faults.supervisor import until
from tests.support.faults.ward import Ward

IMAGES = 4
"""How many images are erased in each outage, one after another, so that it meets every state."""
OUTAGE_SECONDS = 6
FAIR_SECONDS = 1
OUTAGES: dict[str, tuple[str, Fault, float]] = {
    "S3 is down": ("s3", refused(503, "ServiceUnavailable"), 1),
    "S3 throttles": ("s3", refused(503, "SlowDown"), 0.5),
    "deletions' answers are lost": ("POST", answer_lost, 0.7),
    "DynamoDB is down": ("dynamodb", refused(500, "InternalServerError"), 1),
    "DynamoDB throttles": ("dynamodb", refused(400, "ThrottlingException"), 0.5),
    "steps' answers are lost": ("UpdateItem", answer_lost, 0.7),
    "SQS is down": ("sqs", refused(503, "ServiceUnavailable"), 1),
    "messages are sent twice": ("SendMessage", answer_lost, 0.7),
    "SNS is down": ("sns", refused(503, "ServiceUnavailable"), 1),
    "CloudFront resets": ("cloudfront", reset, 1),
    "CloudFront has no room": ("cloudfront", refused(400, "TooManyInvalidationsInProgress"), 1),
    "CloudFront throttles": ("cloudfront", refused(400, "Throttling"), 0.5),
}
"""The operation or service, the fault, and the share of the calls."""


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_row_53_outages_delay_erasures_and_lose_none(cleaning: Cleaning) -> None:
    """One outage follows another, in random order."""
    names = cleaning.rig.random.sample(sorted(OUTAGES), len(OUTAGES))
    rules = {}
    for name in names:
        operation, fault, share = OUTAGES[name]
        rule = Rule(operation, fault, share=share, on=False)
        rules[name] = cleaning.rig.proxy.add(rule)
    ward = await Ward.open(cleaning, made_by=())
    sources = [await ward.completed() for _ in range(IMAGES * len(OUTAGES))]
    for name in names:
        rules[name].on = True
        for source in sources[:IMAGES]:
            await cleaning.erase(source)
            await asyncio.sleep(OUTAGE_SECONDS / IMAGES)
        del sources[:IMAGES]
        rules[name].on = False
        await asyncio.sleep(FAIR_SECONDS)
    world = await cleaning.cleaned(seconds=240)
    assert [name for name in names if not rules[name].used] == []
    assert {record.erasure is not None for record in world.records.values()} == {True}


class Vaults:
    """Locks of objects, as an account's owner sets them."""

    def __init__(self, cleaning: Cleaning) -> None:
        self._account = cleaning.rig.emulator.account
        self._bucket = cleaning.rig.stack.uploads_bucket

    async def allow(self) -> None:
        """Let objects of the bucket be locked."""
        configuration: Any = {"ObjectLockEnabled": "Enabled"}
        async with self._account.client("s3") as s3:
            await s3.put_object_lock_configuration(
                Bucket=self._bucket, ObjectLockConfiguration=configuration
            )

    async def hold(self, source: Source, *, on: bool) -> None:
        """Set or remove the legal hold of a version."""
        async with self._account.client("s3") as s3:
            await s3.put_object_legal_hold(
                Bucket=self._bucket,
                Key=source.key,
                VersionId=source.version_id,
                LegalHold={"Status": "ON" if on else "OFF"},
            )


@pytest.mark.slow
async def test_row_53_a_locked_object_holds_only_its_own_erasure_and_says_why(
    cleaning: Cleaning,
) -> None:
    vaults = Vaults(cleaning)
    await vaults.allow()
    ward = await Ward.open(cleaning, made_by=["cleanup"], cleanups=1)
    (cleanup,) = (one for one in cleaning.running if one.role == "cleanup")
    sources = [await ward.completed() for _ in range(IMAGES)]
    locked, *others = sources
    await vaults.hold(locked, on=True)
    began = time.monotonic()
    for source in sources:
        await cleaning.erase(source)
    for source in others:
        await ward.until(source, "complete")
    tag = f"#img-{locked.image_id}"
    await until(lambda: cleaning.references[tag], "caches are invalidated although it is locked")
    await asyncio.sleep(4)  # it is tried again every 3 seconds
    receipt = await ward.alice.receipt(locked.image_id)
    assert receipt["state"] == "requested"
    assert not [key for key in await cleaning.rig.assets() if locked.image_id in key]
    metrics = await cleanup.metrics()
    tries = metrics.value("erasures_total", outcome="not_deleted")
    assert 2 <= tries <= 2 + (time.monotonic() - began)
    assert ward.moments.calls(locked.image_id).count("CreateInvalidation") == 1
    details = {
        event["detail"]
        for event in cleanup.events("message")
        if event.get("outcome") == "erasure_not_deleted"
    }
    (detail,) = details
    assert "AccessDenied" in detail
    assert locked.key in detail
    assert (await ward.alice.image(locked.image_id))[0] == 410
    await vaults.hold(locked, on=False)
    await ward.until(locked, "complete")
    await cleaning.cleaned()
    assert len(cleaning.references[tag]) == 2
