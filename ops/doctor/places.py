"""Where a deployment's parts are, as settings name them; and the clients to ask them."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from safelight.settings import AwsSettings


class DoctorSettings(AwsSettings):
    """Settings of `safelight doctor`: those of api and worker, as far as they name places."""

    queue_url: str | None = Field(default=None, description="The SQS queue of S3's events.")
    dead_letter_queue_url: str | None = Field(default=None, description="The dead-letter queue.")
    topic_arn: str | None = Field(default=None, description="The SNS topic of completions.")
    max_receives: int = Field(
        default=10, ge=1, le=1000, description="The maxReceiveCount that a worker reckons with."
    )
    cors_origins: str = Field(default="", description="Web origins whose pages may call the api.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The deployment that is looked at."""

    settings: DoctorSettings
    partition: str
    region: str
    account: str
    s3: Any
    dynamodb: Any
    sqs: Any
    sns: Any

    def arn(self, resource: str) -> str:
        """Write a resource of data.yaml, such as `UploadsBucket/uploads/*`, as an ARN."""
        name, slash, rest = resource.partition("/")
        start, where = f"arn:{self.partition}", f"{self.region}:{self.account}"
        settings = self.settings
        arns = {
            "UploadsBucket": f"{start}:s3:::{settings.uploads_bucket}",
            "AssetsBucket": f"{start}:s3:::{settings.assets_bucket}",
            "Queue": f"{start}:sqs:{where}:{_last(settings.queue_url)}",
            "DeadLetterQueue": f"{start}:sqs:{where}:{_last(settings.dead_letter_queue_url)}",
            "Table": f"{start}:dynamodb:{where}:table/{settings.table}",
            "Topic": settings.topic_arn or "",
        }
        return arns[name] + slash + rest

    def named(self, resource: str) -> bool:
        """Tell whether settings name the resource at all."""
        settings = self.settings
        return {
            "Queue": settings.queue_url,
            "DeadLetterQueue": settings.dead_letter_queue_url,
            "Topic": settings.topic_arn,
        }.get(resource.partition("/")[0], "always") is not None


def _last(url: str | None) -> str:
    return re.split("[/:]", url or "")[-1]
