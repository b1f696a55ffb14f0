"""Works out the cost of uploads at AWS's list prices, which are in one dated file.

Storage, delivery, renders on demand, the API's tasks and the load balancer are not included.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat

from ops.capacity.arrivals import DAY_SECONDS

PRICES = Path(__file__).resolve().parents[1] / "prices.toml"
MONTH_SECONDS = 365.25 / 12 * DAY_SECONDS
HOUR_SECONDS = 3600
MILLION = 1_000_000
GB = 1_000_000_000


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fargate(_Table):
    """Prices of a task in US dollars per hour; Spot costs `spot_share` of them."""

    vcpu_hour: PositiveFloat
    gb_hour: PositiveFloat
    spot_share: PositiveFloat


class Requests(_Table):
    """Prices of a million requests in US dollars."""

    s3_put: PositiveFloat
    s3_get: PositiveFloat
    dynamodb_write_unit: PositiveFloat
    dynamodb_read_unit: PositiveFloat
    sqs: PositiveFloat
    sns_publish: PositiveFloat
    rekognition_image: PositiveFloat


class Gigabytes(_Table):
    """Prices of a gigabyte in US dollars."""

    logs_ingested: PositiveFloat


class Prices(_Table):
    """The price file."""

    as_of: str
    region: str
    fargate_arm64: Fargate
    requests: Requests
    gigabytes: Gigabytes

    @classmethod
    def load(cls, path: Path = PRICES) -> "Prices":
        """Read the file."""
        return cls.model_validate(tomllib.loads(path.read_text()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureUse:
    """The requests to AWS for one completed picture; tests/acceptance/test_cost.py counts them."""

    s3_puts: float = 5
    """The upload, and a variant for each of the four presets that Safelight comes with."""
    s3_gets: float = 1
    dynamodb_write_units: float = 7
    """The pending record of 1 KB, the settled one of 3 KB, for each an entry of 1 KB in the index
    by owner, and for the settled one an entry of 1 KB in the index by day."""
    dynamodb_write_units_of_a_tag: float = 2
    """The tag's entry in the table and in the index; not in the cost of a picture."""
    dynamodb_read_units: float = 1
    sqs_requests: float = 3
    """A send by S3, a receive and a delete; under load ten messages share the last two."""
    sns_publishes: float = 1
    rekognition_images: float = 0
    """One if Rekognition looks for faces."""
    log_bytes: float = 1000
    """The worker's log line for the message and the API's for the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSize:
    """The size of a Fargate task."""

    vcpus: float
    memory_gb: float


IDLE_SQS_REQUESTS_AN_HOUR = 2 * 3600 / 15 + 3600 / 20
"""Requests of an idle task: it measures two queues every 15 s and receives every 20 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a picture in US dollars, by part."""

    prices: Prices
    pictures_per_month: float
    parts: Mapping[str, float]

    @property
    def per_picture(self) -> float:
        """US dollars for one picture."""
        return sum(self.parts.values())

    @property
    def per_month(self) -> float:
        """US dollars for a month's pictures."""
        return self.per_picture * self.pictures_per_month


def cost_of(
    *,
    prices: Prices,
    use: PictureUse,
    size: TaskSize,
    per_day: float,
    on_demand_tasks: float,
    spot_tasks: float,
) -> Cost:
    """Work out the cost of a picture if this many tasks run on average, all month."""
    pictures = per_day * MONTH_SECONDS / DAY_SECONDS
    million = prices.requests
    fargate = fargate_per_month(prices, size, on_demand_tasks, spot_tasks)
    hours = MONTH_SECONDS / HOUR_SECONDS
    idle = hours * (on_demand_tasks + spot_tasks) * IDLE_SQS_REQUESTS_AN_HOUR
    requests = {
        "S3 PUT": use.s3_puts * million.s3_put,
        "S3 GET": use.s3_gets * million.s3_get,
        "DynamoDB writes": use.dynamodb_write_units * million.dynamodb_write_unit,
        "DynamoDB reads": use.dynamodb_read_units * million.dynamodb_read_unit,
        "SQS": (use.sqs_requests + idle / pictures) * million.sqs,
        "SNS": use.sns_publishes * million.sns_publish,
    }
    if use.rekognition_images:
        requests["Rekognition"] = use.rekognition_images * million.rekognition_image
    return Cost(
        prices=prices,
        pictures_per_month=pictures,
        parts={
            **{name: dollars / MILLION for name, dollars in requests.items()},
            "logs": use.log_bytes / GB * prices.gigabytes.logs_ingested,
            "Fargate": fargate / pictures,
        },
    )


def fargate_per_month(
    prices: Prices, size: TaskSize, on_demand_tasks: float, spot_tasks: float
) -> float:
    """Return the US dollars per month for tasks that run all the time."""
    fargate = prices.fargate_arm64
    task_hour = size.vcpus * fargate.vcpu_hour + size.memory_gb * fargate.gb_hour
    paid_tasks = on_demand_tasks + spot_tasks * fargate.spot_share
    return paid_tasks * task_hour * MONTH_SECONDS / HOUR_SECONDS
