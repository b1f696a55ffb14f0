"""The contract of listing the buckets, on every backend."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from safelight.keys import asset_key, new_image_id, source_key
from tests.contract.conftest import Place
from tests.contract.test_objects import AwsStore, FakeStore, Store
from tests.support.fakes import FakeInventory

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class Shelves:
    """The edge under test, and the buckets that it lists."""

    inventory: Any
    store: Store

    async def put(self, image_id: str, tmp_path: Path, *, revision: str) -> str:
        """Store an asset of two bytes; return its key."""
        key = asset_key(
            image_id=image_id,
            revision=revision,
            preset="small",
            fingerprint="0123456789ab",
            extension="webp",
        )
        file = tmp_path / revision
        file.write_bytes(b"ab")
        sha256 = "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"
        await self.store.edge.put(key=key, path=file, media_type="image/webp", sha256=sha256)
        return key


@pytest_asyncio.fixture(loop_scope="session")
async def shelves(place: Place | None) -> Shelves:
    if place is None:
        fake = FakeStore()
        return Shelves(FakeInventory(fake.edge), fake)
    objects = await place.as_worker.objects()
    store = AwsStore(place, objects, await place.as_delivery.objects())
    return Shelves(await place.as_owner.inventory(), store)


async def test_the_assets_of_an_image_are_listed_and_no_others(shelves, tmp_path):
    image_id = new_image_id()
    assert await shelves.inventory.assets(image_id) == ()
    keys = [await shelves.put(image_id, tmp_path, revision=name) for name in ("v1", "v2")]
    await shelves.put(new_image_id(), tmp_path, revision="v1")
    listed = await shelves.inventory.assets(image_id)
    assert [(one.key, one.size_bytes) for one in listed] == [(key, 2) for key in sorted(keys)]
    assert all(one.modified_at > 1_700_000_000 for one in listed)


async def test_the_versions_of_a_source_are_listed_the_latest_first(shelves):
    key = source_key(user_id="key:alice", image_id=new_image_id())
    assert await shelves.inventory.versions(key) == ()
    first = await shelves.store.upload(key, b"a")
    second = await shelves.store.upload(key, b"bcd")
    await shelves.store.upload(f"{key}.other", b"x")
    marker = await shelves.store.remove(key)
    listed = await shelves.inventory.versions(key)
    assert (listed[0].version_id, listed[0].size_bytes, listed[0].latest) == (marker, None, True)
    assert {one.version_id: (one.size_bytes, one.latest) for one in listed[1:]} == {
        first.version_id: (1, False),
        second.version_id: (3, False),
    }


async def test_the_keys_of_all_sources_are_listed_once_deleted_ones_too(shelves):
    ids = [new_image_id() for _ in range(3)]
    sources = [source_key(user_id="key:alice", image_id=image_id) for image_id in ids]
    for key in sources:
        for body in (b"A", b"B"):
            await shelves.store.upload(key, body)
    await shelves.store.remove(sources[1])
    listed = [key async for key in shelves.inventory.source_keys()]
    assert [key for key in listed if key in sources] == sorted(sources)
