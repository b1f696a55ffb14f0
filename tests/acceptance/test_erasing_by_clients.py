"""Images are erased as users and operators do it, by real programs with their own policies."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from ops.local.system import LocalSystem
from safelight import keys
from tests.acceptance.conftest import API_KEYS, KEYS
from tests.acceptance.test_erasing import FAST, item, objects
from tests.acceptance.test_operators_images import CAT, safelight
from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system() -> AsyncIterator[LocalSystem]:
    async with LocalSystem(
        cleans=True, api_settings={"SAFELIGHT_API_KEYS": API_KEYS}, cleanup_settings=FAST
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def alice(system: LocalSystem) -> AsyncIterator[Person]:
    async with aiohttp.ClientSession() as session:
        yield Person(session, system.api_url, KEYS["alice"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bob(system: LocalSystem) -> AsyncIterator[Person]:
    async with aiohttp.ClientSession() as session:
        yield Person(session, system.api_url, KEYS["bob"])


async def erase(system: LocalSystem, *words: str) -> str:
    """Run the operator's command, with the permissions of OperatorPolicy; return its output."""
    queue = system.stack.cleanup_queue_url
    code, output, errors = await safelight(
        system, "erase", *words, SAFELIGHT_CLEANUP_QUEUE_URL=queue
    )
    assert code == 0, errors
    return output + errors


async def completed(alice: Person, image_id: str) -> dict[str, Any]:
    """Wait until an erasure is complete; return the receipt."""
    async with asyncio.timeout(90):
        while (receipt := await alice.receipt(image_id))["state"] != "complete":
            await asyncio.sleep(0.3)
    return receipt


async def test_a_user_erases_an_image_and_reads_the_receipt(
    system: LocalSystem, alice: Person
) -> None:
    image_id = await alice.upload(CAT, tags=["sea"])
    await alice.settled(image_id)
    assert (await alice.erase(image_id))["state"] == "requested"
    status, problem = await alice.image(image_id)
    assert (status, problem["receiptUrl"]) == (410, f"/v1/images/{image_id}/erasure")
    assert image_id not in await alice.found()
    assert image_id not in await alice.found(tag="sea")
    receipt = await completed(alice, image_id)
    assert (receipt["requestedBy"], receipt["caches"]) == ("owner", "none configured")
    assert (receipt["sources"]["versions"], receipt["tags"]["entries"]) == (1, 1)
    assert await objects(system, image_id) == []
    assert (await alice.erase(image_id))["state"] == "complete"


async def test_what_arrives_for_a_cancelled_upload_is_deleted(
    system: LocalSystem, alice: Person
) -> None:
    ticket = await alice.ask(CAT)
    image_id = ticket["imageId"]
    await alice.erase(image_id)
    assert await alice.send(ticket, CAT) in (200, 201, 204)
    receipt = await completed(alice, image_id)
    assert "caches" not in receipt or receipt["caches"] == "none configured"
    async with asyncio.timeout(60):
        while await objects(system, image_id):
            await asyncio.sleep(0.3)


@pytest.mark.timeout(400)  # it starts five commands
async def test_an_operator_erases_what_a_restored_backup_brought_back(
    system: LocalSystem, alice: Person
) -> None:
    image_id = await alice.upload(CAT, tags=["sea"])
    await alice.settled(image_id)
    backup = await item(system, image_id)
    output = await erase(system, image_id, "--dry-run")
    assert "Would erase 1 image: 1 version" in output
    assert (await alice.image(image_id))[0] == 200
    output = await erase(system, image_id, "--wait")
    assert "state complete" in output
    assert await objects(system, image_id) == []
    key = keys.source_key(user_id="key:alice", image_id=image_id)
    async with system.account.client("dynamodb") as dynamodb, system.account.client("s3") as s3:
        await dynamodb.put_item(TableName=system.stack.table, Item=backup)
        await s3.put_object(Bucket=system.stack.uploads_bucket, Key=key, Body=CAT)
    assert (await alice.image(image_id))[0] == 200
    output = await erase(system, "--again", "--since", "2026-01-01", "--wait")
    assert image_id in output
    assert (await completed(alice, image_id))["requestedBy"] == "operator"
    assert await objects(system, image_id) == []
    code, output, _ = await safelight(system, "show", image_id)
    assert code == 3
    assert "receipt: completedAt" in output


@pytest.mark.timeout(400)
async def test_everything_of_a_user_is_erased_by_the_user_and_by_an_operator(
    system: LocalSystem, bob: Person
) -> None:
    images = [await bob.upload(CAT, tags=["sea"]) for _ in range(3)]
    for image_id in images:
        await bob.settled(image_id)
    asked = await bob.erase_all(everything=True)
    async with asyncio.timeout(200):
        while (counts := await bob.erasure(asked["erasureId"]))["state"] != "complete":
            await asyncio.sleep(0.3)
    assert (counts["images"], counts["complete"]) == (3, 3)
    assert [await objects(system, image_id, user_id="key:bob") for image_id in images] == [[]] * 3
    output = await erase(system, "--user", "key:bob", "--yes", "--wait")
    assert "state complete" in output
