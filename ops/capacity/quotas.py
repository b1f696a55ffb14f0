"""Compares a fleet with AWS's quotas. Pure.

The numbers are AWS's published defaults in most regions; the remedy says which can be raised.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ops.capacity.cost import PictureUse, TaskSize
from ops.capacity.policies import RendersService
from ops.capacity.simulator import Simulation, Task

SHARE = 0.8
"""The share of a quota from which on a warning is printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A quota, its predicted use, and how to avoid the limit."""

    name: str
    limit: float
    used: float
    remedy: str

    @property
    def near(self) -> bool:
        """Whether the use is close enough to the limit for a warning."""
        return self.used >= SHARE * self.limit


def quotas(
    simulation: Simulation,
    task: Task,
    use: PictureUse,
    *,
    size: TaskSize,
    on_demand_tasks: float,
    renders: RendersService,
) -> Iterator[Quota]:
    """Compare the busiest moment with AWS's quotas. Rates are means over a minute.

    At that moment at most `on_demand_tasks` run on demand, all others on Spot. The renders service
    is assumed to be at its maximum.
    """
    fastest = _fastest(simulation)
    served = min(fastest, simulation.peak_tasks * task.pictures_per_second)
    yield Quota(
        name="SQS messages in flight in one queue",
        limit=120_000,
        used=max(simulation.running) * (task.slots + task.prefetch),
        remedy="split the uploads over more queues",
    )
    yield Quota(
        name="S3 PUT a second to one prefix (uploads/)",
        limit=3500,
        used=fastest,
        remedy="S3 splits a prefix under lasting load: raise the load slowly, expect SlowDown",
    )
    yield Quota(
        name="S3 PUT a second to one prefix (images/)",
        limit=3500,
        used=served * (use.s3_puts - 1),
        remedy="as above; image ids begin with a timestamp, so new ones share a partition",
    )
    yield Quota(
        name="S3 GET a second from one prefix (uploads/)",
        limit=5500,
        used=served * use.s3_gets,
        remedy="as above",
    )
    yield Quota(
        name="DynamoDB write units a second of one table",
        limit=40_000,
        used=served * use.dynamodb_write_units / 2,
        remedy="ask AWS to raise it; warm the table's throughput before a launch",
    )
    yield Quota(
        name="SNS publishes a second",
        limit=30_000,
        used=served * use.sns_publishes,
        remedy="ask AWS to raise it; it is as low as 300 in small regions",
    )
    on_demand = min(on_demand_tasks, simulation.peak_tasks)
    of_renders = renders.maximum * renders.size.vcpus
    for name, tasks, others in (
        ("Fargate vCPUs on demand of an account", on_demand, not renders.on_spot),
        ("Fargate vCPUs on Spot of an account", simulation.peak_tasks - on_demand, renders.on_spot),
    ):
        yield Quota(
            name=name,
            limit=6,
            used=tasks * size.vcpus + (of_renders if others else 0),
            remedy="new accounts get this few, shared with api and delivery: ask AWS to raise it",
        )
    yield Quota(
        name="tasks of one ECS service",
        limit=5000,
        used=simulation.peak_tasks,
        remedy="ask AWS to raise it, or give a task more slots and vCPUs",
    )
    yield Quota(
        name="Fargate tasks that one service starts a minute",
        limit=500,
        used=_most_started_a_minute(simulation),
        remedy="keep a higher minimum, or schedule scaling before the burst",
    )


def _fastest(simulation: Simulation) -> float:
    steps = max(1, 60 // simulation.step_seconds)
    counts = [0.0, *simulation.arrived]
    ahead = counts[steps:] or counts[-1:]
    return max(after - before for before, after in zip(counts, ahead, strict=False)) / (
        steps * simulation.step_seconds
    )


def _most_started_a_minute(simulation: Simulation) -> int:
    return max((after - before for before, after in pairwise(simulation.desired)), default=0)
