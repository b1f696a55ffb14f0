"""Opens the clients of AWS, once in the life of a process. No other module creates any.

Credentials, region and endpoints come only from AWS's standard chain.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.credentials import (
    AioAssumeRoleCredentialFetcher,
    AioDeferredRefreshableCredentials,
)
from aiobotocore.session import AioSession

from safelight.aws.cdn import Cdn
from safelight.aws.deletions import Deletions
from safelight.aws.dependency import Dependency
from safelight.aws.documents import Documents
from safelight.aws.indexing import Indexing
from safelight.aws.inventory import Inventory
from safelight.aws.objects import Objects
from safelight.aws.presign import Presigner
from safelight.aws.queue import Queue
from safelight.aws.records import Records
from safelight.aws.rekognition import Rekognition
from safelight.aws.settings import AwsSettings
from safelight.aws.tombstones import Tombstones
from safelight.aws.topic import Topic
from safelight.errors import Misconfigured
from safelight.metrics import ProcessMetrics

CONNECT_SECONDS = 3
READ_SECONDS = 8
"""The read time-out in seconds: the longest silence of a service."""
LONG_POLL_READ_SECONDS = 28
"""The read time-out of SQS, which is silent for up to 20 s while it waits for messages."""
ATTEMPTS = 3
"""The attempts of botocore for one call; there are no other retries but the queue's."""
CONNECTIONS = 64
"""The largest number of connections to one service: every slot stores all its variants at once."""

_REGION_VARIABLES = ["AWS_REGION", "AWS_DEFAULT_REGION"]
"""ECS and the other SDKs use the first variable; by default botocore reads only the second."""
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


class Aws:
    """The connection to AWS. Each service's client is created once, on first use."""

    def __init__(
        self, settings: AwsSettings, opened: AsyncExitStack, metrics: ProcessMetrics | None
    ) -> None:
        self._settings = settings
        self._opened = opened
        self._dependencies = {
            name: Dependency(name, metrics=metrics)
            for name in ("s3", "dynamodb", "sqs", "sns", "sts", "rekognition", "cloudfront")
        }
        self._core: Any = _core_session()
        self._session: Any = aioboto3.Session(botocore_session=self._core)
        self._clients: dict[str, Any] = {}

    async def objects(self) -> Objects:
        """Open the buckets."""
        return Objects(
            await self._client("s3"),
            self._dependencies["s3"],
            uploads_bucket=self._settings.uploads_bucket,
            assets_bucket=self._settings.assets_bucket,
        )

    async def inventory(self) -> Inventory:
        """Open the lists of the buckets."""
        return Inventory(
            await self._client("s3"),
            self._dependencies["s3"],
            uploads_bucket=self._settings.uploads_bucket,
            assets_bucket=self._settings.assets_bucket,
        )

    async def sources(
        self, bucket: str, *, role_arn: str | None = None, external_id: str | None = None
    ) -> Objects:
        """Open another bucket of sources; a bucket in another account needs a role."""
        client = await self._client("s3")
        if role_arn is not None:
            client = await self._client_by_role(role_arn, external_id)
        return Objects(
            client,
            self._dependencies["s3"],
            uploads_bucket=bucket,
            assets_bucket=self._settings.assets_bucket,
        )

    async def presigner(self) -> Presigner:
        """Open a signer of URLs for S3's public address."""
        client = await self._presign_client()
        return Presigner(
            client,
            self._dependencies["s3"],
            credentials=await self._core.get_credentials(),
            uploads_bucket=self._settings.uploads_bucket,
            assets_bucket=self._settings.assets_bucket,
        )

    async def records(self, *, now: Callable[[], float] = time.time) -> Records:
        """Open the table. `now` is in seconds since 1970."""
        client, dependency = await self._client("dynamodb"), self._dependencies["dynamodb"]
        return Records(client, dependency, table=self._settings.table, now=now)

    async def indexing(self) -> Indexing:
        """Open the table, to write what its indexes lack."""
        client, dependency = await self._client("dynamodb"), self._dependencies["dynamodb"]
        return Indexing(client, dependency, table=self._settings.table)

    async def tombstones(self) -> Tombstones:
        """Open the table, to erase images."""
        client, dependency = await self._client("dynamodb"), self._dependencies["dynamodb"]
        return Tombstones(client, dependency, table=self._settings.table)

    async def deletions(self) -> Deletions:
        """Open the buckets, to delete from them."""
        return Deletions(
            await self._client("s3"),
            self._dependencies["s3"],
            uploads_bucket=self._settings.uploads_bucket,
            assets_bucket=self._settings.assets_bucket,
        )

    async def documents(self) -> Documents:
        """Open the documents in the uploads bucket."""
        client, dependency = await self._client("s3"), self._dependencies["s3"]
        return Documents(client, dependency, uploads_bucket=self._settings.uploads_bucket)

    async def cdn(self, distribution_id: str) -> Cdn:
        """Open a CloudFront distribution."""
        client, dependency = await self._client("cloudfront"), self._dependencies["cloudfront"]
        return Cdn(client, dependency, distribution_id=distribution_id)

    async def queue(self, queue_url: str, *, visibility_seconds: int = 60) -> Queue:
        """Open a queue."""
        client, dependency = await self._client("sqs"), self._dependencies["sqs"]
        return Queue(client, dependency, queue_url=queue_url, visibility_seconds=visibility_seconds)

    async def topic(self, topic_arn: str) -> Topic:
        """Open a topic."""
        client, dependency = await self._client("sns"), self._dependencies["sns"]
        return Topic(client, dependency, topic_arn=topic_arn)

    async def rekognition(self) -> Rekognition:
        """Open Amazon Rekognition."""
        return Rekognition(await self._client("rekognition"), self._dependencies["rekognition"])

    async def client(self, service: str) -> Any:
        """Open a service's own client, for calls of operators that no class here offers.

        The caller must handle botocore's errors.
        """
        return await self._client(service)

    async def _presign_client(self) -> Any:
        """Open a client that signs URLs for S3's public address.

        On AWS the URL must have the bucket's regional host. botocore's default is the global host,
        which redirects, and browsers do not follow a redirect with a form. Elsewhere the bucket is
        in the path, because an emulator or a gateway seldom has a host for each bucket.
        """
        if "presign" not in self._clients:
            public = self._settings.public_s3_endpoint_url
            host = urlsplit(public or (await self._client("s3")).meta.endpoint_url).hostname or ""
            addressing = "virtual" if host.endswith(_AWS_HOSTS) else "path"
            self._clients["presign"] = await self._open(
                "s3", endpoint_url=public, addressing=addressing
            )
        return self._clients["presign"]

    async def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = await self._open(service)
        return self._clients[service]

    async def _client_by_role(self, role_arn: str, external_id: str | None) -> Any:
        """Open S3 with a role's credentials, which are fetched on first use and renewed in time."""
        name = f"s3 by {role_arn} {external_id}"
        if name not in self._clients:
            arguments = {"RoleSessionName": "safelight"}
            fetcher = AioAssumeRoleCredentialFetcher(
                client_creator=self._core.create_client,
                source_credentials=await self._core.get_credentials(),
                role_arn=role_arn,
                extra_args=arguments | ({"ExternalId": external_id} if external_id else {}),
            )
            by_role = _core_session()
            by_role.register_component("credential_provider", _RolesCredentials(fetcher))
            session: Any = aioboto3.Session(botocore_session=by_role)
            self._clients[name] = await self._open("s3", session=session)
        return self._clients[name]

    async def _open(
        self,
        service: str,
        *,
        endpoint_url: str | None = None,
        addressing: str = "auto",
        session: Any = None,
    ) -> Any:
        async with self._dependencies[service].call("Connect", service):
            client = (session or self._session).client(
                service, endpoint_url=endpoint_url, config=_config(service, addressing)
            )
            try:
                opened = await self._opened.enter_async_context(client)
            except ValueError as error:  # botocore's error for an endpoint that is no URL
                raise Misconfigured(service, str(error)) from error
            if service == "s3":
                _resolve_once_a_bucket(opened)
            return opened


@asynccontextmanager
async def connect(
    settings: AwsSettings, *, metrics: ProcessMetrics | None = None
) -> AsyncIterator[Aws]:
    """Open AWS for the life of a process: `objects = await aws.objects()` and so on.

    Raises `Misconfigured` if the standard chain has no region, or a profile that does not exist.
    """
    async with AsyncExitStack() as opened:
        async with Dependency("aws", metrics=metrics).call("Configure", "the standard chain"):
            aws = Aws(settings, opened, metrics)
        yield aws


class _RolesCredentials:
    """Provides a role's credentials instead of the standard chain's."""

    def __init__(self, fetcher: AioAssumeRoleCredentialFetcher) -> None:
        self._fetcher = fetcher

    async def load_credentials(self) -> AioDeferredRefreshableCredentials:
        """Return credentials that are fetched on first use and renewed before they expire."""
        return AioDeferredRefreshableCredentials(
            method="assume-role", refresh_using=self._fetcher.fetch_credentials
        )


def _core_session() -> AioSession:
    return AioSession(session_vars={"region": ("region", _REGION_VARIABLES, None, None)})


def _config(service: str, addressing: str) -> AioConfig:
    return AioConfig(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=LONG_POLL_READ_SECONDS if service == "sqs" else READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        signature_version="s3v4" if service == "s3" else None,
        s3={
            "addressing_style": addressing,
            "us_east_1_regional_endpoint": "regional",
            # An asset's SHA-256 is in a signed header; hashing it again would block the loop.
            "payload_signing_enabled": False,
        },
    )


def _resolve_once_a_bucket(client: Any) -> None:
    """Let botocore cache the endpoint of a bucket for all its keys.

    It caches endpoints by all parameters of S3's rules. These include the object's key, although no
    rule uses it. So every key would be resolved again, which takes a quarter of a call's CPU time.
    """
    resolver = client._ruleset_resolver  # noqa: SLF001 - there is no public way to the parameters
    parameters = resolver._param_definitions  # noqa: SLF001 - as above
    resolver._param_definitions = {  # noqa: SLF001 - as above
        name: definition for name, definition in parameters.items() if name != "Key"
    }
