"""`safelight list` as operators run it, with the permissions of OperatorPolicy only."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from ops.local.account import Principal
from ops.local.system import LocalSystem
from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAT = (Path(__file__).parents[2] / "samples" / "cat-451px.jpg").read_bytes()
SAFELIGHT = Path(sys.executable).with_name("safelight")


async def safelight(
    system: LocalSystem, *words: str, who: Principal | None = None, **changes: str
) -> tuple[int, str, str]:
    """Run a command; return its exit code, output and errors."""
    principal = who or system.stack.operator
    command = await asyncio.create_subprocess_exec(
        SAFELIGHT, *words,
        env={
            "PATH": os.environ["PATH"],
            **principal.environment(system.emulator.endpoint_url),
            **system.stack.settings(),
            **changes,
        },
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await command.communicate()
    assert command.returncode is not None
    return command.returncode, output.decode(), errors.decode()


async def test_an_operator_lists_the_images_of_a_user(system: LocalSystem, alice: Person) -> None:
    image_id = await alice.upload(CAT, filename="operators.jpg", tags=["for-operators"])
    await alice.settled(image_id)
    found = "--user", "key:alice", "--tag", "for-operators"
    code, output, errors = await safelight(system, "list", *found)
    assert code == 0, errors
    head, line = output.splitlines()
    assert head.split()[:2] == ["image", "status"]
    assert line.split()[:2] == [image_id, "completed"]
    assert line.endswith("operators.jpg")
    code, output, errors = await safelight(system, "list", *found, "--json")
    assert code == 0, errors
    assert json.loads(output)["imageId"] == image_id
    code, _, errors = await safelight(system, "list", "--user", "key:bob", "--tag", "no-such-tag")
    assert (code, errors) == (0, "No image of key:bob meets the conditions.\n")


@pytest.mark.slow
async def test_a_list_without_the_permission_says_what_is_needed(system: LocalSystem) -> None:
    foreign = {"SAFELIGHT_TABLE": "a-table-of-another-account"}
    for code, _, errors in (
        await safelight(system, "list", "--user", "key:bob", who=system.stack.uploads_worker),
        await safelight(system, "list", "--user", "key:bob", **foreign),
    ):
        assert code == 1
        assert "OperatorPolicy" in errors
        assert "Traceback" not in errors
