"""The requests of the README, sent by curl to a running Safelight."""

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.local.system import LocalSystem

ROOT = Path(__file__).parents[2]


def requests() -> list[tuple[str, str]]:
    """Every command of the README's console, with the answer that is shown below it."""
    (console,) = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    found = re.compile(r"\$ (curl (?:.*\\\n)*.*)\n?((?:.|\n)*)")
    return [match.groups() for part in console.split("\n\n") if (match := found.fullmatch(part))]


def names(answer: Any) -> Iterator[str]:
    """Every key of a JSON document, at any depth."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield name
            yield from names(value)


async def run(command: str, folder: Path, **words: str) -> str:
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", command, cwd=folder, env={"PATH": os.environ["PATH"], **words},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, said = await shell.communicate()
    assert shell.returncode == 0, said.decode()
    return told.decode()


@pytest.mark.needs("curl")
async def test_the_requests_of_the_readme_are_answered_as_it_shows(tmp_path: Path) -> None:
    (announce, ticket), (send, nothing), (ask, image), (fetch, _) = requests()
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    async with LocalSystem(delivers=True) as system:
        words = {"API": system.api_url, "DELIVERY": system.delivery_url}
        answer = json.loads(await run(announce, tmp_path, **words))
        assert set(re.findall(r'"(\w[\w-]*)":', ticket)) <= set(names(answer))
        words |= {"URL": answer["url"], "ID": answer["imageId"]}
        assert await run(send, tmp_path, **words) == nothing.strip() == ""
        async with asyncio.timeout(60):
            while (record := json.loads(await run(ask, tmp_path, **words)))["status"] == "pending":
                await asyncio.sleep(0.1)
        assert set(re.findall(r'"(\w[\w-]*)":', image)) <= set(names(record))
        assert f'"status": "{record["status"]}"' in image
        assert f'"width": {record["width"]}, "height": {record["height"]}' in image
        await run(fetch, tmp_path, **words)
        assert (tmp_path / "small.avif").read_bytes()[4:12] == b"ftypavif"
