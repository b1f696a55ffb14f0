"""What a worker is told by its environment. Every setting is declared here, with its meaning."""

from typing import Literal

from pydantic import Field

from safelight.image_ids import IdSettings
from safelight.imaging.settings import RenderSettings
from safelight.settings import AwsSettings


class WorkerSettings(RenderSettings, AwsSettings, IdSettings):
    """Settings of `python -m worker`."""

    worker_role: Literal["uploads", "renders"] = Field(
        default="uploads",
        description="What this worker does: `uploads` settles uploads as S3's events say, "
        "`renders` renders what delivery asks for and settles sources by key.",
    )
    queue_url: str = Field(
        min_length=1,
        description="The role's own SQS queue: UploadsQueue, which only S3 sends to, or "
        "RendersQueue. A message that is not for the role becomes a dead letter.",
    )
    dead_letter_queue_url: str | None = Field(
        default=None,
        description="The dead-letter queue. If it is named it is measured, and a message on its "
        "last attempt is sent there with the reason on it.",
    )
    max_receives: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="The maxReceiveCount of the queue's redrive policy.",
    )
    topic_arn: str = Field(min_length=1, description="The SNS topic that completions go to.")

    prefetch: int = Field(
        default=2,
        ge=0,
        le=1000,
        description="Messages held beyond the slots, ready to start. Behind slow pictures up to 16 "
        "more of one user are held, so that other users are found behind them.",
    )
    visibility_seconds: int = Field(
        default=60,
        ge=3,
        le=43_200,
        description="How long a message stays hidden; renewed every third of it.",
    )
    receive_wait_seconds: int = Field(
        default=20, ge=0, le=20, description="How long one receive waits for messages."
    )
    drain_seconds: float = Field(
        default=105,
        gt=0,
        le=3600,
        description="After SIGTERM, how long started pictures may take to finish.",
    )

    admin_host: str = Field(
        default="127.0.0.1",
        description="Where health and metrics are served; on loopback to loopback names only.",
    )
    admin_port: int = Field(
        default=9464, ge=0, le=65_535, description="Its port; 0 takes a free one."
    )
