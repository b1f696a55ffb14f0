"""`safelight list`, `show` and `export` as operators run them, each with its policy."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.local.account import Principal
from ops.local.system import LocalSystem
from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAT = (Path(__file__).parents[2] / "samples" / "cat-451px.jpg").read_bytes()
UNKNOWN = "01M7YB1NC8XE9XQ3H3PCRZFKK6"
SAFELIGHT = Path(sys.executable).with_name("safelight")


def environment(system: LocalSystem, who: Principal) -> dict[str, str]:
    """Return the environment of a command with the permissions of a principal."""
    return {
        "PATH": os.environ["PATH"],
        **who.environment(system.emulator.endpoint_url),
        **system.stack.settings(),
    }


async def safelight(
    system: LocalSystem, *words: str, who: Principal | None = None, **changes: str
) -> tuple[int, str, str]:
    """Run a command; return its exit code, output and errors."""
    command = await asyncio.create_subprocess_exec(
        SAFELIGHT, *words,
        env=environment(system, who or system.stack.operator) | changes,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await command.communicate()
    assert command.returncode is not None
    return command.returncode, output.decode(), errors.decode()


async def test_an_operator_finds_and_shows_the_image_of_a_user(
    system: LocalSystem, alice: Person
) -> None:
    image_id = await alice.upload(CAT, filename="operators.jpg", tags=["for-operators"])
    await alice.settled(image_id)
    found = "--user", "key:alice", "--tag", "for-operators"
    code, output, errors = await safelight(system, "list", *found, "--json")
    assert code == 0, errors
    assert json.loads(output)["imageId"] == image_id
    code, output, errors = await safelight(system, "show", image_id, "--json")
    assert code == 0, errors
    told = json.loads(output)
    assert told["record"]["userId"] == "key:alice"
    assert told["foundByTag"] == {"for-operators": True}
    assert {asset["origin"] for asset in told["assets"]} == {"variant"}
    assert len(told["assets"]) == len(told["record"]["variants"])
    assert [version["current"] for version in told["versions"]] == [True]
    assert {view["preset"] for view in told["views"]} == set(told["record"]["variants"])


async def test_an_operator_exports_the_images_of_a_user(
    system: LocalSystem, alice: Person, tmp_path: Path
) -> None:
    image_id = await alice.upload(CAT, filename="../../exported.jpg", tags=["for-export"])
    await alice.settled(image_id)
    pending = (await alice.ask(CAT))["imageId"]
    words = "export", "--user", "key:alice", str(tmp_path / "out")
    code, output, errors = await safelight(system, *words, "--json", who=system.stack.exporter)
    assert code == 0, errors
    assert json.loads(output)["faults"] == {}
    lines = (tmp_path / "out" / "images.jsonl").read_text().splitlines()
    images = {image["imageId"]: image for image in map(json.loads, lines)}
    assert images[image_id]["filename"] == "../../exported.jpg"
    assert images[image_id]["tags"] == ["for-export"]
    assert (tmp_path / "out" / images[image_id]["file"]).read_bytes() == CAT
    assert images[pending]["status"] == "pending"
    assert "file" not in images[pending]
    original = tmp_path / "out" / images[image_id]["file"]
    before = original.stat().st_mtime_ns
    code, output, errors = await safelight(system, *words, who=system.stack.exporter)
    # Other tests use the system too, so other pictures may have been settled meanwhile.
    assert (code, original.stat().st_mtime_ns) == (0, before), output + errors
    assert " fetched now.\n" in output


@pytest.mark.slow
async def test_without_its_policy_an_operator_exports_no_picture(
    system: LocalSystem, alice: Person, tmp_path: Path
) -> None:
    await alice.settled(await alice.upload(CAT))
    out = tmp_path / "out"
    code, _, errors = await safelight(system, "export", "--user", "key:alice", str(out))
    assert code == 1
    assert "ExportPolicy" in errors
    assert list((out / "originals").iterdir()) == []
    assert json.loads((out / "export.json").read_text())["complete"] is False


@pytest.mark.slow
async def test_what_is_not_there_is_said(system: LocalSystem) -> None:
    code, _, errors = await safelight(system, "list", "--user", "key:bob", "--tag", "no-such-tag")
    assert (code, errors) == (0, "No image of key:bob meets the conditions.\n")
    code, _, errors = await safelight(system, "show", UNKNOWN)
    assert (code, errors) == (1, f"There is no record of the image {UNKNOWN}.\n")


@pytest.mark.slow
async def test_a_reader_that_has_enough_ends_the_list(system: LocalSystem, alice: Person) -> None:
    await alice.ask(CAT)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = await asyncio.create_subprocess_exec(
            SAFELIGHT, "list", "--user", "key:alice",
            env=environment(system, system.stack.operator),
            stdout=writer, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    finally:
        os.close(writer)
    _, errors = await command.communicate()
    assert (command.returncode, errors) == (0, b"")


@pytest.mark.slow
async def test_an_asset_that_was_deleted_is_missing(system: LocalSystem, alice: Person) -> None:
    image_id = await alice.upload(CAT)
    await alice.settled(image_id)
    _, output, _ = await safelight(system, "show", image_id, "--json")
    key = json.loads(output)["assets"][0]["key"]
    async with system.account.client("s3") as s3:
        await s3.delete_object(Bucket=system.stack.assets_bucket, Key=key)
    code, output, errors = await safelight(system, "show", image_id)
    assert code == 1
    assert "missing" in output
    assert errors == "Wrong: 1 asset of the record not in the bucket.\n"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("list", "--user", "key:bob"), ("show", UNKNOWN)])
async def test_without_the_permission_a_command_says_what_is_needed(
    system: LocalSystem, words: tuple[str, ...]
) -> None:
    foreign = {"SAFELIGHT_TABLE": "a-table-of-another-account"}
    for code, _, errors in (
        await safelight(system, *words, who=system.stack.uploads_worker),
        await safelight(system, *words, **foreign),
    ):
        assert code == 1
        assert "OperatorPolicy" in errors
        assert "Traceback" not in errors


async def test_reindex_finds_images_of_an_older_version_again(
    system: LocalSystem, alice: Person
) -> None:
    image_id = await alice.upload(CAT, filename="older.jpg", tags=["of-older"])
    await alice.settled(image_id)
    async with asyncio.timeout(30):  # its entry is written just after the record
        while image_id not in await alice.found(tag="of-older"):
            await asyncio.sleep(0.05)
    table = {"TableName": system.stack.table}
    async with system.account.client("dynamodb") as dynamodb:
        await dynamodb.update_item(
            **table, Key={"imageId": {"S": image_id}},
            UpdateExpression="REMOVE #day", ExpressionAttributeNames={"#day": "day"},
        )  # fmt: skip
        await dynamodb.delete_item(**table, Key={"imageId": {"S": f"{image_id}\x1fof-older"}})
    assert image_id not in await alice.found(tag="of-older")
    for words in (["--dry-run"], []):
        code, output, errors = await safelight(system, "reindex", "--json", *words)
        assert code == 0, errors
        counts = json.loads(output)
        assert (counts["days"], counts["entries"]) == (1, 1), words
    assert image_id in await alice.found(tag="of-older")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    everyone = "list", "--json", "--since", yesterday.isoformat(timespec="seconds")
    code, output, errors = await safelight(system, *everyone)
    assert (code, image_id in output) == (0, True), errors
