"""The resources of a deployment, as the settings name them, and the clients to check them."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from safelight.aws.settings import AwsSettings
from safelight.face_settings import REKOGNITION

ANY = "*"
"""The resource of a permission to look for faces: a picture that is sent along is none."""
DISTRIBUTION = "Distribution"
"""The CloudFront distribution, which data.yaml knows by its ARN."""
QUEUES = ("UploadsQueue", "RendersQueue", "CleanupQueue", "DeadLetterQueue")
"""The queues in data.yaml."""


class DoctorSettings(AwsSettings):
    """Settings of `safelight doctor`: those of all programs that name resources."""

    worker_role: Literal["uploads", "renders"] = Field(
        default="uploads", description="Which queue SAFELIGHT_QUEUE_URL names."
    )
    queue_url: str | None = Field(default=None, description="The SQS queue of the worker's role.")
    renders_queue_url: str | None = Field(
        default=None, description="The SQS queue of renders on demand, for its senders."
    )
    cleanup_queue_url: str | None = Field(
        default=None, description="The SQS queue of images to erase."
    )
    dead_letter_queue_url: str | None = Field(default=None, description="The dead-letter queue.")
    topic_arn: str | None = Field(default=None, description="The SNS topic of completions.")
    distribution_id: str | None = Field(
        default=None, description="The CloudFront distribution whose caches erasures invalidate."
    )
    max_receives: int = Field(
        default=10, ge=1, le=1000, description="The maxReceiveCount that a worker expects."
    )
    faces: Literal["off", "local", "rekognition"] = Field(
        default="off", description="How faces are found, as in api and worker."
    )
    cors_origins: str = Field(default="", description="Web origins whose pages may call the api.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The deployment that is checked."""

    settings: DoctorSettings
    partition: str
    region: str
    account: str
    s3: Any
    dynamodb: Any
    sqs: Any
    sns: Any
    rekognition: Any
    cloudfront: Any

    def queue_url(self, name: str) -> str | None:
        """Return the URL of a queue in data.yaml, None if no setting names it."""
        settings = self.settings
        own = settings.queue_url
        of_uploads, of_renders = (own, None) if settings.worker_role == "uploads" else (None, own)
        return {
            "UploadsQueue": of_uploads,
            "RendersQueue": settings.renders_queue_url or of_renders,
            "CleanupQueue": settings.cleanup_queue_url,
            "DeadLetterQueue": settings.dead_letter_queue_url,
        }[name]

    def arn(self, resource: str) -> str:
        """Return the ARN of a resource in data.yaml, such as `UploadsBucket/uploads/*`."""
        name, slash, rest = resource.partition("/")
        start, where = f"arn:{self.partition}", f"{self.region}:{self.account}"
        settings = self.settings
        arns = {
            "UploadsBucket": f"{start}:s3:::{settings.uploads_bucket}",
            "AssetsBucket": f"{start}:s3:::{settings.assets_bucket}",
            **{queue: f"{start}:sqs:{where}:{_last(self.queue_url(queue))}" for queue in QUEUES},
            "Table": f"{start}:dynamodb:{where}:table/{settings.table}",
            "Topic": settings.topic_arn or "",
            DISTRIBUTION: f"{start}:cloudfront::{self.account}:distribution/"
            f"{settings.distribution_id}",
            ANY: ANY,
        }
        return arns[name] + slash + rest

    def named(self, resource: str) -> bool:
        """Return whether the settings name the resource."""
        name = resource.partition("/")[0]
        if name in QUEUES:
            return self.queue_url(name) is not None
        if name == ANY:
            return self.settings.faces == REKOGNITION
        if name == DISTRIBUTION:
            return self.settings.distribution_id is not None
        return name != "Topic" or self.settings.topic_arn is not None


def _last(url: str | None) -> str:
    return re.split("[/:]", url or "")[-1]
