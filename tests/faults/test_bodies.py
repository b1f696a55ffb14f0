"""Messages of every form, readable or not: row 16 of the faults."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import pictures
from tests.support.faults.injector import (
    Source,
    eventbridge_event,
    removal,
    s3_record,
    sns_notification,
)
from tests.support.faults.rig import Rig

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()

Body = Callable[[Source], Any]


def native(source: Source) -> dict[str, Any]:
    return {"Records": [s3_record(source)]}


def changed(source: Source, **more: Any) -> dict[str, Any]:
    return {"Records": [s3_record(source) | more]}


def without(source: Source, *names: str) -> dict[str, Any]:
    document = native(source)
    for name in names:
        del document["Records"][0]["s3"]["object"][name]
    return document


def fully_encoded(source: Source) -> dict[str, Any]:
    document = native(source)
    key = document["Records"][0]["s3"]["object"]["key"].replace("/", "%2F")
    document["Records"][0]["s3"]["object"]["key"] = key
    return document


COMPLETES: dict[str, Body] = {
    "S3": native,
    "S3 through SNS, wrapped": lambda source: sns_notification(native(source)),
    "EventBridge": eventbridge_event,
    "EventBridge through SNS": lambda source: sns_notification(eventbridge_event(source)),
    "encoded slashes": fully_encoded,
    "a later minor version": lambda source: changed(source, eventVersion="2.9"),
    "unknown fields": lambda source: changed(source, glacierEventData={"a": [1]}, more=None),
    "64 KB": lambda source: changed(source, padding="x" * 64_000),
}
NOTHING_TO_DO: dict[str, Body] = {
    "the greeting": lambda _: {"Service": "Amazon S3", "Event": "s3:TestEvent"},
    "no records": lambda _: {"Records": []},
    "a removal": lambda source: native(removal(source, sequencer="FF")),
    "another kind of event": lambda source: changed(source, eventName="ObjectTagging:Put"),
}
UNREADABLE: dict[str, Any] = {
    "not JSON": "this is not JSON",
    "a list": "[]",
    "no event": '{"hello": "world"}',
    "an unknown version": {"Records": [{"eventVersion": "9.0"}]},
    "no records list": {"Records": "none"},
    "deep": "[" * 20_000,
    "64 KB of nothing": "x" * 64_000,
}
KEYS = ("a b.jpg", "a+b.jpg", "100%.jpg", "%2F.jpg", "ü/日本.jpg", "a&b=c#d?.jpg", "x" * 900)


async def test_row_16_every_form_of_event_completes_its_picture(rig: Rig) -> None:
    sources = [await rig.injector.put(CAT) for _ in COMPLETES]
    for source, body in zip(sources, COMPLETES.values(), strict=True):
        await rig.injector.send(json.dumps(body(source)))
    rig.injector.remember(*sources)
    worker = await rig.worker(SLOTS="2")
    await rig.settled()
    assert (await worker.metrics()).value("receive_count_bucket", le="1.0") == len(COMPLETES)


@pytest.mark.slow
async def test_row_16_any_key_is_fetched_as_it_is_named(rig: Rig) -> None:
    for key in KEYS:
        await rig.injector.upload(CAT, key=f"uploads/bob/{key}")
    await rig.worker(SLOTS="2")
    world = await rig.settled()
    assert {record.original_key for record in world.records.values()} == {
        f"uploads/bob/{key}" for key in KEYS
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "missing",
    [
        ("sequencer",),
        ("versionId",),
        ("sequencer", "versionId"),
    ],
)
async def test_row_16_an_event_without_sequencer_or_version_still_settles(
    rig: Rig, missing: tuple[str, ...]
) -> None:
    source = await rig.injector.put(CAT)
    await rig.injector.send(json.dumps(without(source, *missing)))
    await rig.worker()
    await rig.until_empty()
    record = (await rig.records())[source.image_id]
    assert record.status == "completed"
    assert set(await rig.assets()) == {variant.key for variant in record.variants.values()}


@pytest.mark.slow
async def test_row_16_what_tells_of_no_upload_is_deleted_at_once(rig: Rig) -> None:
    source = await rig.injector.put(CAT)
    for body in NOTHING_TO_DO.values():
        await rig.injector.send(json.dumps(body(source)))
    worker = await rig.worker()
    await rig.until_empty()
    assert await rig.records() == {}
    page = await worker.metrics()
    assert page.value("receive_messages_total") == len(NOTHING_TO_DO)
    assert await rig.dead_letters() == []


async def test_row_16_what_nobody_can_read_becomes_a_dead_letter_and_nothing_worse(
    rig: Rig,
) -> None:
    bodies = [one if isinstance(one, str) else json.dumps(one) for one in UNREADABLE.values()]
    for body in bodies:
        await rig.injector.send(body)
    await rig.injector.upload(CAT)
    worker = await rig.worker()
    world = await rig.settled(dead_letters=len(bodies))
    assert sorted(world.dead_letters) == sorted(bodies)
    page = await worker.metrics()
    assert page.value("receive_messages_total") == len(bodies) + 1
    assert page.value("messages_buried_total", cause="unreadable") == len(bodies)
    assert worker.exit_code is None


@pytest.mark.slow
async def test_row_16_the_good_record_of_a_message_completes_beside_a_bad_one(rig: Rig) -> None:
    source = await rig.injector.put(CAT)
    await rig.injector.send(json.dumps({"Records": [{"eventVersion": "9.0"}, s3_record(source)]}))
    rig.injector.remember(source)
    await rig.worker()
    world = await rig.settled(dead_letters=1)
    assert rig.proxy.count("UpdateItem") == 1
    assert world.records[source.image_id].status == "completed"
