"""The worker's settings: each is declared here with its description, and read once at the start."""

from typing import Literal

from pydantic import Field

from safelight.aws.settings import AwsSettings
from safelight.image_ids import IdSettings
from safelight.imaging.settings import RenderSettings
from safelight.retention import RetentionSettings
from worker.queue_settings import QueueSettings


class WorkerSettings(RenderSettings, QueueSettings, AwsSettings, IdSettings, RetentionSettings):
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
    cleanup_queue_url: str | None = Field(
        default=None,
        description="CleanupQueue. A worker that meets the tombstone of an image has the image "
        "erased once more; without the queue it only counts and logs it.",
    )
    prefetch: int = Field(
        default=2,
        ge=0,
        le=1000,
        description="Messages held ready to start, in addition to those in the slots. Behind slow "
        "pictures up to 16 more of one user are held, to find other users' messages.",
    )
