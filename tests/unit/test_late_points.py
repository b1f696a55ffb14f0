"""Every metric math expression of the templates when CloudWatch has no point of a metric: of the
newest period, of one in the middle, or of any."""

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ops.capacity.metricmath import Metric, Series
from tests.support.templates import NAMES, Resolved, walk

PERIODS = 5
NEWEST, MIDDLE = PERIODS - 1, 2


def expressions(template: Resolved) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every list of queries in a template, with the name of its resource."""
    for name, resource in template.resources.items():
        for path, node in walk(resource):
            if path and path[-1] == "Metrics" and isinstance(node, list):
                yield name, node


WORKERS = Resolved("workers")
B, L = (WORKERS.value({"Ref": name}) for name in ("AcceptableBacklog", "WantedWaitSeconds"))
DEPLOYED = dict(pair for name in NAMES for pair in expressions(Resolved(name)))
FROM_ZERO = dict(expressions(Resolved("workers", WorkerMinTasks=0)))


@dataclass(frozen=True, kw_only=True)
class Case:
    """An expression's metrics, each the same in every period, and what comes of them."""

    points: dict[str, float]
    """By the line's id."""
    result: float
    without: dict[str, float | None]
    """The result of a period in which this metric alone has no point."""
    never: dict[str, float] = field(default_factory=dict)
    """The same where this metric was never sent, if that is something else."""
    from_zero: bool = False
    """Whether the service may have no task at all."""


TEN_TASKS = {"m1": 10.0 * B, "m2": 10.0}
CASES = {
    "WorkerTracking": Case(
        points={**TEN_TASKS, "m3": 20},
        result=1,
        without={"m1": None, "m2": 1, "m3": 1},
        never={"m2": 5},  # the minimum of two tasks
    ),
    "WorkerTracking of busy tasks": Case(
        points={"m1": 0, "m2": 10, "m3": 20},
        result=0.25,
        without={"m1": None, "m2": 0.25, "m3": 0.25},
        never={"m3": 0},  # SQS sends no point while nothing is in flight
    ),
    "WorkerTracking of no task": Case(  # the minimum is 0
        points={"m1": B, "m3": 0},
        result=1,
        without={"m1": None, "m3": 1},
        from_zero=True,
    ),
    "WorkerBurstAlarm": Case(
        points=TEN_TASKS, result=1, without={"m1": None, "m2": 1}, never={"m2": 5}
    ),
    "WorkerBurstAlarm of no task": Case(
        points={"m1": B}, result=1, without={"m1": None}, from_zero=True
    ),
    "WorkerAgeAlarm": Case(
        points={"m1": 7, "m4": 2 * L}, result=2, without={"m1": None, "m4": None}
    ),
    "WorkerAgeAlarm of an empty queue": Case(
        points={"m1": 0, "m4": 2 * L}, result=0, without={"m1": None, "m4": 0}
    ),
    "WorkerWakeAlarm": Case(  # ECS sends no count of no task
        points={"m1": 3}, result=3, without={"m1": None}, from_zero=True
    ),
    "WorkerWakeAlarm of a task": Case(
        points={"m1": 3, "m2": 1},
        result=0,
        without={"m1": None, "m2": 0},
        never={"m2": 3},
        from_zero=True,
    ),
    "RendersInAlarm": Case(
        points={"m1": 4, "m2": 2}, result=6, without={"m1": None, "m2": 6}, never={"m2": 4}
    ),
    "DeadLetters": Case(
        points={"m1": 2, "m2": 1}, result=3, without={"m1": None, "m2": 3}, never={"m2": 2}
    ),
    "Stalled": Case(points={"m1": 5, "m2": 0}, result=1, without={"m1": None, "m2": 1}),
    "Stalled while messages are deleted": Case(
        points={"m1": 5, "m2": 9}, result=0, without={"m1": None, "m2": 0}, never={"m2": 1}
    ),
    "Stalled with an empty queue": Case(
        points={"m1": 0, "m2": 0}, result=0, without={"m1": None, "m2": 0}
    ),
    "RendersStalled": Case(points={"m1": 5, "m2": 0}, result=1, without={"m1": None, "m2": 1}),
    "RendersStalled while messages are deleted": Case(
        points={"m1": 5, "m2": 9}, result=0, without={"m1": None, "m2": 0}, never={"m2": 1}
    ),
    # The load balancer sends counts of at least one only: a missing count is none.
    "ApiFailing": Case(
        points={"m1": 20, "m2": 20, "m3": 180},
        result=20,
        without={"m1": 10, "m2": 100 / 9, "m3": 200},
    ),
    "ApiFailing without any target": Case(points={"m2": 20}, result=100, without={"m2": None}),
    "ApiFailing once": Case(points={"m1": 1, "m3": 180}, result=0, without={"m1": None, "m3": 0}),
}


PAIRS = [(name, line) for name, case in CASES.items() for line in case.points]


def resource_of(name: str) -> str:
    return name.split(maxsplit=1)[0]


def result(name: str, **holes: Container[int]) -> Series:
    """Work a case's expression out over five periods; `holes` are a metric's missing points."""
    case = CASES[name]
    queries = (FROM_ZERO if case.from_zero else DEPLOYED)[resource_of(name)]
    names = {
        query["Id"]: query["MetricStat"]["Metric"]["MetricName"]
        for query in queries
        if "MetricStat" in query
    }
    return Metric.read(queries).series(
        [
            {
                names[line]: value
                for line, value in case.points.items()
                if period not in holes.get(line, ())
            }
            for period in range(PERIODS)
        ]
    )


def test_every_expression_of_every_template_has_a_case() -> None:
    assert {resource_of(name) for name in CASES} == DEPLOYED.keys() | FROM_ZERO.keys()
    for name, case in CASES.items():
        assert case.without.keys() == case.points.keys(), name


@pytest.mark.parametrize("name", CASES)
def test_an_expression_has_a_point_for_each_period_that_has_one_of_every_metric(name: str) -> None:
    assert result(name) == pytest.approx((CASES[name].result,) * PERIODS)


@pytest.mark.parametrize("name", CASES)
def test_a_period_without_any_point_yet_gets_none(name: str) -> None:
    late = dict.fromkeys(CASES[name].points, (NEWEST,))
    assert result(name, **late)[NEWEST] is None


@pytest.mark.parametrize("hole", [NEWEST, MIDDLE], ids=["the newest", "one in the middle"])
@pytest.mark.parametrize(("name", "line"), PAIRS)
def test_a_missing_point_of_one_metric_makes_no_false_point(
    name: str, line: str, hole: int
) -> None:
    case = CASES[name]
    found = list(result(name, **{line: (hole,)}))
    assert found.pop(hole) == about(case.without[line])
    assert found == pytest.approx([case.result] * (PERIODS - 1))


@pytest.mark.parametrize(("name", "line"), PAIRS)
def test_a_metric_that_was_never_sent_is_none_at_all_or_the_minimum(name: str, line: str) -> None:
    case = CASES[name]
    expected = about(case.never.get(line, case.without[line]))
    assert all(point == expected for point in result(name, **{line: range(PERIODS)}))


def test_alarms_for_too_few_tasks_look_at_the_count_itself_and_no_count_is_too_few() -> None:
    alarms = Resolved("observability").of_type("AWS::CloudWatch::Alarm")
    counts = {name: alarm for name, alarm in alarms.items() if name.startswith("TooFew")}
    assert len(counts) == 4
    for alarm in counts.values():
        assert (alarm["MetricName"], alarm["Statistic"]) == ("RunningTaskCount", "Average")
        assert (alarm["TreatMissingData"], alarm["Period"]) == ("breaching", 60)


def about(value: float | None) -> Any:
    return value if value is None else pytest.approx(value)
