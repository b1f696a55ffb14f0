"""The contents and lifetimes of delivery's memory caches."""

import asyncio
import hashlib

import pytest

import api.delivery.cache as module
from api.delivery.cache import AT_ONCE, CachedAssets, CachedRecords, CoalescedRecords
from api.delivery.single_flight import Busy
from safelight.aws.objects import PART_BYTES
from safelight.errors import Rejection, Unavailable
from safelight.record import Record, Status
from tests.support.fakes import FakeAsset, FakeObjects, FakeRecords

IMAGE_ID = "01M7YB1NC8XE9XQ3H3PCRZFKK6"


def record_of(status: Status) -> Record:
    return Record(
        image_id=IMAGE_ID, user_id="key:alice", uploaded_at=1, original_key="k", status=status
    )


def stored(objects: FakeObjects, key: str, body: bytes) -> None:
    digest = hashlib.sha256(body).hexdigest()
    objects.assets[key] = FakeAsset(body=body, media_type="image/webp", sha256=digest)


async def read(assets: CachedAssets, key: str, **which: int) -> bytes | None:
    asset = await assets.read(key, max_bytes=10**7, **which)
    return asset and asset.body


async def test_a_completed_record_is_read_once_a_second_however_many_ask():
    now, records = [0.0], FakeRecords(record_of(Status.COMPLETED))
    cached = CachedRecords(records, now=lambda: now[0])
    for _ in range(9):
        assert (await cached.get(IMAGE_ID)).status is Status.COMPLETED
    assert records.calls["get"] == 1
    records.records[IMAGE_ID] = record_of(Status.ERASED)
    now[0] = 0.9
    assert (await cached.get(IMAGE_ID)).status is Status.COMPLETED
    now[0] = 1
    assert (await cached.get(IMAGE_ID)).status is Status.ERASED


@pytest.mark.parametrize("status", [None, Status.PENDING, Status.REJECTED, Status.ERASED])
async def test_what_may_come_is_seen_as_soon_as_it_is_there(status):
    records = FakeRecords(*([record_of(status)] if status else []))
    cached = CachedRecords(records, now=lambda: 0.0)
    await cached.get(IMAGE_ID)
    records.records[IMAGE_ID] = record_of(Status.COMPLETED)
    assert (await cached.get(IMAGE_ID)).status is Status.COMPLETED


async def test_of_a_crowd_one_asks():
    records, objects = FakeRecords(record_of(Status.PENDING)), FakeObjects()
    stored(objects, "a", b"a")
    cached = CachedRecords(CoalescedRecords(records))
    assets = CachedAssets(objects, most_bytes=0)
    await asyncio.gather(*(cached.get(IMAGE_ID) for _ in range(50)))
    assert await asyncio.gather(*(read(assets, "a") for _ in range(50))) == [b"a"] * 50
    known = await asyncio.gather(*(assets.look("a") for _ in range(50)))
    assert {asset.size_bytes for asset in known} == {1}
    assert (records.calls["get"], objects.calls["read"], objects.calls["look"]) == (1, 1, 1)


async def test_a_failure_is_told_to_all_who_wait_and_not_kept():
    records = FakeRecords(record_of(Status.COMPLETED))
    records.fail_next["get"].append(Unavailable("dynamodb", "no answer"))
    cached = CachedRecords(CoalescedRecords(records))
    asked = await asyncio.gather(*(cached.get(IMAGE_ID) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in asked] == [Unavailable] * 3
    assert (await cached.get(IMAGE_ID)).status is Status.COMPLETED


async def test_many_wait_and_few_are_read_at_once():
    under_way, most = 0, 0

    class Slow(FakeRecords):
        async def get(self, image_id):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    coalesced = CoalescedRecords(Slow())
    await asyncio.gather(*(coalesced.get(f"image-{n}") for n in range(100)))
    assert most == AT_ONCE


async def test_what_is_not_read_in_time_is_busy_and_so_is_what_finds_no_room(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(module, "WAITING", 4)
    gate = asyncio.Event()

    class Stalled(FakeRecords):
        async def get(self, image_id):
            await gate.wait()

    coalesced = CoalescedRecords(Stalled())
    asking = [asyncio.create_task(coalesced.get(f"image-{n}")) for n in range(AT_ONCE + 5)]
    with pytest.raises(Busy):
        await asking.pop()  # there was no room for it
    for late in (asking.pop() for _ in range(4)):
        with pytest.raises(Busy):
            await late
    gate.set()
    assert await asyncio.gather(*asking) == [None] * AT_ONCE


async def test_what_was_deleted_is_gone_in_a_minute():
    now, objects = [0.0], FakeObjects()
    assets = CachedAssets(objects, most_bytes=10**6, now=lambda: now[0])
    stored(objects, "a", b"a")
    await read(assets, "a")
    del objects.assets["a"]
    now[0] = 59
    assert await read(assets, "a") == b"a"
    now[0] = 60
    assert await read(assets, "a") is None


async def test_assets_are_read_once_and_the_oldest_go_first():
    objects = FakeObjects()
    assets = CachedAssets(objects, most_bytes=3 * 2000)
    for key in "abc":
        stored(objects, key, key.encode() * 600)
    for key in "abcabacd":
        if key == "d":
            stored(objects, key, b"d" * 600)
        assert await read(assets, key) == key.encode() * 600
    assert objects.calls["read"] == 4
    for key in "acdb":  # of which b was asked for least lately
        assert await read(assets, key)
    assert objects.calls["read"] == 5
    known = await assets.look("d")
    assert (known.body, known.size_bytes, objects.calls["look"]) == (None, 600, 0)


@pytest.mark.parametrize("most_bytes", [0, 1000, 10**9])
async def test_what_is_too_large_or_not_there_is_not_kept(most_bytes):
    objects = FakeObjects()
    assets = CachedAssets(objects, most_bytes=most_bytes)
    assert await read(assets, "a") is None
    body = bytes(range(256)) * (PART_BYTES // 256) + b"rest"
    stored(objects, "a", body)
    for _ in range(2):
        assert await read(assets, "a") == body[:PART_BYTES]
        assert await read(assets, "a", first=PART_BYTES) == b"rest"
    assert objects.calls["read"] == 5
    with pytest.raises(Rejection):
        await assets.read("a", max_bytes=10)
