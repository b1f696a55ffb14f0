"""The figures of scaling that documents quote are what the simulator finds."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from ops.capacity.arrivals import Arrivals, burst, day
from ops.capacity.command import Plan, drawn, plan
from ops.capacity.metricmath import Metric
from ops.capacity.policies import scaling_of
from ops.capacity.scaling import Policy, TargetTracking
from ops.capacity.simulator import Simulation, Task, simulate
from ops.cloudformation import Template

DOCS = Path(__file__).parents[3] / "docs"
DECISIONS = DOCS / "decisions"
BURST = burst(3000, per_day=100_000)


def decision(number: int) -> str:
    (path,) = DECISIONS.glob(f"{number:04}-*.md")
    return path.read_text()


def joined(text: str) -> str:
    """Join the lines of a text, so that a figure is found wherever a line is broken."""
    return " ".join(text.split())


@cache
def planned() -> Plan:
    """As `safelight capacity --shape burst --burst 3000 --per-day 100000`."""
    return plan(BURST, Task(seconds_per_picture=0.46, slots=2), parameters={})


def changed(policy: Policy, *, share: float, cooldown: int) -> Policy:
    """Make a policy of the template with another target, share of the slots and cooldown."""
    busy = f"IF(occupancy < 1, occupancy, 1) * {share}"
    queries = (
        replace(one, expression=busy) if one.id == "busy" else one for one in policy.metric.queries
    )
    metric = Metric(tuple(queries))
    if isinstance(policy, TargetTracking):
        return replace(policy, metric=metric, target=share, out_cooldown_seconds=cooldown)
    return replace(policy, metric=metric, cooldown_seconds=cooldown)


def played(
    arrivals: Arrivals,
    *,
    start: int = 2,
    wait: int = 120,
    target: int = 30,
    late: int = 60,
    cooldown: int = 120,
) -> Simulation:
    """Simulate other numbers than the template's, also those that its bounds refuse."""
    task = Task(seconds_per_picture=0.46, slots=2, metric_delay_seconds=late)
    template = Template.read("workers.yaml")
    parameters = {
        **template.parameters,
        "WantedWaitSeconds": str(wait),
        "AcceptableBacklog": str(round(wait * task.pictures_per_second)),
    }
    scaling = scaling_of(replace(template, parameters=parameters))
    policies = [changed(one, share=target / wait, cooldown=cooldown) for one in scaling.policies]
    return simulate(arrivals, task, replace(scaling, policies=policies), tasks_at_start=start)


def test_the_template_has_the_numbers_that_are_changed_here():
    policies = scaling_of(Template.read("workers.yaml")).policies
    for policy in policies:
        same = changed(policy, share=0.25, cooldown=120)
        assert replace(same, metric=policy.metric) == policy
    busy = {
        query.expression for one in policies for query in one.metric.queries if query.id == "busy"
    }
    assert busy == {"IF(occupancy < 1, occupancy, 1) / 4"}


ROWS = [
    tuple(int(cell.replace(",", "")) for cell in row)
    for row in re.findall(
        r"^\| (\d+) s \| (\d+) s \| (\d+) s \| (\d+) s \| (\d+) \| ([\d,]+) \|$",
        decision(46),
        re.MULTILINE,
    )
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "L {}, target {}, late {}".format(*row))
def test_the_table_of_wanted_waits_is_what_the_simulator_finds(row):
    wait, target, late, p95, peak, paid = row
    seen = played(BURST, wait=wait, target=target, late=late)
    assert (seen.wait_seconds(0.95), seen.peak_tasks, seen.task_seconds) == (p95, peak, paid)


def test_the_wanted_wait_of_the_table_is_the_templates():
    wait = Template.read("workers.yaml").parameters["WantedWaitSeconds"]
    assert f"**L is {wait} s, and no less.**" in decision(46)
    assert {row[0] for row in ROWS} == {30, 60, int(wait)}


def test_the_figures_of_a_burst_are_those_of_the_command():
    simulation = planned().simulation
    p95 = f"waits {simulation.wait_seconds(0.95):.0f} s at p95"
    operating = joined((DOCS / "operate" / "operating.md").read_text())
    assert p95 in joined(decision(20))
    assert p95 in operating
    assert f"from 2 to {simulation.peak_tasks} tasks" in operating
    paid, needed = simulation.task_seconds, planned().needed_task_seconds
    assert f"{paid:,.0f} task-seconds are paid and {needed:,.0f} are needed" in operating


def test_the_chart_of_a_burst_is_what_the_command_draws():
    assert (DOCS / "operate" / "capacity.svg").read_text() == drawn(planned())


def test_the_figures_of_a_sine_day_are_those_of_the_simulator():
    arrivals = day(3_000_000)
    seen, hasty, calm = (
        played(arrivals, start=8, **changes) for changes in ({}, {"cooldown": 60}, {"target": 60})
    )
    peaks = f"peaks at {hasty.peak_tasks} tasks instead of {seen.peak_tasks},"
    assert peaks in joined(decision(20))
    waits = [f"{one.wait_seconds(0.95):.0f} s" for one in (calm, seen)]
    assert f"three million pictures waits {waits[0]} at p95, not {waits[1]}" in joined(decision(46))
    assert hasty.wait_seconds(0.95) == seen.wait_seconds(0.95)
