"""Deploys the stack to the embedded AWS of docker-compose.yml, and writes each program's settings.

    python -m ops.local.containers FOLDER TEMPLATE

The account's owner and the emulator's address come from the environment. FOLDER gets a file for
each program, `api.env` and so on, for a shell to read: its principal's keys and the stack's names.
Done a second time it changes nothing.
"""

import asyncio
import os
import shlex
import sys
from pathlib import Path

from botocore.exceptions import ClientError

from ops.local.account import Account, Principal
from ops.local.stack import Stack, deploy

NAME = "safelight-compose"


def written(stack: Stack, principal: Principal, endpoint_url: str) -> str:
    """Write what one program must be told, a line a variable."""
    variables = {
        **principal.environment(endpoint_url),
        **stack.settings(),
        "SAFELIGHT_QUEUE_URL": stack.queue_url,
        "SAFELIGHT_DEAD_LETTER_QUEUE_URL": stack.dead_letter_queue_url,
        "SAFELIGHT_TOPIC_ARN": stack.topic_arn,
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


async def stands(account: Account) -> bool:
    """Tell whether the emulator has the stack: it forgets everything when it is restarted."""
    async with account.client("cloudformation") as cloudformation:
        try:
            await cloudformation.describe_stacks(StackName=NAME)
        except ClientError:
            return False
    return True


async def prepare(account: Account, folder: Path, template: Path) -> None:
    """Deploy the stack and write the files, unless both are there."""
    programs = ("api", "delivery", "worker")
    files = {program: folder / f"{program}.env" for program in programs}
    if all(path.exists() for path in files.values()) and await stands(account):
        print(f"{NAME} stands already")
        return
    stack = await deploy(account, name=NAME, template=template)
    for program, path in files.items():
        path.touch(mode=0o600)
        path.write_text(written(stack, getattr(stack, program), account.endpoint_url))
    print(f"{NAME} stands; its queue is {stack.queue_url}")


def main() -> int:
    """Read where everything is, and prepare it."""
    if len(sys.argv) != 3:
        print("usage: python -m ops.local.containers FOLDER TEMPLATE", file=sys.stderr)
        return 2
    owner = Principal(
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    )
    account = Account(endpoint_url=os.environ["AWS_ENDPOINT_URL"], principal=owner)
    asyncio.run(prepare(account, Path(sys.argv[1]), Path(sys.argv[2])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
