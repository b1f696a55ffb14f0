"""Every permission that data.yaml grants is needed: without it a call is refused.

The policies are the template's own, on a backend that checks every call.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from ops.local.emulator import ROOT, Emulator
from ops.local.processes import Child
from ops.local.system import LOCAL_SETTINGS, LocalSystem
from safelight.aws.dependency import Dependency
from safelight.aws.tombstones import Tombstones
from safelight.keys import new_image_id
from safelight.user_erasures import UserErasure, counts_key
from tests.support.events import s3_event
from tests.support.faults.proxy import FaultProxy, Rule, delayed
from tests.support.faults.rig import Rig, open_rig
from tests.support.permissions import (
    Permission,
    Refusals,
    hiding_what_is_gone,
    permissions_of,
    principal_without,
)
from tests.support.person import Person

ERASED = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB"
COUNTED = new_image_id()
"""An erasure of a user's images whose counts are stored."""
CAT = (ROOT / "samples" / "cat-451px.jpg").read_bytes()
OPERATIONS = {
    "s3:GetObjectVersion": "GetObject",
    "s3:ListBucket": "GetObject",  # without it a deleted source looks forbidden
    "s3:ListBucketVersions": "GetObject",
    "sqs:DeleteMessage": "DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "ChangeMessageVisibilityBatch",
}
"""The refused call, where its name differs from the action."""
API_STEPS = {
    "dynamodb:PutItem": "ask for an upload",
    "s3:PutObject": "send the picture",
    "dynamodb:GetItem": "ask for the image",
    "s3:GetObject": "download a variant",
    "dynamodb:Query": "list the images",
    "dynamodb:BatchGetItem": "find the image by its tag",
    "dynamodb:UpdateItem": "change the image",
    "SearchRecordsOfAllUsers": "list the images of all users",
    "sqs:SendMessage": "erase the image",
    "ReadCountsOfErasures": "read the counts of an erasure",
}
"""The step that needs a permission: by its action, or by its statement."""

_numbers = count(1)


@asynccontextmanager
async def watched(
    emulator: Emulator, directory: Path, *, lacking: Permission | None = None
) -> AsyncIterator[tuple[Rig, Refusals]]:
    """Deploy a stack whose worker lacks a permission, and record its refused calls."""
    async with open_rig(emulator, directory, name=f"permissions-{next(_numbers)}") as rig:
        if lacking:
            worker = await principal_without(emulator.account, lacking, stack=rig.stack.name)
            rig.stack = replace(rig.stack, uploads_worker=worker)
        door = emulator.account.as_principal(rig.stack.uploads_worker)
        rig.proxy.add(Rule("GetObject", hiding_what_is_gone(door)))
        refusals = Refusals()
        rig.proxy.watch(refusals.see)
        yield rig, refusals


async def give_work(rig: Rig) -> dict[str, str]:
    """Send events of sources of every kind, and an invalid body; return expected rejections."""
    await rig.injector.upload(CAT)
    await rig.injector.notify(replace(await rig.injector.put(CAT), version_id=None))
    removed = replace(await rig.injector.put(CAT), version_id=None)
    await rig.injector.remove(removed)
    expired = await rig.injector.put(CAT)
    await rig.injector.remove(expired, version=True)
    await rig.injector.notify(removed, expired)
    await rig.injector.send("no event")  # a dead letter at once
    await store_tombstone(rig)
    await rig.injector.send(s3_event(rig.stack.uploads_bucket, f"uploads/key%3Aalice/{ERASED}"))
    rig.proxy.add(Rule("PutObject", delayed(2), times=1))  # takes so long that a lease is renewed
    return {removed.image_id: "source_gone", expired.image_id: "source_gone"}


async def store_tombstone(rig: Rig) -> None:
    """Store the tombstone of an image, which no other test has."""
    async with rig.emulator.account.client("dynamodb") as dynamodb:
        tombstones = Tombstones(dynamodb, Dependency("dynamodb"), table=rig.stack.table)
        await tombstones.erase(ERASED, before=None, by="owner", requested_at=1, at=1)


async def remove_tombstone(rig: Rig) -> None:
    async with rig.emulator.account.client("dynamodb") as dynamodb:
        await dynamodb.delete_item(TableName=rig.stack.table, Key={"imageId": {"S": ERASED}})


@pytest.mark.slow
async def test_with_its_policy_a_worker_is_refused_nothing(
    emulator: Emulator, tmp_path: Path
) -> None:
    async with watched(emulator, tmp_path) as (rig, refusals):
        rejected = await give_work(rig)
        await rig.worker(VISIBILITY_SECONDS="3")
        await rig.until_empty()
        await remove_tombstone(rig)  # no role cleanup runs that completes it
        await rig.check(rejected=rejected, dead_letters=1)
        assert refusals.operations == []


@pytest.mark.slow
@pytest.mark.parametrize("permission", permissions_of("UploadsWorkerPolicy"), ids=str)
async def test_a_worker_needs_every_permission_of_its_policy(
    emulator: Emulator, tmp_path: Path, permission: Permission
) -> None:
    async with watched(emulator, tmp_path, lacking=permission) as (rig, refusals):
        await give_work(rig)
        await rig.worker(VISIBILITY_SECONDS="3")
        async with asyncio.timeout(60):
            await refusals.came.wait()
        expected = OPERATIONS.get(permission.action, permission.action.partition(":")[2])
        assert set(refusals.operations) == {expected}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settled(
    emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    """Deploy a stack with a worker of each role, which have all their permissions."""
    async with open_rig(emulator, tmp_path_factory.mktemp("delivery"), name="delivery") as rig:
        await rig.worker()
        await rig.worker(role="renders")
        yield rig


async def three_images(rig: Rig) -> tuple[str, str, str]:
    """Settle three images: an ordinary one, one without a version, one with a deleted source."""
    ordinary = await rig.injector.upload(CAT)
    unversioned = replace(await rig.injector.put(CAT), version_id=None)
    gone = await rig.injector.put(CAT)
    await rig.injector.notify(unversioned, gone)
    await rig.until_empty()
    await rig.injector.remove(gone, version=True)
    return ordinary.image_id, unversioned.image_id, gone.image_id


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("permission", [None, *permissions_of("DeliveryPolicy")], ids=str)
async def test_delivery_needs_every_permission_of_its_policy(
    emulator: Emulator, settled: Rig, tmp_path: Path, permission: Permission | None
) -> None:
    principal = settled.stack.delivery
    if permission:
        principal = await principal_without(emulator.account, permission, stack="delivery")
    ordinary, unversioned, gone = await three_images(settled)
    refusals = Refusals()
    async with FaultProxy(emulator.endpoint_url, seed=0) as proxy, aiohttp.ClientSession() as http:
        hiding = hiding_what_is_gone(emulator.account.as_principal(principal))
        proxy.add(Rule("GetObject", hiding))
        proxy.watch(refusals.see)
        child = Child(
            "api",
            [sys.executable, "-m", "api"],
            environment={
                **principal.environment(proxy.url),
                **LOCAL_SETTINGS,
                **settled.stack.settings(),
                "SAFELIGHT_API_ROLES": "delivery",
                "SAFELIGHT_PORT": "0",
                "SAFELIGHT_PRESETS": str(ROOT / "presets.toml"),
                "SAFELIGHT_SPOOL": str(tmp_path),
                "SAFELIGHT_RENDERS_QUEUE_URL": settled.stack.renders_queue_url,
                "SAFELIGHT_AVIF_WAIT_PIXELS": "1",
            },
            log=tmp_path / "api.log",
            directory=ROOT,
        )
        try:
            url = await child.listening()
            statuses = []
            for path, accept in (
                (f"small/{ordinary}.jpg", "*/*"),  # is stored
                (f"small/{ordinary}.webp", "*/*"),  # has to be rendered
                (f"medium/{ordinary}", "image/avif,image/webp,*/*"),  # is left to the workers
                (f"small/{unversioned}.webp", "*/*"),
                (f"small/{gone}.webp", "*/*"),
            ):
                async with http.get(f"{url}/{path}", headers={"Accept": accept}) as answer:
                    statuses.append(answer.status)
        finally:
            await child.stop()
    if permission is None:
        assert (refusals.operations, statuses) == ([], [200, 200, 200, 200, 404])
    else:
        expected = OPERATIONS.get(permission.action, permission.action.partition(":")[2])
        assert set(refusals.operations) == {expected}, statuses


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("permission", [None, *permissions_of("ExportPolicy")], ids=str)
async def test_an_export_needs_every_permission_of_its_policy(
    emulator: Emulator, settled: Rig, tmp_path: Path, permission: Permission | None
) -> None:
    principal = settled.stack.exporter
    if permission:
        principal = await principal_without(emulator.account, permission, stack="delivery")
    gone = replace(await settled.injector.put(CAT), version_id=None)
    await settled.injector.notify(gone)
    await three_images(settled)
    await settled.injector.remove(gone)
    refusals = Refusals()
    async with FaultProxy(emulator.endpoint_url, seed=0) as proxy:
        door = emulator.account.as_principal(principal)
        proxy.add(Rule("GetObject", hiding_what_is_gone(door)))
        proxy.watch(refusals.see)
        command = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("safelight"),
            *("export", "--user", "key:alice", "--json", tmp_path / "out"),
            env={
                "PATH": os.environ["PATH"],
                **principal.environment(proxy.url),
                **settled.stack.settings(),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await command.communicate()
    if permission is None:
        assert refusals.operations == []
        assert gone.image_id in json.loads(output)["faults"]
    else:
        expected = OPERATIONS.get(permission.action, permission.action.partition(":")[2])
        assert set(refusals.operations) == {expected}
        assert b"ExportPolicy" in errors


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system() -> AsyncIterator[LocalSystem]:
    async with LocalSystem() as running:
        async with running.account.client("s3") as s3:
            await s3.put_object(
                Bucket=running.stack.uploads_bucket,
                Key=counts_key(COUNTED),
                Body=UserErasure(erasure_id=COUNTED, images=1, complete=0, bytes=0).to_json(),
            )
        yield running


async def first_refused_step(person: Person) -> str | None:
    """Make all requests of a client; return the refused step, if any."""
    step = API_STEPS["dynamodb:PutItem"]
    try:
        ticket = await person.ask(CAT, tags=["sea"])
        image_id = ticket["imageId"]
        step = API_STEPS["s3:PutObject"]
        assert await person.send(ticket, CAT) in (200, 201, 204)
        step = API_STEPS["dynamodb:GetItem"]
        told = await person.settled(image_id)
        step = API_STEPS["s3:GetObject"]
        await person.download(told["variants"]["small"]["url"])
        step = API_STEPS["dynamodb:Query"]
        assert image_id in await person.found()
        step = API_STEPS["SearchRecordsOfAllUsers"]
        async with asyncio.timeout(10):
            while image_id not in await person.found(user="*"):
                await asyncio.sleep(0.05)
        step = API_STEPS["dynamodb:BatchGetItem"]
        async with asyncio.timeout(10):  # its entry is written just after the record
            while image_id not in await person.found(tag="sea"):
                await asyncio.sleep(0.05)
        step = API_STEPS["dynamodb:UpdateItem"]
        await person.change(image_id, removeTags=["sea"])
        step = API_STEPS["sqs:SendMessage"]
        await person.erase(image_id)
        step = API_STEPS["ReadCountsOfErasures"]
        assert (await person.erasure(COUNTED))["state"] == "running"
    except AssertionError:
        return step
    return None


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("permission", [None, *permissions_of("ApiPolicy")], ids=str)
async def test_an_api_needs_every_permission_of_its_policy(
    system: LocalSystem, tmp_path: Path, permission: Permission | None
) -> None:
    principal = system.stack.api
    if permission:
        principal = await principal_without(system.account, permission, stack=system.stack.name)
    child = Child(
        "api",
        [sys.executable, "-m", "api"],
        environment={
            **principal.environment(system.emulator.endpoint_url),
            **LOCAL_SETTINGS,
            **system.stack.settings(),
            "SAFELIGHT_PORT": "0",
            "SAFELIGHT_API_KEYS": f"alice:{sha256(b'sl_alice').hexdigest()}",
            "SAFELIGHT_ADMINS": "key:alice",
            "SAFELIGHT_CLEANUP_QUEUE_URL": system.stack.cleanup_queue_url,
        },
        log=tmp_path / "api.log",
        directory=ROOT,
    )
    try:
        async with aiohttp.ClientSession() as http:
            refused = await first_refused_step(Person(http, await child.listening(), "sl_alice"))
    finally:
        await child.stop()
    wanted = permission and (API_STEPS.get(permission.sid) or API_STEPS[permission.action])
    assert refused == wanted
