"""What Application Auto Scaling decides: policies as values, and who follows them.

Source: the user guide of Application Auto Scaling (target tracking, step scaling, cooldowns). Where
it leaves something open, docs/decisions/0020-what-the-simulator-assumes.md tells what is assumed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops.capacity.metricmath import Metric

PERIOD_SECONDS = 60
"""Of CloudWatch's metrics, and so of every look at them."""
LOW_SHARE = 0.9
"""Target tracking's own low alarm stands that far below its target."""
HIGH_DATAPOINTS, LOW_DATAPOINTS = 3, 15
"""How many minutes in a row target tracking's own two alarms want."""
GRADUAL_SHARE = 0.1
"""Of the tasks target tracking takes away at most this share at a time, but one at least."""


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
    """An alarm, and how many tasks more or fewer it means."""

    metric: Metric
    threshold: float
    above: bool
    """Whether the alarm is of values at or above the threshold; else at or below."""
    datapoints: int
    cooldown_seconds: float
    percent: bool
    """Whether changes are percentages of the tasks; else numbers of tasks."""
    steps: Sequence[Step]
    least: int = 1
    """The smallest change by percentage."""

    def change(self, breach: float, capacity: int) -> int:
        """Say how many tasks a breach adds; negative takes away."""
        step = next((one for one in self.steps if one.lower <= breach < one.upper), None)
        if step is None:
            return 0
        if not self.percent:
            return round(step.change)
        exact = capacity * step.change / 100
        tasks = max(math.floor(abs(exact)), self.least)
        return int(math.copysign(tasks, exact))


Policy = TargetTracking | StepScaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How a service is scaled."""

    minimum: int
    maximum: int
    policies: Sequence[Policy]


class Controller:
    """Follows the policies, a minute at a time."""

    def __init__(self, scaling: Scaling, *, desired: int) -> None:
        self.desired = desired
        self._scaling = scaling
        self._seen: list[Mapping[str, float]] = []
        self._out: dict[int, tuple[float, int]] = {}
        """By policy: when it last scaled out, and from how many tasks."""
        self._in_at = -math.inf

    def look(self, now: float, seen: Mapping[str, float]) -> int:
        """See one more minute's metrics, by name; answer how many tasks are wanted from now on."""
        self._seen = [*self._seen[-LOW_DATAPOINTS:], seen]
        wanted = {
            number: self._bounded(self._wants(number, policy, now))
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
        """Scale in only if no target tracking that may do so wants to stay; then to the most."""
        trackings = [
            wanted[number]
            for number, policy in enumerate(self._scaling.policies)
            if isinstance(policy, TargetTracking) and policy.scales_in
        ]
        steps = [tasks for tasks in wanted.values() if tasks < self.desired]
        return max(trackings, default=min(steps, default=self.desired))

    def _bounded(self, tasks: int) -> int:
        return min(max(tasks, self._scaling.minimum), self._scaling.maximum)

    def _wants(self, number: int, policy: Policy, now: float) -> int:
        if isinstance(policy, TargetTracking):
            return self._tracks(number, policy, now)
        return self._steps(number, policy, now)

    def _base(self, number: int, cooldown: float, now: float) -> int:
        """From how many tasks to count: within a cooldown, what it added already is part of it."""
        at, before = self._out.get(number, (-math.inf, self.desired))
        return before if now - at < cooldown else self.desired

    def _tracks(self, number: int, policy: TargetTracking, now: float) -> int:
        values = [policy.metric.value(moment) for moment in self._seen]
        high = values[-HIGH_DATAPOINTS:]
        if len(high) == HIGH_DATAPOINTS and min(high) > policy.target:
            base = self._base(number, policy.out_cooldown_seconds, now)
            return max(self.desired, math.ceil(max(base, 1) * high[-1] / policy.target))
        low = values[-LOW_DATAPOINTS:]
        calm = len(low) == LOW_DATAPOINTS and max(low) < LOW_SHARE * policy.target
        if policy.scales_in and calm and now - self._in_at >= policy.in_cooldown_seconds:
            needed = math.ceil(self.desired * max(low) / policy.target)
            gradual = max(1, math.floor(self.desired * GRADUAL_SHARE))
            return max(needed, self.desired - gradual)
        return self.desired

    def _steps(self, number: int, policy: StepScaling, now: float) -> int:
        values = [policy.metric.value(one) for one in self._seen[-policy.datapoints :]]
        if len(values) < policy.datapoints:
            return self.desired
        if policy.above:
            if min(values) < policy.threshold:
                return self.desired
            base = self._base(number, policy.cooldown_seconds, now)
            return max(self.desired, base + policy.change(values[-1] - policy.threshold, base))
        if max(values) > policy.threshold or now - self._in_at < policy.cooldown_seconds:
            return self.desired
        return self.desired + policy.change(values[-1] - policy.threshold, self.desired)
