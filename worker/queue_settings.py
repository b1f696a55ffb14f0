"""The settings of every worker about its queue, its topic and its own port."""

from pydantic import Field

from safelight.settings import Settings


class QueueSettings(Settings):
    """Settings of a program that processes the messages of a queue."""

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
    topic_arn: str = Field(min_length=1, description="The SNS topic for completions and erasures.")

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
