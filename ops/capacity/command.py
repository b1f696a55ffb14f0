"""`safelight capacity`: simulate the workers under a load, price them, warn about AWS quotas."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ops.capacity.arrivals import DAY_SECONDS, Arrivals
from ops.capacity.cost import (
    HOUR_SECONDS,
    Cost,
    PictureUse,
    Prices,
    cost_of,
    fargate_per_month,
)
from ops.capacity.policies import (
    TEMPLATE,
    RendersService,
    on_demand_tasks,
    renders_of,
    scaling_of,
    task_size,
)
from ops.capacity.quotas import Quota, quotas
from ops.capacity.scaling import Scaling
from ops.capacity.scenario import Scenario
from ops.capacity.simulator import Simulation, Task, simulate
from ops.chart import Panel, time_series
from ops.cloudformation import Template
from ops.folders import Unusable
from ops.tables import counted, make_table
from safelight.face_settings import REKOGNITION

MILLION = 1_000_000


def capacity(scenario: Scenario, *, chart: Path | None, as_json: bool) -> None:
    """Simulate a scenario, print it, draw it if asked.

    Raises `InvalidArrivals`, `InvalidTemplate` and `Unusable`.
    """
    made = plan(scenario.to_arrivals(), scenario.to_task(), parameters=scenario.to_parameters())
    report(made, as_json=as_json)
    if chart:
        try:
            chart.write_text(drawn(made))
        except OSError as error:
            raise Unusable(f"--chart: cannot write {chart}: {error.strerror}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A simulated fleet with its cost and quotas."""

    arrivals: Arrivals
    task: Task
    vcpus: float
    """The vCPUs of one task."""
    scaling: Scaling
    acceptable_backlog: float
    """The messages that may wait for each task: parameter AcceptableBacklog."""
    simulation: Simulation
    cost: Cost
    cost_on_demand: Cost
    renders: RendersService
    quotas: Sequence[Quota]

    @property
    def renders_per_month(self) -> float:
        """US dollars per month of the renders service at its minimum, not part of `cost`."""
        on_spot = self.renders.minimum if self.renders.on_spot else 0
        return fargate_per_month(
            self.cost.prices, self.renders.size, self.renders.minimum - on_spot, on_spot
        )

    @property
    def needed_task_seconds(self) -> float:
        """Task-seconds that the pictures need if every slot is always busy."""
        return self.arrivals.total / self.task.pictures_per_second

    @property
    def warnings(self) -> list[str]:
        """Problems to expect with this fleet, one sentence each."""
        warnings = []
        most = self.scaling.maximum * self.task.pictures_per_second
        busiest = max(self.arrivals.pictures) / self.arrivals.step_seconds
        if self.simulation.unstarted > 0.01 * self.arrivals.total:
            warnings.append(
                f"at the end {counted(self.simulation.unstarted, 'picture')} not started: "
                f"{self.scaling.maximum} tasks process {most:,.0f} pictures per second, "
                f"{busiest:,.0f} arrive in the busiest second. Raise WorkerMaxTasks"
            )
        elif self.simulation.peak_tasks >= self.scaling.maximum:
            warnings.append(
                f"the fleet reaches its {self.scaling.maximum} tasks: see WorkerMaxTasks"
            )
        speed, answer = self.task.pictures_per_second, self.task.answer_seconds
        if self.acceptable_backlog < round(answer * speed):
            warnings.append(
                "a task finishes its AcceptableBacklog of "
                f"{self.acceptable_backlog:.10g} pictures in "
                f"{self.acceptable_backlog / speed:.0f} s, before another task can help "
                f"(metric delay and start-up: {answer:g} s). Set WantedWaitSeconds={answer:g} "
                f"AcceptableBacklog={answer * speed:.0f} or more"
            )
        if self.task.slots > self.vcpus:
            warnings.append(
                f"{self.task.slots} slots share {self.vcpus:g} vCPUs, but --seconds-per-picture "
                "assumes one vCPU per slot. Raise WorkerCpu, or lower WorkerSlots"
            )
        warnings += [
            f"{quota.name}: {quota.used:,.0f} of {quota.limit:,.0f}; {quota.remedy}"
            for quota in self.quotas
            if quota.near
        ]
        return warnings


def plan(arrivals: Arrivals, task: Task, *, parameters: dict[str, str]) -> Plan:
    """Simulate the template's scaling with these parameters. Raises `InvalidTemplate`.

    The parameter WorkerSlots overrides the task's slots. AcceptableBacklog is worked out from
    WantedWaitSeconds and the seconds per picture unless given. The fleet starts large enough for
    the first minute.
    """
    defaults = Template.read(TEMPLATE, parameters=parameters).parameters
    if "WorkerSlots" in parameters:
        task = replace(task, slots=int(defaults["WorkerSlots"]))
    wanted = float(defaults["WantedWaitSeconds"])
    backlog = max(1, round(wanted * task.pictures_per_second))
    parameters = {
        "WorkerSlots": str(task.slots),
        "AcceptableBacklog": str(backlog),
        **parameters,
    }
    template = Template.read(TEMPLATE, parameters=parameters)
    scaling = scaling_of(template)
    first = arrivals.pictures[0] / arrivals.step_seconds
    needed = math.ceil(first / task.pictures_per_second * 1.0001)
    at_start = min(max(needed, scaling.minimum), scaling.maximum)
    simulation = simulate(arrivals, task, scaling, tasks_at_start=at_start)
    never_on_spot = on_demand_tasks(template)
    on_demand = min(never_on_spot, simulation.average_tasks)
    prices, size = Prices.load(), task_size(template)
    looked_at = template.parameters["Faces"] == REKOGNITION
    use = PictureUse(rekognition_images=1 if looked_at else 0)
    renders = renders_of(template)
    costs = [
        cost_of(
            prices=prices,
            use=use,
            size=size,
            per_day=arrivals.per_day,
            on_demand_tasks=simulation.average_tasks - spot,
            spot_tasks=spot,
        )
        for spot in (simulation.average_tasks - on_demand, 0)
    ]
    return Plan(
        arrivals=arrivals,
        task=task,
        vcpus=size.vcpus,
        scaling=scaling,
        acceptable_backlog=float(template.parameters["AcceptableBacklog"]),
        simulation=simulation,
        cost=costs[0],
        cost_on_demand=costs[1],
        renders=renders,
        quotas=list(
            quotas(
                simulation,
                task,
                use,
                size=size,
                on_demand_tasks=never_on_spot,
                renders=renders,
            )
        ),
    )


def report(plan: Plan, *, as_json: bool) -> None:
    """Print a plan as tables, or as JSON."""
    if as_json:
        print(json.dumps(_facts(plan), indent=2))
        return
    console = Console()
    console.print(_fleet_table(plan))
    console.print(_cost_table(plan.cost_on_demand, month=_month(plan.arrivals.seconds)))
    prices = plan.cost.prices
    console.print(
        f"List prices in {prices.region}, {prices.as_of}; uploads only. "
        f"With Spot as in the template: ${plan.cost.per_picture:.7f} per picture, "
        f"${plan.cost.per_month:,.0f} {_month(plan.arrivals.seconds)}."
    )
    console.print(
        f"Renders on demand, not in the table: {plan.renders.minimum} to {plan.renders.maximum} "
        f"tasks, ${plan.renders_per_month:,.0f} per month at least."
    )
    for warning in plan.warnings:
        console.print(f"[bold]Warning:[/bold] {warning}.")


def drawn(plan: Plan) -> str:
    """Draw backlog and tasks over time, as SVG."""
    simulation = plan.simulation

    def line(values: Sequence[float]) -> list[tuple[float, float]]:
        return [(number * simulation.step_seconds, value) for number, value in enumerate(values)]

    per_second = [count / simulation.step_seconds for count in plan.arrivals.pictures]
    panels = [
        Panel(title="pictures a second", lines={"arriving": line(per_second)}),
        Panel(title="backlog", lines={"pictures not settled": line(simulation.backlog)}),
        Panel(
            title="tasks",
            lines={"wanted": line(simulation.desired), "running": line(simulation.running)},
        ),
    ]
    title = (
        f"{counted(plan.arrivals.total, 'picture')}, {plan.task.seconds_per_picture:g} s each, "
        f"{plan.task.slots} slots a task: p95 wait {_wait(simulation)}"
    )
    return time_series(title, panels)


def _wait(simulation: Simulation, quantile: float = 0.95) -> str:
    wait = simulation.wait_seconds(quantile)
    return "past the end" if wait is None else f"{wait:.0f} s"


def _span(seconds: float) -> str:
    """Write a length of time in hours, or in seconds if it is less than one."""
    whole = seconds >= HOUR_SECONDS
    return f"{seconds / HOUR_SECONDS:g} h" if whole else f"{seconds:g} s"


def _month(seconds: float) -> str:
    """Name a month that is filled with repetitions of a span. Spans of days need no remark."""
    if seconds >= DAY_SECONDS:
        return "per month"
    return (
        "per month of such hours" if seconds == HOUR_SECONDS else f"per month of such {seconds:g} s"
    )


def _fleet_table(plan: Plan) -> Table:
    simulation = plan.simulation
    table = make_table("the fleet", "", header=False)
    for name, value in (
        ("pictures", f"{plan.arrivals.total:,.0f} in {_span(plan.arrivals.seconds)}"),
        (
            "deploy with",
            f"AcceptableBacklog={plan.acceptable_backlog:.10g} WorkerSlots={plan.task.slots}",
        ),
        ("waiting time, p50 / p95", f"{_wait(simulation, 0.5)} / {_wait(simulation)}"),
        ("tasks, average / peak", f"{simulation.average_tasks:.1f} / {simulation.peak_tasks}"),
        (
            "task-seconds, paid / needed",
            f"{simulation.task_seconds:,.0f} / {plan.needed_task_seconds:,.0f}",
        ),
        ("direction changes", str(simulation.direction_changes)),
    ):
        table.add_row(name, value)
    return table


def _cost_table(cost: Cost, *, month: str) -> Table:
    table = make_table("cost, all on demand", "per picture", "per million", month)
    rows = {**cost.parts, "all": cost.per_picture}
    for name, dollars in rows.items():
        table.add_row(
            name,
            f"${dollars:.7f}",
            f"${dollars * MILLION:,.2f}",
            f"${dollars * cost.pictures_per_month:,.0f}",
        )
    return table


def _facts(plan: Plan) -> dict[str, Any]:
    simulation = plan.simulation
    return {
        "pictures": plan.arrivals.total,
        "seconds": plan.arrivals.seconds,
        "acceptableBacklog": plan.acceptable_backlog,
        "waitSeconds": {
            "p50": simulation.wait_seconds(0.5),
            "p95": simulation.wait_seconds(0.95),
            "max": simulation.wait_seconds(1),
        },
        "tasks": {"average": simulation.average_tasks, "peak": simulation.peak_tasks},
        "taskSeconds": {
            "paid": simulation.task_seconds,
            "needed": plan.needed_task_seconds,
        },
        "directionChanges": simulation.direction_changes,
        "prices": {"asOf": plan.cost.prices.as_of, "region": plan.cost.prices.region},
        "dollarsPerPicture": {
            "parts": dict(plan.cost_on_demand.parts),
            "onDemand": plan.cost_on_demand.per_picture,
            "withSpot": plan.cost.per_picture,
        },
        "dollarsPerMillion": plan.cost_on_demand.per_picture * MILLION,
        "dollarsPerMonth": plan.cost_on_demand.per_month,
        "renders": {
            "minimum": plan.renders.minimum,
            "maximum": plan.renders.maximum,
            "dollarsPerMonth": plan.renders_per_month,
        },
        "quotas": [
            {"name": quota.name, "limit": quota.limit, "used": quota.used, "near": quota.near}
            for quota in plan.quotas
        ],
        "warnings": plan.warnings,
    }
