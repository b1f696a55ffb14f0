"""deploy/ecs/README.md, walked word for word against the embedded AWS.

The commands run in one bash, in their order. Besides `aws` (tests/support/aws_cli.py), three
programs are replaced: docker, whose images no test pushes, and the two of ECS that need machines.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.tmpdir import TempPathFactory

from ops.local.account import REGION
from ops.local.emulator import Emulator
from tests.support.commands import commands_of

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "deploy" / "ecs" / "README.md").read_text()
DIGEST = "sha256:" + "0" * 64
PROGRAMS = {
    "aws": f'cd {ROOT} && exec {sys.executable} -m tests.support.aws_cli "$@"',
    "docker": f'case "$1 $2" in *imagetools) echo {DIGEST};; login*) cat > /dev/null;; esac',
}
NOT_HERE = {
    "aws ecs run-task": "the emulator starts no containers",
    "aws logs tail": "no task writes a log",
    "aws ec2 describe-managed-prefix-lists": "the emulator has no prefix lists",
    "aws ecs wait services-stable": "the emulator starts no containers",
}
"""Commands that the emulator cannot run, with the reason."""

pytestmark = pytest.mark.slow


def blocks() -> list[str]:
    """Every block of commands of the guide, in order, without its indentation."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def here(block: str) -> str:
    """Write a block for this account: its region, no certificate, nothing that cannot run."""
    block = block.replace("eu-central-1", REGION).replace("certificate/...", "certificate/a")
    for command in NOT_HERE:
        block = re.sub(rf"^( *){re.escape(command)}\b", r"\1: not here:", block, flags=re.MULTILINE)
    return block


@pytest.fixture(scope="module")
def desk(tmp_path_factory: TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    (folder / "bin").mkdir()
    (folder / "state").mkdir()
    for name, script in PROGRAMS.items():
        (folder / "bin" / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    return folder


async def walk(desk: Path, *more: str) -> str:
    """Run every block in one shell beside a new emulator, then more commands; return the output."""
    script = desk / "guide.sh"
    script.write_text("set -euxo pipefail\n" + "\n".join([*map(here, blocks()), *more]))
    async with Emulator(directory=desk) as emulator:
        environment = emulator.root.environment(emulator.endpoint_url) | {
            "PATH": f"{desk / 'bin'}:{os.environ['PATH']}",
            "AWS_CLI_STATE": str(desk / "state"),
            "HOME": str(desk),
        }
        done = await asyncio.to_thread(
            subprocess.run, ["bash", script], cwd=ROOT, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


@pytest.mark.timeout(900)
async def test_the_ecs_guide_word_for_word_makes_an_installation_that_pages_can_use(
    desk: Path,
) -> None:
    (subscribe,) = commands_of(ROOT / "docs" / "guide" / "completions.md")
    told = await walk(
        desk,
        subscribe,
        "echo ==== the installation",
        "for name in CorsOrigins {Signing,Options,Api}KeysSecretArn DeliveryUrl Image; do",
        '  echo "$name=$(parameter $STACK-web $name)"; done',
        'echo "workers=$(parameter $STACK-workers Image)"',
        'echo "keys=$(keys signing-keys)"',
        'echo "options=$(keys options-keys)"',
        'echo "api=$(keys api-keys)"',
        'echo "table=$SAFELIGHT_TABLE"',
        "safelight redrive --json",
    )
    lines = told.partition("==== the installation\n")[2].splitlines()
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    assert facts["CorsOrigins"] == "https://app.example.com"
    assert facts["SigningKeysSecretArn"].startswith("arn:aws:secretsmanager:")
    assert facts["OptionsKeysSecretArn"].startswith("arn:aws:secretsmanager:")
    assert facts["ApiKeysSecretArn"].startswith("arn:aws:secretsmanager:")
    assert facts["DeliveryUrl"].startswith("https://")
    assert facts["Image"].endswith(f"@{DIGEST}")
    assert facts["workers"] == facts["Image"]
    assert re.fullmatch(r"second:[0-9a-f]{64}", facts["keys"])
    assert re.fullmatch(r"first:[0-9a-f]{64}", facts["options"])
    assert re.fullmatch(r"backend:[0-9a-f]{64},shop:[0-9a-f]{64}", facts["api"])
    assert facts["table"].startswith("safelight")
    assert lines[-1] == "[]"


def test_what_the_walk_leaves_out_is_in_the_guide() -> None:
    assert [command for command in NOT_HERE if command not in GUIDE] == []
