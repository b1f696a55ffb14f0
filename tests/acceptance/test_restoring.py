"""docs/operate/data.md: records are restored by its commands, and nothing erased comes back."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.local.account import Principal
from ops.local.system import CLEANUP_QUEUE_URL, LocalSystem
from tests.acceptance.test_erasing import item, objects
from tests.acceptance.test_operators_images import CAT, environment
from tests.support.commands import ROOT, commands_of
from tests.support.person import Person

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

EXAMPLE = "2026-11-28T06:00:00Z"
"""The time of the backup on the page."""
DAY_BEFORE = "2026-11-27T06:00:00Z"
"""The time on the page since which erasures are repeated."""


class Desk:
    """Runs the commands of the page in a folder, each block with the permissions of a principal."""

    def __init__(self, system: LocalSystem, folder: Path) -> None:
        self._system, self._folder = system, folder
        self._begun_at = datetime.now(UTC)
        (folder / ".venv").symlink_to(sys.prefix)
        aws = folder / "aws"
        aws.write_text(
            f'#!/bin/bash\ncd {ROOT} && exec {sys.executable} -m tests.support.aws_cli "$@"\n'
        )
        aws.chmod(0o755)

    async def run(self, block: str, *, who: Principal) -> str:
        """Run a block behind the lines that set its variables; return what it printed."""
        lines = "\n".join(self.blocks()).splitlines()
        variables = [line for line in lines if line.startswith("export ")]
        script = "\n".join(["set -euo pipefail", *variables, block])
        script = script.replace(EXAMPLE, f"{self._begun_at:%Y-%m-%dT%H:%M:%SZ}")
        day_before = self._begun_at - timedelta(days=1)
        script = script.replace(DAY_BEFORE, f"{day_before:%Y-%m-%dT%H:%M:%SZ}")
        path = f"{self._folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", script], cwd=self._folder, capture_output=True,
            text=True, check=False,
            env={
                **environment(self._system, who),
                CLEANUP_QUEUE_URL: self._system.stack.cleanup_queue_url,
                "PATH": path,
                "AWS_CLI_STATE": str(self._folder),
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @staticmethod
    def blocks() -> list[str]:
        return commands_of(ROOT / "docs" / "operate" / "data.md")


async def delete(system: LocalSystem, *names: str) -> None:
    """Delete items of the table, as an accident would."""
    async with system.account.client("dynamodb") as dynamodb:
        for name in names:
            key = {"imageId": {"S": name}}
            await dynamodb.delete_item(TableName=system.stack.table, Key=key)


async def put(system: LocalSystem, record: dict[str, Any]) -> None:
    """Write an item of the table."""
    async with system.account.client("dynamodb") as dynamodb:
        await dynamodb.put_item(TableName=system.stack.table, Item=record)


async def erase(person: Person, image_id: str) -> None:
    """Erase an image to the end."""
    await person.erase(image_id)
    async with asyncio.timeout(60):
        while (await person.receipt(image_id))["state"] != "complete":
            await asyncio.sleep(0.1)


async def test_lost_records_are_restored_and_what_was_erased_since_is_erased_again(
    system: LocalSystem, alice: Person, tmp_path: Path
) -> None:
    root = system.emulator.root
    images = [await alice.upload(CAT, tags=["sea"]) for _ in range(5)]
    lost, erased, under_way, tombstone, present = images
    for image_id in images:
        await alice.settled(image_id)
    # Its erasure had begun before the backup, which shows it as it was.
    shown = await item(system, under_way)
    await erase(alice, under_way)
    await put(system, shown)
    await asyncio.sleep(1)  # S3's times are whole seconds
    desk = Desk(system, tmp_path)
    _, restore, copy, again = desk.blocks()
    await desk.run(restore, who=root)

    await erase(alice, erased)
    await erase(alice, tombstone)
    await alice.change(present, filename="changed.jpg")
    await delete(system, lost, f"{lost}\x1fsea", erased, f"{erased}\x1fsea", under_way)
    assert (await alice.image(lost))[0] == 404

    shown = await desk.run(copy, who=root)
    assert " records were copied, " in shown
    assert (await alice.image(lost))[1]["tags"] == ["sea"]
    assert "settledToken" not in await item(system, lost)
    assert (await alice.image(present))[1]["filename"] == "changed.jpg"
    for image_id in (erased, under_way):
        assert (await alice.image(image_id))[0] == 200  # the backup brought it back

    *listing, deletion = again.splitlines()
    shown = await desk.run("\n".join(listing), who=system.stack.operator)
    await desk.run(deletion, who=root)
    assert erased in shown
    assert lost not in shown
    for image_id in (erased, under_way, tombstone):
        assert (await alice.image(image_id))[0] == 410
        assert await objects(system, image_id) == []
        assert await item(system, f"{image_id}\x1fsea") == {}
    assert await item(system, f"{lost}\x1fsea")
    assert len(await objects(system, lost)) == 5
    assert (await alice.image(lost))[0] == 200
