"""Simulates the decisions of Application Auto Scaling: policies, and a controller for them.

Source: the user guides of Application Auto Scaling (target tracking, step scaling, cooldowns) and
CloudWatch ("How alarm state is evaluated when data is missing"). Assumptions about gaps in the
guides are in docs/decisions/0020-what-the-simulator-assumes.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops.capacity.metricmath import Metric

PERIOD_SECONDS = 60
"""The period of CloudWatch's metrics, and of every evaluation."""
LOW_SHARE = 0.9
"""The threshold of target tracking's own low alarm, as a share of its target."""
HIGH_DATAPOINTS, LOW_DATAPOINTS = 3, 15
"""The consecutive minutes that target tracking's own high and low alarm need."""
LATE_DATAPOINTS = 3
"""The extra minutes that an alarm looks back, in case some points are missing.

CloudWatch "attempts to retrieve a higher number of data points than specified": two more in the
guide's example. "The exact number depends on the length of the alarm period"; three are assumed.
"""
GRADUAL_SHARE = 0.1
"""The largest share of tasks that target tracking removes at a time; at least one task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTracking:
    """Keep a metric at a target."""

    metric: Metric
    target: float
    out_cooldown_seconds: float
    in_cooldown_seconds: float
    scales_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change for a breach of at least `lower` and less than `upper` beyond the threshold."""

    lower: float
    upper: float
    change: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScaling:
    """An alarm, and the number of tasks that it adds or removes."""

    metric: Metric
    threshold: float
    above: bool
    """Whether values at or above the threshold raise the alarm; else values at or below."""
    datapoints: int
    cooldown_seconds: float
    percent: bool
    """Whether changes are percentages of the current tasks; else numbers of tasks."""
    steps: Sequence[Step]
    least: int = 1
    """The smallest change by percentage."""

    def change(self, breach: float, capacity: int) -> int:
        """Return the number of tasks that a breach adds; negative if it removes some."""
        step = next((one for one in self.steps if one.lower <= breach < one.upper), None)
        if step is None:
            return 0
        if not self.percent:
            return round(step.change)
        exact = capacity * step.change / 100
        tasks = max(math.floor(abs(exact)), self.least)
        return int(math.copysign(tasks, exact))


Policy = TargetTracking | StepScaling
Seen = Sequence[Mapping[str, float]]
"""CloudWatch's values of the last minutes by metric name, oldest minute first.

A minute with late metrics is an empty mapping.
"""
MOST_MINUTES = LOW_DATAPOINTS + LATE_DATAPOINTS
"""The most minutes that policies look back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """The bounds and policies of a service."""

    minimum: int
    maximum: int
    policies: Sequence[Policy]


class Controller:
    """Applies the policies, one minute at a time."""

    def __init__(self, scaling: Scaling, *, desired: int) -> None:
        self.desired = desired
        self._scaling = scaling
        self._out: dict[int, tuple[float, int]] = {}
        """By policy: the time of its last scale-out, and the number of tasks before it."""
        self._in_at = -math.inf

    def look(self, now: float, seen: Seen) -> int:
        """Evaluate the policies on the metrics known now; return the desired number of tasks."""
        wanted = {
            number: self._bounded(self._wants(number, policy, now, seen))
            for number, policy in enumerate(self._scaling.policies)
        }
        number = max(wanted, key=lambda one: wanted[one], default=None)
        if number is not None and wanted[number] > self.desired:
            self._out[number] = (now, self.desired)
            self.desired = wanted[number]
        elif (fewer := self._wants_fewer(wanted)) < self.desired:
            self.desired, self._in_at = fewer, now
        return self.desired

    def _wants_fewer(self, wanted: dict[int, int]) -> int:
        """Scale in only as far as every target tracking that may scale in agrees."""
        trackings = [
            wanted[number]
            for number, policy in enumerate(self._scaling.policies)
            if isinstance(policy, TargetTracking) and policy.scales_in
        ]
        steps = [tasks for tasks in wanted.values() if tasks < self.desired]
        return max(trackings, default=min(steps, default=self.desired))

    def _bounded(self, tasks: int) -> int:
        return min(max(tasks, self._scaling.minimum), self._scaling.maximum)

    def _wants(self, number: int, policy: Policy, now: float, seen: Seen) -> int:
        if isinstance(policy, TargetTracking):
            return self._tracks(number, policy, now, seen)
        return self._steps(number, policy, now, seen)

    def _base(self, number: int, cooldown: float, now: float) -> int:
        """Return the number of tasks before the policy's scale-out during its cooldown."""
        at, before = self._out.get(number, (-math.inf, self.desired))
        return before if now - at < cooldown else self.desired

    def _tracks(self, number: int, policy: TargetTracking, now: float, seen: Seen) -> int:
        high = _newest(policy.metric, seen, HIGH_DATAPOINTS)
        if high and min(high) > policy.target:
            base = self._base(number, policy.out_cooldown_seconds, now)
            return max(self.desired, math.ceil(max(base, 1) * high[-1] / policy.target))
        low = _newest(policy.metric, seen, LOW_DATAPOINTS)
        calm = low and max(low) < LOW_SHARE * policy.target
        if policy.scales_in and calm and now - self._in_at >= policy.in_cooldown_seconds:
            needed = math.ceil(self.desired * max(low) / policy.target)
            gradual = max(1, math.floor(self.desired * GRADUAL_SHARE))
            return max(needed, self.desired - gradual)
        return self.desired

    def _steps(self, number: int, policy: StepScaling, now: float, seen: Seen) -> int:
        values = _newest(policy.metric, seen, policy.datapoints)
        if not values:
            return self.desired
        if policy.above:
            if min(values) < policy.threshold:
                return self.desired
            base = self._base(number, policy.cooldown_seconds, now)
            return max(self.desired, base + policy.change(values[-1] - policy.threshold, base))
        if max(values) > policy.threshold or now - self._in_at < policy.cooldown_seconds:
            return self.desired
        return self.desired + policy.change(values[-1] - policy.threshold, self.desired)


def _newest(metric: Metric, seen: Seen, count: int) -> list[float]:
    """Return the newest `count` points that an alarm evaluates; none if there are too few.

    "If the number of existing data points is equal to or more than the alarm's Evaluation Periods,
    CloudWatch evaluates the alarm state based on the most recent existing data points." With fewer,
    target tracking does nothing, and steps do nothing because missing data is not breaching.
    """
    points = metric.series(seen[-(count + LATE_DATAPOINTS) :])
    existing = [point for point in points if point is not None][-count:]
    return existing if len(existing) == count else []
