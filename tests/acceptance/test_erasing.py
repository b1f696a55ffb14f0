"""Images are erased by real programs, each with its own policy only."""

import asyncio

import pytest

from ops.local.completions import subscribe
from ops.local.system import LocalSystem
from safelight import keys
from safelight.queued import EraseImage
from tests.acceptance.test_operators_images import CAT
from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def erase(system: LocalSystem, image_id: str) -> None:
    """Send the message, as the API does."""
    key = keys.source_key(user_id="key:alice", image_id=image_id)
    body = EraseImage(image_id=image_id, key=key, by="owner", at=1_800_000_000_000).to_json()
    async with system.account.client("sqs") as sqs:
        await sqs.send_message(QueueUrl=system.stack.cleanup_queue_url, MessageBody=body)


async def item(system: LocalSystem, key: str) -> dict:
    async with system.account.client("dynamodb") as dynamodb:
        answer = await dynamodb.get_item(
            TableName=system.stack.table, Key={"imageId": {"S": key}}, ConsistentRead=True
        )
    return answer.get("Item", {})


async def state(system: LocalSystem, image_id: str) -> str:
    erasure = (await item(system, image_id)).get("erasure", {"M": {}})["M"]
    return erasure.get("state", {"S": "none"})["S"]


async def erased(system: LocalSystem, image_id: str) -> None:
    async with asyncio.timeout(60):
        while await state(system, image_id) != "complete":
            await asyncio.sleep(0.1)


async def objects(system: LocalSystem, image_id: str, *, user_id: str = "key:alice") -> list[str]:
    """List all versions, delete markers and assets of an image."""
    key = keys.source_key(user_id=user_id, image_id=image_id)
    async with system.account.client("s3") as s3:
        uploads = {"Bucket": system.stack.uploads_bucket, "Prefix": key}
        versions = await s3.list_object_versions(**uploads)
        assets = await s3.list_objects_v2(
            Bucket=system.stack.assets_bucket, Prefix=keys.assets_prefix(image_id)
        )
    found = [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]
    return [one["Key"] for one in [*found, *assets.get("Contents", [])]]


async def test_of_an_erased_image_only_the_tombstone_and_the_ledger_stay(
    system: LocalSystem, alice: Person
) -> None:
    image_id = await alice.upload(CAT, tags=["sea"])
    await alice.settled(image_id)
    key = keys.source_key(user_id="key:alice", image_id=image_id)
    async with system.account.client("s3") as s3:
        bucket = system.stack.uploads_bucket
        await s3.put_object(Bucket=bucket, Key=key, Body=CAT + b"\0")
        await s3.delete_object(Bucket=bucket, Key=key)
    assert len(await objects(system, image_id)) > 4
    assert await item(system, f"{image_id}\x1fsea")
    async with subscribe(system.account, system.stack.topic_arn) as events:
        await erase(system, image_id)
        await erased(system, image_id)
        heard: list[dict] = []
        while len(heard) < 2:
            told = [one for one in await events.receive() if one["subject"] == image_id]
            heard += [one for one in told if "eras" in one["type"]]
    assert await objects(system, image_id) == []
    assert await item(system, f"{image_id}\x1fsea") == {}
    tombstone = await item(system, image_id)
    assert tombstone.keys() == {
        "imageId", "userId", "uploadedAt", "originalKey", "status", "erasedAt", "erasedBy",
        "erasure", "expiresAt", "schemaVersion",
    }  # fmt: skip
    async with system.account.client("s3") as s3:
        listed = await s3.list_objects_v2(Bucket=bucket, Prefix="erasures/")
    assert f"erasures/{image_id}.json" in [one["Key"] for one in listed["Contents"]]
    kinds = [one["type"] for one in heard]
    assert kinds == ["safelight.image.erased", "safelight.erasure.completed"]
    receipt = heard[-1]["data"]
    assert (receipt["state"], receipt["caches"]) == ("complete", "none configured")
    # The second version has no token. A worker may have had it deleted before the erasure.
    assert receipt["sources"]["versions"] in (1, 2)
    assert receipt["sources"]["deleteMarkers"] == 1
    assert receipt["tags"]["entries"] == 1


async def test_a_form_that_is_used_again_leaves_the_settled_version_as_the_latest(
    system: LocalSystem, alice: Person
) -> None:
    """Before the settlement and after it: of all versions only the settled one stays."""
    ticket = await alice.ask(b"x" * 60_000)
    for _ in range(2):
        assert await alice.send(ticket, CAT) == 201
    await alice.settled(ticket["imageId"])
    settled = (await item(system, ticket["imageId"]))["versionId"]["S"]
    assert await alice.send(ticket, CAT) == 201
    async with asyncio.timeout(60), system.account.client("s3") as s3:
        while True:
            where = {"Bucket": system.stack.uploads_bucket, "Prefix": ticket["key"]}
            listed = await s3.list_object_versions(**where)
            if [one["VersionId"] for one in listed["Versions"]] == [settled]:
                break
            await asyncio.sleep(0.1)
    assert (await item(system, ticket["imageId"]))["versionId"]["S"] == settled
    assert (await item(system, ticket["imageId"]))["sequence"] == {"N": "1"}
