"""The worker's settings: each is declared here with its description, and read once at the start."""

from typing import Literal

from pydantic import Field

from safelight.aws.settings import AwsSettings
from safelight.image_ids import IdSettings
from safelight.imaging.settings import RenderSettings
from safelight.retention import RetentionSettings


class WorkerSettings(RenderSettings, AwsSettings, IdSettings, RetentionSettings):
    """Settings of `python -m worker`."""

    worker_role: Literal["uploads", "renders"] = Field(
        default="uploads",
        description="What this worker does. `uploads` settles uploads from S3's events; "
        "`renders` renders what delivery demands, and settles sources by key.",
    )
    queue_url: str = Field(
        min_length=1,
        description="The role's SQS queue: UploadsQueue, which only S3 may send to, or "
        "RendersQueue. A message for another role becomes a dead letter.",
    )
    dead_letter_queue_url: str | None = Field(
        default=None,
        description="The dead-letter queue. If it is set, its depth is measured, and a message "
        "whose last attempt fails is sent there with the reason. Otherwise SQS moves it there, "
        "without a reason.",
    )
    max_receives: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="The maxReceiveCount of the queue's redrive policy.",
    )
    topic_arn: str = Field(min_length=1, description="The SNS topic for completions.")

    prefetch: int = Field(
        default=2,
        ge=0,
        le=1000,
        description="Messages held ready to start, in addition to those in the slots. Behind slow "
        "pictures up to 16 more of one user are held, to find other users' messages.",
    )
    visibility_seconds: int = Field(
        default=60,
        ge=3,
        le=43_200,
        description="Seconds for which a received message is hidden. It is renewed every third of "
        "that time.",
    )
    receive_wait_seconds: int = Field(
        default=20, ge=0, le=20, description="Seconds for which one receive waits for messages."
    )
    drain_seconds: float = Field(
        default=105,
        gt=0,
        le=3600,
        description="Seconds after SIGTERM in which started pictures may finish.",
    )

    admin_host: str = Field(
        default="127.0.0.1",
        description="The address for health and metrics. On loopback, only requests to loopback "
        "names are answered.",
    )
    admin_port: int = Field(
        default=9464,
        ge=0,
        le=65_535,
        description="The port for health and metrics; 0 picks a free one.",
    )
