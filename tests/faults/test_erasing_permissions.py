"""Every permission for erasures is needed and enough, and only the role cleanup deletes objects."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from ops.local.emulator import Emulator
from ops.local.stack import PRINCIPALS
from safelight import keys
from safelight.aws.items import written
from safelight.days import day_of
from safelight.queued import EraseImage, EraseUser
from safelight.record import Record, Status
from safelight.tags import entries_of
from tests.support.faults.cleaning import Cleaning, open_cleaning
from tests.support.faults.proxy import Answer, Call, FaultProxy, Rule, delayed
from tests.support.permissions import Permission, Refusals, permissions_of, principal_without

pytestmark = pytest.mark.asyncio(loop_scope="module")

DISTRIBUTION = "arn:aws:cloudfront::000000000000:distribution/E2EXAMPLE"
FAST = {
    "ERASE_PAUSE_SECONDS": "1", "ERASE_LAST_LOOK_SECONDS": "1", "ERASE_INDEX_LAG_SECONDS": "1",
    "VISIBILITY_SECONDS": "3",
}  # fmt: skip
OPERATIONS = {
    "sqs:DeleteMessage": "DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "ChangeMessageVisibilityBatch",
    "s3:ListBucket": "GetObject",
    "s3:ListBucketVersions": "GetObject",
    "s3:DeleteObject": "POST",
    "s3:DeleteObjectVersion": "POST",
}
"""The refused call as the proxy names it, where its name differs from the action."""
OPERATOR_STEPS = {
    "AskForErasures": ("ID",),
    "ReadRecords": ("ID",),
    "ListAssets": ("ID", "--dry-run"),
    "ListVersionsOfSources": ("ID", "--dry-run"),
    "SearchRecords": ("--user", "USER", "--dry-run"),
    "SearchRecordsOfAllUsers": ("--expired", "--dry-run"),
    "ReadTheLedger": ("--again", "--since", "2026-01-01", "--dry-run"),
}
"""The arguments of `safelight erase` that need a statement of OperatorPolicy."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cleaning(
    emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cleaning]:
    directory = tmp_path_factory.mktemp("erasing")
    async with open_cleaning(emulator, directory, name="erasing", seed=0) as opened:
        yield opened


@dataclass
class Stored:
    """An image with everything that an image may have, stored without any program."""

    record: Record

    @classmethod
    async def make(cls, cleaning: Cleaning, *, user_id: str = "key:alice") -> "Stored":
        image_id, now = keys.new_image_id(), round(1000 * time.time())
        key = keys.source_key(user_id=user_id, image_id=image_id)
        record = Record(
            image_id=image_id, user_id=user_id, uploaded_at=now - 1000, original_key=key,
            status=Status.COMPLETED, revision="v1", completed_at=now, day=day_of(now, image_id),
            tags=("sea",), tags_version=1,
        )  # fmt: skip
        stack, account = cleaning.rig.stack, cleaning.rig.emulator.account
        asset = keys.asset_key(
            image_id=image_id, revision="v1", preset="small", fingerprint="0123456789ab",
            extension="webp",
        )  # fmt: skip
        async with account.client("s3") as s3, account.client("dynamodb") as dynamodb:
            await s3.put_object(Bucket=stack.uploads_bucket, Key=key, Body=b"source")
            await s3.delete_object(Bucket=stack.uploads_bucket, Key=key)
            await s3.put_object(Bucket=stack.assets_bucket, Key=asset, Body=b"asset")
            items: list[dict[str, Any]] = [written(record.to_item())]
            items += [
                written({"imageId": one.key, "userId": one.owner, "version": one.version})
                for one in entries_of(record)
            ]
            for item in items:
                await dynamodb.put_item(TableName=stack.table, Item=item)
        return cls(record)


async def give_work(cleaning: Cleaning) -> None:
    """Send messages of every kind, one that takes so long that its lease is renewed."""
    stored, user_id = await Stored.make(cleaning), f"key:{keys.new_image_id().lower()}"
    await Stored.make(cleaning, user_id=user_id)
    now = round(1000 * time.time())
    image_id, key = stored.record.image_id, stored.record.original_key
    bodies = [
        EraseImage(image_id=image_id, key=key, by="operator", at=now).to_json(),
        EraseUser(
            erasure_id=keys.new_image_id(), user_id=user_id, before=now, by="operator"
        ).to_json(),
        EraseImage(image_id=keys.new_image_id(), by="worker", at=now).to_json(),
        "no JSON",
    ]
    cleaning.rig.proxy.add(Rule("Publish", delayed(2), times=1))
    url = cleaning.rig.stack.cleanup_queue_url
    for body in bodies:
        await cleaning.rig.injector.send(body, queue_url=url)


async def empty(cleaning: Cleaning) -> None:
    async with cleaning.rig.emulator.account.client("sqs") as sqs:
        for url in (
            cleaning.rig.stack.cleanup_queue_url,
            cleaning.rig.stack.dead_letter_queue_url,
        ):
            await sqs.purge_queue(QueueUrl=url)


@pytest.mark.slow
@pytest.mark.parametrize(
    "permission",
    [
        None,
        *permissions_of("CleanupPolicy", DistributionArn=DISTRIBUTION),
    ],
    ids=str,
)
async def test_cleanup_needs_every_permission_of_its_policy(
    cleaning: Cleaning, permission: Permission | None
) -> None:
    rig, whole, refusals = cleaning.rig, cleaning.rig.stack, Refusals()
    if permission:
        lacking = await principal_without(rig.emulator.account, permission, stack=whole.name)
        rig.stack = replace(whole, cleanup=lacking)
    await empty(cleaning)
    await give_work(cleaning)
    try:
        worker = await cleaning.start("cleanup", **FAST)

        def see(call: Call, answer: Answer) -> None:
            if call.caller == worker.name:
                refusals.see(call, answer)

        rig.proxy.watch(see)
        if permission is None:
            await rig.until_cleaned()
            assert refusals.operations == []
            await rig.check(dead_letters=1)
        else:
            async with asyncio.timeout(60):
                await refusals.came.wait()
            name = permission.action.partition(":")[2]
            assert set(refusals.operations) == {OPERATIONS.get(permission.action, name)}
    finally:
        rig.stack = whole
        for worker in cleaning.running:
            worker.kill()
        cleaning.running.clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    "permission",
    [one for one in permissions_of("OperatorPolicy") if one.sid in OPERATOR_STEPS
     and one.action != "dynamodb:BatchGetItem"],
    ids=str,
)  # fmt: skip
async def test_an_operator_needs_every_permission_for_erasures(
    cleaning: Cleaning, permission: Permission
) -> None:
    """`safelight erase` works with the policy, and without the permission a call is refused."""
    account, stack = cleaning.rig.emulator.account, cleaning.rig.stack
    stored = await Stored.make(cleaning)
    entry = {"imageId": stored.record.image_id, "requestedAt": 1}
    async with account.client("s3") as s3:
        await s3.put_object(
            Bucket=stack.uploads_bucket,
            Key=f"erasures/{stored.record.image_id}.json",
            Body=json.dumps(entry),
        )
    names = {"ID": stored.record.image_id, "USER": stored.record.user_id}
    arguments = [names.get(one, one) for one in OPERATOR_STEPS[permission.sid]]
    lacking = await principal_without(account, permission, stack=stack.name)
    for principal, allowed in ((stack.operator, True), (lacking, False)):
        refusals = Refusals()
        async with FaultProxy(cleaning.rig.emulator.endpoint_url) as proxy:
            proxy.watch(refusals.see)
            command = await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("safelight"),
                "erase",
                *arguments,
                env={
                    "PATH": os.environ["PATH"],
                    **principal.environment(proxy.url),
                    **stack.settings(),
                    "SAFELIGHT_CLEANUP_QUEUE_URL": stack.cleanup_queue_url,
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            _, errors = await command.communicate()
        name = permission.action.partition(":")[2]
        expected = set() if allowed else {OPERATIONS.get(permission.action, name)}
        assert set(refusals.operations) == expected, errors
        assert (command.returncode == 0) is allowed, errors


async def deletions(cleaning: Cleaning, role: str) -> set[str]:
    """Try every way to delete an object with the credentials of a role; return what was allowed."""
    stack, account = cleaning.rig.stack, cleaning.rig.emulator.account
    stored, allowed = await Stored.make(cleaning), set()
    async with account.client("s3") as s3:
        key = stored.record.original_key
        listed = await s3.list_object_versions(Bucket=stack.uploads_bucket, Prefix=key)
        version = {"Key": key, "VersionId": listed["Versions"][0]["VersionId"]}
        found = await s3.list_objects_v2(
            Bucket=stack.assets_bucket, Prefix=keys.assets_prefix(stored.record.image_id)
        )
        asset = {"Key": found["Contents"][0]["Key"]}
    async with account.as_principal(getattr(stack, role)).client("s3") as s3:
        for name, bucket, what in (
            ("marker", stack.uploads_bucket, {"Key": key}),
            ("version", stack.uploads_bucket, version),
            ("asset", stack.assets_bucket, asset),
        ):
            batch: Any = {"Objects": [what]}
            with contextlib.suppress(ClientError):
                answer = await s3.delete_objects(Bucket=bucket, Delete=batch)
                allowed |= set() if answer.get("Errors") else {f"{name} in a batch"}
            with contextlib.suppress(ClientError):
                await s3.delete_object(Bucket=bucket, **what)
                allowed.add(name)
    return allowed


@pytest.mark.slow
async def test_only_cleanup_deletes_objects_and_versions(cleaning: Cleaning) -> None:
    allowed = {role: await deletions(cleaning, role) for role in PRINCIPALS}
    own = allowed.pop("cleanup")
    assert own == {
        "marker",
        "marker in a batch",
        "version",
        "version in a batch",
        "asset",
        "asset in a batch",
    }
    assert not any(allowed.values()), allowed
