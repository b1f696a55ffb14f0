"""The contract of deleting objects, and of documents beside the sources, on every backend."""

from typing import Any

import pytest
import pytest_asyncio

from safelight.keys import new_image_id, source_key
from tests.contract.conftest import Place
from tests.contract.test_inventory import Shelves
from tests.contract.test_objects import AwsStore, FakeStore
from tests.support.fakes import FakeCdn, FakeDeletions, FakeDocuments, FakeInventory

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Cellar:
    """The edges under test, and the shelves that they clear."""

    def __init__(self, shelves: Shelves, deletions: Any, documents: Any) -> None:
        self.shelves, self.deletions, self.documents = shelves, deletions, documents

    async def assets(self, image_id: str) -> list[str]:
        return [one.key for one in await self.shelves.inventory.assets(image_id)]

    async def versions(self, key: str) -> list[str]:
        return [one.version_id for one in await self.shelves.inventory.versions(key)]


@pytest_asyncio.fixture(loop_scope="session")
async def cellar(place: Place | None) -> Cellar:
    if place is None:
        store = FakeStore()
        shelves = Shelves(FakeInventory(store.edge), store)
        return Cellar(shelves, FakeDeletions(store.edge), FakeDocuments())
    aws = AwsStore(place, await place.as_worker.objects(), await place.as_delivery.objects())
    cleanup = place.as_cleanup
    shelves = Shelves(await cleanup.inventory(), aws)
    return Cellar(shelves, await cleanup.deletions(), await cleanup.documents())


@pytest.fixture
def key() -> str:
    return source_key(user_id="key:alice", image_id=new_image_id())


async def test_deleted_versions_and_delete_markers_are_gone_for_ever(cellar, key):
    await cellar.shelves.store.upload(key, b"first")
    await cellar.shelves.store.remove(key)
    await cellar.shelves.store.upload(key, b"second")
    found = await cellar.versions(key)
    assert len(found) == 3
    await cellar.deletions.versions(key, found)
    assert await cellar.versions(key) == []


async def test_a_version_that_is_not_named_stays(cellar, key):
    first = await cellar.shelves.store.upload(key, b"first")
    second = await cellar.shelves.store.upload(key, b"second")
    for _ in range(2):
        await cellar.deletions.versions(key, [second.version_id])
    assert await cellar.versions(key) == [first.version_id]


async def test_deleted_assets_are_gone_and_those_of_another_image_stay(cellar, tmp_path):
    image_id, other = new_image_id(), new_image_id()
    for revision in ("v1", "v2"):
        await cellar.shelves.put(image_id, tmp_path, revision=revision)
    kept = await cellar.shelves.put(other, tmp_path, revision="v1")
    for _ in range(2):
        await cellar.deletions.assets(await cellar.assets(image_id))
    assert await cellar.assets(image_id) == []
    assert await cellar.assets(other) == [kept]


async def test_more_assets_are_deleted_than_one_request_may_name(cellar, tmp_path, monkeypatch):
    monkeypatch.setattr("safelight.aws.deletions.MOST_AT_ONCE", 2)
    image_id = new_image_id()
    for number in range(5):
        await cellar.shelves.put(image_id, tmp_path, revision=f"v{number}")
    await cellar.deletions.assets(await cellar.assets(image_id))
    assert await cellar.assets(image_id) == []


async def test_a_document_is_added_once_and_read_back(cellar):
    key = f"erasures/{new_image_id()}.json"
    assert await cellar.documents.read(key) is None
    assert await cellar.documents.add(key, "\u00fcber 1")
    assert not await cellar.documents.add(key, "2")
    assert await cellar.documents.read(key) == "\u00fcber 1"


async def test_a_document_is_replaced(cellar):
    key = f"erasures/users/{new_image_id()}.json"
    for text in ("1", "2"):
        await cellar.documents.put(key, text)
    assert await cellar.documents.read(key) == "2"


async def distribution_of(place: Place | None) -> Any:
    if place is None:
        return FakeCdn()
    origin = {"Id": "o", "DomainName": "o.example", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    behaviour = {
        "TargetOriginId": "o",
        "ViewerProtocolPolicy": "https-only",
        "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
        "MinTTL": 0,
    }
    answer = await place.clients["cloudfront"].create_distribution(
        DistributionConfig={
            "CallerReference": new_image_id(),
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": behaviour,
            "Comment": "",
            "Enabled": True,
        }
    )
    return await place.as_owner.cdn(answer["Distribution"]["Id"])


@pytest.mark.parametrize("backend", ["fake", "ministack"], indirect=True)
async def test_a_repeated_invalidation_is_the_same_one(place):  # moto: makes another one
    cdn = await distribution_of(place)
    first = await cdn.invalidate("#img-1", reference="1-1")
    assert await cdn.invalidate("#img-1", reference="1-1") == first
    assert await cdn.invalidate("#img-1", reference="1-2") != first
    assert await cdn.has_finished(first)
