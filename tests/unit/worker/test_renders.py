"""The role renders: demands of delivery, and sources that are settled by key."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from safelight import keys
from safelight.errors import (
    Reason,
    Refused,
    Rejection,
    TooEarly,
    Unavailable,
    Unreadable,
    WrongQueue,
)
from safelight.faces import Face
from safelight.presets import Preset
from safelight.queued import Demand, EraseImage, Ingest
from safelight.record import Status
from tests.support.fakes import FakeFaces, FakeVersion
from tests.unit.worker.house import IMAGE, KEY, NOW, PRESETS, House
from worker.renders import read_renders
from worker.verdict import Progress

SMALL = next(preset for preset in PRESETS if preset.name == "small")
ERASURE = EraseImage(image_id=IMAGE, key=KEY, by="worker", at=NOW)
AVIF = Preset(name="small", wish=SMALL.wish.in_format("avif"))


def demanded(house: House, revision: str | None = None) -> str:
    wanted = revision or house.record.revision or ""
    return Demand(image_id=IMAGE, revision=wanted, preset=AVIF).to_json()


async def test_a_demand_is_rendered_and_stored_and_nobody_is_told(house: House) -> None:
    await house.process(house.upload(b"picture"))
    record, before = house.record, set(house.objects.assets)
    assert await house.render(demanded(house)) is Progress.STORED
    (key,) = set(house.objects.assets) - before
    assert key == keys.asset_key(
        image_id=IMAGE,
        revision=record.revision or "",
        preset="small",
        fingerprint=AVIF.wish.fingerprint,
        extension="avif",
    )
    assert house.record == record
    assert len(house.topic.published) == 1
    assert house.value("met") == 1


async def test_a_repeated_demand_writes_the_same_again(house: House) -> None:
    await house.process(house.upload(b"picture"))
    await house.render(demanded(house))
    stored = dict(house.objects.assets)
    await house.render(demanded(house))
    assert house.objects.assets == stored


async def test_a_demand_for_what_was_replaced_or_never_was_is_dropped(house: House) -> None:
    await house.render(demanded(house, "v1"))
    await house.process(house.upload(b"picture"))
    await house.render(demanded(house, "another"))
    house.upload(b"newer")
    house.records.records[IMAGE] = house.record.model_copy(update={"version_id": None})
    await house.render(demanded(house))
    assert house.value("superseded") == 3
    assert not [key for key in house.objects.assets if key.endswith(".avif")]


async def test_a_demand_for_what_cannot_be_rendered_is_dropped(house: House) -> None:
    await house.process(house.upload(b"picture"))
    house.renderer.outcome = Rejection(Reason.TIMEOUT, "too long")
    assert await house.render(demanded(house)) is Progress.NONE
    assert house.value("rejected") == 1


async def test_a_demand_waits_while_a_service_is_down(house: House) -> None:
    await house.process(house.upload(b"picture"))
    house.objects.fail_next["put"] = [Unavailable("s3", "slow down")]
    with pytest.raises(Unavailable):
        await house.render(demanded(house))


EVENT = {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}]}


@pytest.mark.parametrize(
    "body",
    [
        EVENT,
        {"source": "aws.s3", "detail-type": "Object Created"},
        {"Event": "s3:TestEvent"},
        {"Type": "Notification", "Message": json.dumps(EVENT)},
    ],
)
async def test_an_event_of_s3_is_of_the_wrong_queue_and_changes_nothing(
    house: House, body: dict
) -> None:
    await house.process(house.upload(b"picture"))
    record = house.record
    with pytest.raises(WrongQueue):
        await house.render(json.dumps(body))
    assert house.record == record


async def test_a_forged_event_with_the_newest_sequencer_changes_no_record(house: House) -> None:
    """What delivery's permissions allow: any message to RendersQueue."""
    await house.process(house.upload(b"old"), house.upload(b"new", sequencer="02"))
    record = house.record
    forged = house.event(house.objects.sources[KEY][0], sequencer="F" * 32)
    with pytest.raises(WrongQueue):
        await house.render(json.dumps({"Records": [forged]}))
    assert house.record == record


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "{}",
        '{"type": "safelight.of-tomorrow"}',
        '{"type": "safelight.ingest"}',
        '{"type": "safelight.ingest", "key": "images/x"}',
        '{"type": "safelight.ingest", "key": "uploads/folder/"}',
        '{"type": "safelight.ingest", "key": "uploads/"}',
        json.dumps({"type": "safelight.ingest", "key": "uploads/" + "x" * 1024}),
        json.dumps({"type": "safelight.ingest", "key": "uploads/" + "\U0001f600" * 300}),
        json.dumps({"type": "safelight.ingest", "key": "uploads/\ud800"}),
        *(
            json.dumps(
                {
                    "type": "safelight.demand",
                    "imageId": IMAGE,
                    "revision": "v1",
                    "preset": {"name": "a", "format": "avif"},
                    **hostile,
                }
            )
            for hostile in (
                {"imageId": ""},
                {"imageId": "\ud800"},
                {"imageId": "x" * 5000},
                {"revision": ""},
                {"revision": "\ud800"},
                {"revision": "x" * 5000},
                {"preset": {"name": "a", "format": "auto"}},
                {"preset": {}},
            )
        ),
    ],
)
def test_what_is_no_message_of_ours_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_renders(body)
    assert not isinstance(caught.value, WrongQueue)


DEMAND = Demand(
    image_id=IMAGE, revision="v1", preset=Preset(name="a", format="avif", box=(9, 9), keep=())
)


@pytest.mark.parametrize(
    "message", [DEMAND, Ingest(key=KEY), Ingest(key="uploads/a\nb \u00fc"), Ingest(key="uploads/x")]
)
def test_a_message_is_read_as_it_was_written(message: Demand | Ingest) -> None:
    assert read_renders(message.to_json()) == message


@pytest.mark.parametrize("without", ["imageId", "revision", "preset"])
def test_a_demand_that_lacks_something_is_unreadable(without: str) -> None:
    body = json.loads(DEMAND.to_json())
    del body[without]
    with pytest.raises(Unreadable, match=without):
        read_renders(json.dumps(body))


INGEST = Ingest(key=KEY).to_json()


def event_of(house: House, number: int, *, sequencer: str) -> dict:
    return house.event(house.objects.sources[KEY][number], sequencer=sequencer)


async def test_an_ingest_settles_the_latest_version_of_a_source_and_publishes(
    house: House,
) -> None:
    house.upload(b"old")
    house.upload(b"picture")
    assert await house.render(INGEST) is Progress.PUBLISHED
    assert (house.record.status, house.record.version_id) == (Status.COMPLETED, "v2")
    assert len(house.topic.published) == 1
    assert house.ingests("settled") == 1


async def test_an_ingest_of_a_settled_version_renders_nothing_and_publishes_the_same_again(
    house: House,
) -> None:
    await house.process(house.upload(b"picture"))
    record, renders = house.record, house.renderer.renders
    await house.render(INGEST)
    assert (house.record, house.renderer.renders) == (record, renders)
    assert len({(one.id, one.sequence) for one in house.topic.published}) == 1
    assert len(house.topic.published) == 2


async def test_the_real_event_finds_what_an_ingest_settled(house: House) -> None:
    event = house.upload(b"picture", sequencer="07")
    await house.render(INGEST)
    record, renders = house.record, house.renderer.renders
    await house.process(event)
    placed = record.model_copy(update={"sequencer": keys.padded_sequencer("07")})
    assert (house.record, house.renderer.renders) == (placed, renders)


async def test_a_newer_upload_wins_over_an_ingest_and_an_older_one_loses(house: House) -> None:
    await house.process(house.upload(b"first", sequencer="05"))
    house.upload(b"second")
    await house.render(INGEST)
    assert house.record.version_id == "v2"
    await house.process(event_of(house, 0, sequencer="05"))
    assert house.record.version_id == "v2"
    await house.process(house.upload(b"third", sequencer="06"))
    assert house.record.version_id == "v3"


async def test_a_version_that_arrives_during_an_ingest_is_not_replaced_by_an_older_one(
    house: House,
) -> None:
    """The newer version is settled between any two steps of the ingest."""
    await house.process(house.upload(b"first", sequencer="05"))
    house.upload(b"second", sequencer="06")
    look = house.objects.current_version

    async def meanwhile(key: str) -> object:
        latest = await look(key)
        house.objects.current_version = look  # type: ignore[method-assign] # once
        await house.process(house.upload(b"third", sequencer="07"))
        return latest

    house.objects.current_version = meanwhile  # type: ignore[method-assign] # a race, acted out
    await house.render(INGEST)
    assert house.record.version_id == "v3"


async def test_an_ingest_that_stalls_ends_with_what_another_one_settled_meanwhile(
    house: House,
) -> None:
    """Neither version's own event ever comes."""
    await house.process(house.upload(b"first", sequencer="05"))
    house.upload(b"second")
    look = house.objects.current_version

    async def stalls(key: str) -> object:
        latest = await look(key)
        house.objects.current_version = look  # type: ignore[method-assign] # once
        house.upload(b"third")
        await house.render(INGEST)
        return latest

    house.objects.current_version = stalls  # type: ignore[method-assign] # a race, acted out
    await house.render(INGEST)
    assert house.record.version_id == "v3"


async def test_the_event_of_what_an_ingest_settled_gives_it_its_place(house: House) -> None:
    """So an older event that comes later still loses, though the ingest knew no sequencer."""
    house.upload(b"first")
    house.upload(b"second")
    await house.render(INGEST)
    await house.process(event_of(house, 1, sequencer="06"))
    await house.process(event_of(house, 0, sequencer="05"))
    assert house.record.version_id == "v2"


async def test_a_source_that_is_replaced_all_the_time_waits(house: House) -> None:
    look = house.objects.current_version

    async def replaced(key: str) -> object:
        house.upload(b"again")
        return await look(key)

    house.objects.current_version = replaced  # type: ignore[method-assign] # a race, acted out
    with pytest.raises(TooEarly):
        await house.render(INGEST)


async def test_an_ingest_of_a_source_that_is_gone_changes_nothing(house: House) -> None:
    assert await house.render(INGEST) is Progress.NONE
    house.upload(b"picture")
    house.upload(None)  # type: ignore[arg-type] # a delete marker
    assert await house.render(INGEST) is Progress.NONE
    assert house.records.records == {}
    assert house.ingests("gone") == 2


async def test_an_ingest_of_an_erased_image_brings_nothing_back(house: House) -> None:
    await house.process(house.upload(b"picture"))
    house.records.records[IMAGE] = house.record.model_copy(update={"status": Status.ERASED})
    house.upload(b"again")
    assert await house.render(INGEST) is Progress.NONE
    assert house.record.status is Status.ERASED
    assert house.ingests("superseded") == 1
    assert house.erasures() == [ERASURE]


async def test_an_ingest_that_was_interrupted_has_an_image_erased_whose_source_is_gone(
    house: House,
) -> None:
    """Its first life may have stored assets before it died."""
    await house.process(house.upload(b"picture"))
    house.records.records[IMAGE] = house.record.model_copy(update={"status": Status.ERASED})
    house.objects.sources.clear()
    assert await house.render(INGEST) is Progress.NONE
    assert house.erasures() == [ERASURE]


async def test_an_image_that_is_erased_while_a_demand_renders_is_erased_again(
    house: House,
) -> None:
    await house.process(house.upload(b"picture"))
    demand, stored = demanded(house), dict(house.objects.assets)

    def erase() -> None:
        house.records.records[IMAGE] = house.record.model_copy(
            update={"status": Status.ERASED, "original_key": "(erased)"}
        )

    house.renderer.meanwhile = erase
    await house.render(demand)
    assert house.objects.assets != stored
    assert house.erasures() == [ERASURE]


async def test_a_demand_of_an_erased_image_has_it_erased_again(house: House) -> None:
    await house.process(house.upload(b"picture"))
    demand = demanded(house)
    house.records.records[IMAGE] = house.record.model_copy(update={"status": Status.ERASED})
    assert await house.render(demand) is Progress.NONE
    assert house.value("superseded") == 1
    (erasure,) = house.erasures()
    assert erasure == ERASURE.model_copy(update={"key": None})


async def test_without_versions_an_ingest_knows_what_is_settled_by_its_etag(house: House) -> None:
    event = house.upload(b"picture", sequencer="05")
    del event["s3"]["object"]["versionId"]
    await house.process(event)
    latest = house.objects.sources[KEY][-1]
    house.objects.sources[KEY] = [replace(latest, version_id="null")]
    renders = house.renderer.renders
    look = house.objects.current_version

    async def unversioned(key: str) -> object:
        return replace(await look(key), version_id=None)

    house.objects.current_version = unversioned  # type: ignore[method-assign] # a bucket without versions
    await house.render(INGEST)
    assert house.renderer.renders == renders
    house.objects.sources[KEY] = [FakeVersion(version_id="null", body=b"another")]
    await house.render(INGEST)
    assert house.record.original_size == len(b"another")


AVATAR = Preset(name="small", format="avif", box=(9, 9), fit="cover", gravity="faces")


async def test_a_demand_is_framed_by_the_record_without_looking_again(tmp_path: Path) -> None:
    service = FakeFaces(Face(left=0.8, top=0.2, width=0.1, height=0.2))
    house = House(tmp_path / "spool", faces=service)
    await house.process(house.upload())
    demand = Demand(image_id=IMAGE, revision=house.record.revision or "", preset=AVATAR)
    await house.render(demand.to_json())
    assert service.calls["detect"] == 1
    house.records.records[IMAGE] = house.record.model_copy(update={"faces": None})
    await house.render(demand.to_json())
    assert service.calls["detect"] == 2


async def test_a_demand_for_faces_that_this_worker_cannot_find_is_not_made_without_them(
    house: House,
) -> None:
    await house.process(house.upload())
    before = set(house.objects.assets)
    demand = Demand(image_id=IMAGE, revision=house.record.revision or "", preset=AVATAR)
    with pytest.raises(Refused, match="SAFELIGHT_FACES"):
        await house.render(demand.to_json())
    assert set(house.objects.assets) == before
