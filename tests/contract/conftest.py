"""The three backends that every edge's contract suite runs on, each started once in a process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from moto.server import ThreadedMotoServer

from ops.local.account import Account, Principal
from ops.local.emulator import Emulator
from ops.local.stack import deploy
from safelight.aws.day_index import DAY_INDEX
from safelight.aws.searching import OWNER_INDEX
from safelight.aws.session import Aws, connect
from safelight.aws.settings import AwsSettings

BACKENDS = ("fake", "ministack", "moto")

EXEMPT: Mapping[tuple[str, str], str] = {
    ("moto", "test_a_put_whose_bytes_are_not_what_was_said_is_refused"): "no checksums",
    ("moto", "test_a_receipt_that_was_replaced_no_longer_deletes"): "deletes the message",
    ("moto", "test_a_receipt_that_was_replaced_no_longer_hides"): "hides the message",
    ("moto", "test_a_message_that_was_given_back_cannot_be_held_any_longer"): "hides it again",
    ("ministack", "test_a_message_that_was_given_back_cannot_be_held_any_longer"): "hides it again",
    ("moto", "test_a_post_of_anything_else_is_refused"): "no POST policies",
    ("moto", "test_a_put_of_anything_else_is_refused"): "no signed headers",
    ("moto", "test_a_post_of_other_bytes_of_the_same_length_is_refused"): "no checksums",
    (
        "ministack",
        "test_a_post_of_other_bytes_of_the_same_length_is_refused",
    ): "only those of a PUT",
    ("moto", "test_a_put_with_another_key_is_refused"): "no signatures",
    ("moto", "test_an_expired_url_is_refused"): "no expiry",
    ("moto", "test_a_url_of_a_source_allows_one_method"): "no signatures",
}
"""Tests that a backend cannot pass, with the reason. Strict: a row must go once its test passes."""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Return the name of the backend that the test runs on."""
    name = str(request.param)
    if reason := EXEMPT.get((name, request.node.originalname)):
        request.applymarker(pytest.mark.xfail(strict=True, reason=f"{name}: {reason}"))
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An AWS with Safelight's buckets, table and topic in it."""

    settings: AwsSettings
    topic_arn: str
    as_worker: Aws
    """Connected with the worker's policy, where the backend enforces policies."""
    as_api: Aws
    as_delivery: Aws
    as_cleanup: Aws
    as_operator: Aws
    as_owner: Aws
    clients: Mapping[str, Any]
    """The owner's plain clients by service, for the set-up and the checks of a test."""


@pytest.fixture
def place(backend: str, request: pytest.FixtureRequest) -> Place | None:
    """Return the AWS of the test's backend; None for fakes."""
    return None if backend == "fake" else request.getfixturevalue(backend)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ministack(emulator: Emulator) -> AsyncIterator[Place]:
    stack = await deploy(emulator.account, name="safelight-contract")
    settings = AwsSettings(
        uploads_bucket=stack.uploads_bucket, assets_bucket=stack.assets_bucket, table=stack.table
    )
    async with AsyncExitStack() as opened:
        yield Place(
            settings=settings,
            topic_arn=stack.topic_arn,
            as_worker=await _connect(opened, settings, emulator.endpoint_url, stack.uploads_worker),
            as_api=await _connect(opened, settings, emulator.endpoint_url, stack.api),
            as_delivery=await _connect(opened, settings, emulator.endpoint_url, stack.delivery),
            as_cleanup=await _connect(opened, settings, emulator.endpoint_url, stack.cleanup),
            as_operator=await _connect(opened, settings, emulator.endpoint_url, stack.operator),
            as_owner=await _connect(opened, settings, emulator.endpoint_url, emulator.root),
            clients=await _open_clients(opened, emulator.account),
        )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def moto() -> AsyncIterator[Place]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        anybody = Principal(access_key_id="anybody", secret_access_key="anything")
        account = Account(endpoint_url=f"http://{host}:{port}", principal=anybody)
        settings = AwsSettings(uploads_bucket="uploads", assets_bucket="assets", table="images")
        topic_arn = await _furnish(account, settings)
        async with AsyncExitStack() as opened:
            aws = await _connect(opened, settings, account.endpoint_url, anybody)
            yield Place(
                settings=settings,
                topic_arn=topic_arn,
                as_worker=aws,
                as_api=aws,
                as_delivery=aws,
                as_cleanup=aws,
                as_operator=aws,
                as_owner=aws,
                clients=await _open_clients(opened, account),
            )
    finally:
        server.stop()


async def _connect(
    opened: AsyncExitStack, settings: AwsSettings, endpoint_url: str, who: Principal
) -> Aws:
    """Connect through the standard chain, as the programs do, and open every client.

    The environment is read only here, so the changes to it are undone.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_PROFILE", raising=False)
        for name, value in who.environment(endpoint_url).items():
            environment.setenv(name, value)
        aws = await opened.enter_async_context(connect(settings))
        await aws.objects(), await aws.records(), await aws.presigner()
        await aws.queue("any"), await aws.topic("any"), await aws.cdn("any")
    return aws


async def _open_clients(opened: AsyncExitStack, account: Account) -> Mapping[str, Any]:
    return {
        service: await opened.enter_async_context(account.client(service))
        for service in ("s3", "dynamodb", "sqs", "sns", "cloudfront")
    }


async def _furnish(account: Account, settings: AwsSettings) -> str:
    """Create the template's resources by hand, where CloudFormation is incomplete."""
    async with account.client("s3") as s3:
        for bucket in (settings.uploads_bucket, settings.assets_bucket):
            await s3.create_bucket(Bucket=bucket)
        await s3.put_bucket_versioning(
            Bucket=settings.uploads_bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    async with account.client("dynamodb") as dynamodb:
        await dynamodb.create_table(
            TableName=settings.table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "imageId", "AttributeType": "S"},
                {"AttributeName": "userId", "AttributeType": "S"},
                {"AttributeName": "uploadedAt", "AttributeType": "N"},
                {"AttributeName": "day", "AttributeType": "S"},
                {"AttributeName": "completedAt", "AttributeType": "N"},
            ],
            KeySchema=[{"AttributeName": "imageId", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": OWNER_INDEX,
                    "KeySchema": [
                        {"AttributeName": "userId", "KeyType": "HASH"},
                        {"AttributeName": "uploadedAt", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                },
                {
                    "IndexName": DAY_INDEX,
                    "KeySchema": [
                        {"AttributeName": "day", "KeyType": "HASH"},
                        {"AttributeName": "completedAt", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                },
            ],
        )
    async with account.client("sns") as sns:
        return str((await sns.create_topic(Name="completions"))["TopicArn"])
