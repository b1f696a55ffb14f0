"""Simulates a fleet in steps: pictures arrive, tasks start late, metrics are late. Pure.

Pictures are a quantity, not objects, so a thousand million a day cost no more than one. Not
simulated: differences between pictures, crashes, SQS's inexact counts, Spot interruptions.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from ops.capacity.arrivals import Arrivals
from ops.capacity.scaling import MOST_MINUTES, PERIOD_SECONDS, Controller, Scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One worker task."""

    seconds_per_picture: float
    """Time that one picture occupies one slot."""
    slots: int
    prefetch: int = 2
    """Messages that it holds in addition to those in slots."""
    start_up_seconds: float = 60
    """Time from the decision to start a task until it receives messages."""
    metric_delay_seconds: float = 60
    """Time from the end of a minute until CloudWatch has its metrics."""

    @property
    def answer_seconds(self) -> float:
        """The shortest time until another task can help with a backlog."""
        return self.metric_delay_seconds + self.start_up_seconds

    @property
    def pictures_per_second(self) -> float:
        """The throughput with all slots busy."""
        return self.slots / self.seconds_per_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The simulated values of each step."""

    step_seconds: int
    arrived: Sequence[float]
    """Cumulative number of pictures that arrived."""
    started: Sequence[float]
    """Cumulative number of pictures that entered a slot."""
    backlog: Sequence[float]
    """Pictures not yet settled."""
    running: Sequence[int]
    desired: Sequence[int]

    @property
    def task_seconds(self) -> float:
        """The paid task-seconds: time that tasks ran or were starting."""
        return sum(self.desired) * self.step_seconds

    @property
    def average_tasks(self) -> float:
        """The average number of paid tasks."""
        return sum(self.desired) / len(self.desired)

    @property
    def peak_tasks(self) -> int:
        """The highest desired number of tasks."""
        return max(self.desired)

    @property
    def direction_changes(self) -> int:
        """The number of changes between scaling out and scaling in; a high number is flapping."""
        moves = [after > before for before, after in pairwise(self.desired) if after != before]
        return sum(first is not second for first, second in pairwise(moves))

    @property
    def unstarted(self) -> float:
        """The number of pictures that still waited for a slot at the end."""
        return self.arrived[-1] - self.started[-1]

    def wait_seconds(self, quantile: float) -> float | None:
        """Return this quantile of the time from arrival to a slot; None if past the end."""
        waits: list[tuple[float, float]] = []
        taken = 0
        for step, (before, after) in enumerate(pairwise([0.0, *self.arrived])):
            if after == before:
                continue
            middle = (before + after) / 2
            while taken < len(self.started) and self.started[taken] < middle:
                taken += 1
            late = (taken - step) * self.step_seconds if taken < len(self.started) else math.inf
            waits.append((late, after - before))
        waits.sort()
        weights = accumulate(weight for _, weight in waits)
        most = quantile * sum(weight for _, weight in waits)
        wait = next(
            (wait for (wait, _), so_far in zip(waits, weights, strict=True) if so_far >= most), 0.0
        )
        return None if wait == math.inf else wait


class _Flow:
    """Cumulative counts of pictures that arrived, started and ended, step by step."""

    def __init__(self, *, step_seconds: int, task: Task) -> None:
        self.arrived: list[float] = []
        self.started: list[float] = []
        self.backlog: list[float] = []
        self._step_seconds = step_seconds
        self._task = task
        self._settled = 0.0
        self._in_work = 0.0
        self._oldest = 0
        """The step in which the oldest unsettled picture arrived."""

    def advance(self, coming: float, running: int, *, works: bool) -> None:
        """Advance by one step."""
        task, seconds = self._task, self._step_seconds
        arrived = coming + (self.arrived[-1] if self.arrived else 0)
        before = self._settled
        if works:
            most = before + running * task.pictures_per_second * seconds
            self._settled = min(arrived, most)
        # Pictures in work during the step, by Little's law: rate times duration.
        flowing = (self._settled - before) / seconds * task.seconds_per_picture
        left = arrived - self._settled
        self._in_work = min(running * task.slots, max(flowing, left))
        begun = self.started[-1] if self.started else 0
        self.arrived.append(arrived)
        self.started.append(max(begun, min(arrived, self._settled + running * task.slots)))
        self.backlog.append(left)

    def measured(self, running: int) -> dict[str, float]:
        """Return the metrics as AWS measures them: without tasks it sends no task count."""
        held = running * (self._task.slots + self._task.prefetch)
        left = self.backlog[-1]
        while self._oldest < len(self.arrived) and self.arrived[self._oldest] <= self._settled:
            self._oldest += 1
        age = (len(self.arrived) - self._oldest) * self._step_seconds
        return {
            "ApproximateNumberOfMessagesVisible": max(0.0, left - held),
            "ApproximateNumberOfMessagesNotVisible": min(held, max(left, self._in_work)),
            "ApproximateAgeOfOldestMessage": age,
            **({"RunningTaskCount": running} if running else {}),
        }


@dataclass(slots=True, kw_only=True)
class _Fleet:
    """Running tasks, and the times at which starting tasks will run."""

    running: int
    starting: deque[float] = field(default_factory=deque)

    def come_up(self, now: float) -> None:
        while self.starting and self.starting[0] <= now:
            self.starting.popleft()
            self.running += 1

    def become(self, desired: int, ready_at: float) -> None:
        """Start or stop tasks; those that are still starting are stopped first."""
        missing = desired - self.running - len(self.starting)
        self.starting.extend([ready_at] * missing)
        for _ in range(-missing):
            if self.starting:
                self.starting.pop()
            else:
                self.running -= 1


def simulate(
    arrivals: Arrivals,
    task: Task,
    scaling: Scaling,
    *,
    tasks_at_start: int | None = None,
    stuck: range = range(0),
) -> Simulation:
    """Simulate a scaled fleet under arrivals. In the seconds `stuck` no picture is processed."""
    step = arrivals.step_seconds
    fleet = _Fleet(running=scaling.minimum if tasks_at_start is None else tasks_at_start)
    controller = Controller(scaling, desired=fleet.running)
    minutes: deque[tuple[float, dict[str, float]]] = deque(maxlen=MOST_MINUTES)
    flow = _Flow(step_seconds=step, task=task)
    running, desired = [], []
    for number, coming in enumerate(arrivals.pictures):
        now = number * step
        fleet.come_up(now)
        flow.advance(coming, fleet.running, works=now not in stuck)
        if now % PERIOD_SECONDS == 0:
            minutes.append((now + task.metric_delay_seconds, flow.measured(fleet.running)))
            controller.look(now, [known if at <= now else {} for at, known in minutes])
            fleet.become(controller.desired, now + task.start_up_seconds)
        running.append(fleet.running)
        desired.append(controller.desired)
    return Simulation(
        step_seconds=step,
        arrived=flow.arrived,
        started=flow.started,
        backlog=flow.backlog,
        running=running,
        desired=desired,
    )
