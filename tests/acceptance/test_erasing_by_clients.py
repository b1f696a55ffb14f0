"""Images are erased as users and operators do it, by real programs with their own policies."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from ops.erase import Wanted, erase
from ops.erasing import How
from ops.exit_codes import ExitCode
from ops.local.system import CLEANUP_QUEUE_URL, LocalSystem
from ops.show import show
from safelight import keys
from tests.acceptance.conftest import KEYS
from tests.acceptance.test_erasing import item, objects
from tests.acceptance.test_operators_images import CAT, environment, safelight
from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def carol(system: LocalSystem, http: aiohttp.ClientSession) -> Person:
    """Return a user whose images no other test needs."""
    return Person(http, system.api_url, KEYS["carol"])


class Operator:
    """Runs commands with the permissions of OperatorPolicy, most of them in this process."""

    def __init__(
        self,
        system: LocalSystem,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._system, self._capsys = system, capsys
        self._queue = {CLEANUP_QUEUE_URL: system.stack.cleanup_queue_url}
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        for name, value in (environment(system, system.stack.operator) | self._queue).items():
            monkeypatch.setenv(name, value)

    async def erase(self, *image_ids: str, **wanted: Any) -> str:
        """Erase images, wait for the end, and return what was printed."""
        how = How(wait=True, confirmed=True, poll_seconds=0.1)
        assert await erase(Wanted.of(image_ids, **wanted), how) is ExitCode.DONE
        return self._capsys.readouterr().out

    async def show(self, image_id: str) -> tuple[int, str]:
        """Show an image; return the exit code and what was printed."""
        code = await show(image_id, as_json=False)
        return code, self._capsys.readouterr().out

    async def dry_run(self, image_id: str) -> str:
        """Run the command itself, as a program; return what was printed."""
        words = ("erase", image_id, "--dry-run")
        code, output, errors = await safelight(self._system, *words, **self._queue)
        assert code == 0, errors
        return output + errors


@pytest.fixture
def operator(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    return Operator(system, monkeypatch, capsys)


async def completed(alice: Person, image_id: str) -> dict[str, Any]:
    """Wait until an erasure is complete; return the receipt."""
    async with asyncio.timeout(90):
        while (receipt := await alice.receipt(image_id))["state"] != "complete":
            await asyncio.sleep(0.1)
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
            await asyncio.sleep(0.1)


async def test_an_operator_erases_what_a_restored_backup_brought_back(
    system: LocalSystem, alice: Person, operator: Operator
) -> None:
    begun_at = datetime.now(UTC).isoformat(timespec="seconds")
    image_id = await alice.upload(CAT, tags=["sea"])
    await alice.settled(image_id)
    backup = await item(system, image_id)
    assert "Would erase 1 image: 1 version" in await operator.dry_run(image_id)
    assert (await alice.image(image_id))[0] == 200
    assert "state complete" in await operator.erase(image_id)
    assert await objects(system, image_id) == []
    key = keys.source_key(user_id="key:alice", image_id=image_id)
    async with system.account.client("dynamodb") as dynamodb, system.account.client("s3") as s3:
        await dynamodb.put_item(TableName=system.stack.table, Item=backup)
        await s3.put_object(Bucket=system.stack.uploads_bucket, Key=key, Body=CAT)
    assert (await alice.image(image_id))[0] == 200
    assert image_id in await operator.erase(again=True, since=begun_at)
    assert (await completed(alice, image_id))["requestedBy"] == "operator"
    assert await objects(system, image_id) == []
    code, output = await operator.show(image_id)
    assert code == 3
    assert "receipt: completedAt" in output


async def test_everything_of_a_user_is_erased_by_the_user_and_by_an_operator(
    system: LocalSystem, carol: Person, operator: Operator
) -> None:
    images = [await carol.upload(CAT, tags=["sea"]) for _ in range(3)]
    for image_id in images:
        await carol.settled(image_id)
    asked = await carol.erase_all(everything=True)
    async with asyncio.timeout(200):
        while (counts := await carol.erasure(asked["erasureId"]))["state"] != "complete":
            await asyncio.sleep(0.1)
    assert (counts["images"], counts["complete"]) == (3, 3)
    assert [await objects(system, image_id, user_id="key:carol") for image_id in images] == [[]] * 3
    assert "state complete" in await operator.erase(user="key:carol")
