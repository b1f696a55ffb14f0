"""The settings of the role `cleanup`."""

from pydantic import Field

from safelight.aws.queue import LONGEST_DELAY_SECONDS
from safelight.aws.settings import AwsSettings
from safelight.image_ids import IdSettings
from worker.queue_settings import QueueSettings


class CleanupSettings(QueueSettings, AwsSettings, IdSettings):
    """Settings of `python -m worker.cleanup`."""

    cleanup_queue_url: str = Field(
        min_length=1,
        description="CleanupQueue, from which images to erase are received. An erasure waits in it "
        "between its steps.",
    )
    distribution_id: str | None = Field(
        default=None,
        description="The id of the CloudFront distribution whose caches an erasure invalidates; "
        "by default none.",
    )
    erase_pause_seconds: float = Field(
        default=20,
        gt=0,
        le=LONGEST_DELAY_SECONDS,
        description="Seconds between deleting the objects of an image and invalidating caches, so "
        "that answers under way end first.",
    )
    erase_index_lag_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="Seconds after a request to erase all images of a user during which the index "
        "by user may lack some of them: the erasure is not complete before.",
    )
    erase_last_look_seconds: float = Field(
        default=LONGEST_DELAY_SECONDS,
        gt=0,
        le=LONGEST_DELAY_SECONDS,
        description="Seconds after the invalidation until the final check for objects of the "
        "image: longer than any request to delivery takes. A step that S3 or CloudFront refused is "
        "tried again after the same time.",
    )
