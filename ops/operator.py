"""Connects operators' commands to AWS, and says what they need if AWS refuses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from safelight.aws.session import Aws, connect
from safelight.aws.settings import AwsSettings
from safelight.errors import Misconfigured, SafelightError

NEEDED = (
    "The command needs the permissions of {policy} (deploy/ecs/data.yaml), and credentials "
    "for the account and the region of the table and the buckets. `safelight doctor` prints whose "
    "credentials are used."
)


@asynccontextmanager
async def connected(settings: AwsSettings, *, policy: str = "OperatorPolicy") -> AsyncIterator[Aws]:
    """Open AWS with the operator's credentials, for a command that this policy is for.

    Raises a `SafelightError` that says what is needed if a permission or a name is wrong.
    """
    try:
        async with connect(settings) as aws:
            yield aws
    except Misconfigured as error:
        raise SafelightError(f"{error}\n{NEEDED.format(policy=policy)}") from error
