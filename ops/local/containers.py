"""Deploys the stack to the embedded AWS in docker-compose.yml, and writes each program's settings.

    python -m ops.local.containers FOLDER TEMPLATE

The owner's keys and the emulator's address come from the environment. FOLDER gets `api/env` and so
on, for a shell to read: the program's keys and the stack's names. Each file has its own folder,
because a container mounts only its program's folder. A second run changes nothing.
"""

import asyncio
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import ClientError

from ops.local.account import Account, Principal
from ops.local.stack import Stack, deploy, serves_originals

NAME = "safelight-compose"
PROGRAMS = ("api", "delivery", "worker", "renders", "cleanup", "operator")


def programs_of(stack: Stack) -> dict[str, tuple[Principal, dict[str, str]]]:
    """Return the principal of each program, and the settings that only it needs."""
    erasing = {"SAFELIGHT_CLEANUP_QUEUE_URL": stack.cleanup_queue_url}
    return {
        "api": (stack.api, erasing),
        "delivery": (stack.delivery, stack.delivery_settings()),
        "worker": (stack.uploads_worker, stack.worker_settings("uploads")),
        "renders": (stack.renders_worker, stack.worker_settings("renders")),
        "cleanup": (stack.cleanup, stack.cleanup_settings()),
        "operator": (
            stack.operator,
            {
                **erasing,
                "SAFELIGHT_RENDERS_QUEUE_URL": stack.renders_queue_url,
                "SAFELIGHT_DEAD_LETTER_QUEUE_URL": stack.dead_letter_queue_url,
            },
        ),
    }


def written(
    stack: Stack, principal: Principal, settings: Mapping[str, str], endpoint_url: str
) -> str:
    """Return one program's environment, one line per variable."""
    variables = {
        **principal.environment(endpoint_url),
        **stack.settings(),
        **settings,
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


async def exists(account: Account) -> bool:
    """Return whether the emulator has the stack: it loses everything when it is restarted."""
    async with account.client("cloudformation") as cloudformation:
        try:
            await cloudformation.describe_stacks(StackName=NAME)
        except ClientError:
            return False
    return True


async def prepare(
    account: Account, folder: Path, template: Path, *, originals: bool = False
) -> None:
    """Deploy the stack and write the files, unless both exist.

    With `originals` the API may read sources.
    """
    files = {program: folder / program / "env" for program in PROGRAMS}
    if all(path.exists() for path in files.values()) and await exists(account):
        print(f"{NAME} exists already")
        return
    stack = await deploy(account, name=NAME, template=template, originals=originals)
    for program, (principal, settings) in programs_of(stack).items():
        files[program].parent.mkdir(mode=0o700, exist_ok=True)
        files[program].touch(mode=0o600)
        files[program].write_text(written(stack, principal, settings, account.endpoint_url))
    print(f"{NAME} is deployed; S3 sends its events to {stack.uploads_queue_url}")


def main() -> int:
    """Read the arguments and the environment, then deploy."""
    if len(sys.argv) != 3:
        print("usage: python -m ops.local.containers FOLDER TEMPLATE", file=sys.stderr)
        return 2
    owner = Principal(
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    )
    account = Account(endpoint_url=os.environ["AWS_ENDPOINT_URL"], principal=owner)
    folder, template = map(Path, sys.argv[1:])
    asyncio.run(prepare(account, folder, template, originals=serves_originals(os.environ)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
