"""No page for a burst that the scaler answers, one for a burst that it does not: Prometheus plays
the alerts on what the simulator makes of both."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.capacity.arrivals import burst
from ops.capacity.policies import scaling_of
from ops.capacity.scaling import Scaling
from ops.capacity.simulator import Simulation, Task, simulate
from ops.cloudformation import Template
from tests.support.declared import PROMETHEUS, rules

STEP_SECONDS = 30
BURST_AT_SECONDS = 600
TASK = Task(seconds_per_picture=0.5, slots=2)
DEPLOYED = scaling_of(Template.read("workers.yaml"))
TWO_TASKS = Scaling(minimum=2, maximum=2, policies=())
FEW_TASKS = Scaling(minimum=2, maximum=6, policies=DEPLOYED.policies)


def objective_seconds() -> int:
    """The bucket that every window of the objective asks for."""
    asked = [
        bucket
        for rule in rules("record")
        if rule["record"].startswith("safelight:late:ratio")
        for bucket in re.findall(r'le=~"(\d+)\|', rule["expr"])
    ]
    assert len(asked) == 7
    (seconds,) = set(asked)
    return int(seconds)


def late_task(seconds: int) -> Task:
    """One whose metrics come so many seconds late."""
    return Task(seconds_per_picture=0.5, slots=2, metric_delay_seconds=seconds)


@pytest.mark.parametrize("late_seconds", [60, 120, 180])
def test_the_scaler_meets_the_objective_in_a_burst_on_two_tasks(late_seconds: int) -> None:
    seen = simulate(burst(3000, per_day=100_000), late_task(late_seconds), DEPLOYED)
    longest = seen.wait_seconds(1)
    assert longest is not None
    assert longest + TASK.seconds_per_picture < objective_seconds()


def test_the_command_that_chooses_another_objective_changes_every_window() -> None:
    text = (PROMETHEUS / "recording.yml").read_text()
    (old, new) = re.findall(r"sed -i 's/(.+?)/(.+?)/' deploy/prometheus/recording.yml", text)[0]
    changed = re.sub(old.replace("|", r"\|"), new, text)
    budgets = [line for line in changed.splitlines() if "end_to_end_seconds_bucket" in line]
    assert len(budgets) == 7
    assert all(f"le=~{new}" in line for line in budgets)


def played(seen: Simulation, instances: int) -> Iterator[dict[str, str]]:
    """Yield what Prometheus would scrape of a simulated fleet, as promtool reads it."""
    steps = range(0, len(seen.running), STEP_SECONDS)
    late_after = objective_seconds()
    settled = [0.0, *seen.started[:-1]]  # a picture is settled a step after a slot took it
    in_time = [0.0]
    for step in range(1, len(settled)):
        too_old = seen.arrived[step - late_after] if step >= late_after else 0.0
        late = min(max(too_old - settled[step - 1], 0), settled[step] - settled[step - 1])
        in_time.append(in_time[-1] + settled[step] - settled[step - 1] - late)
    visible = [
        max(0.0, left - running * (TASK.slots + TASK.prefetch))
        for left, running in zip(seen.backlog, seen.running, strict=True)
    ]

    def series(name: str, values: Sequence[float]) -> dict[str, str]:
        return {"series": name, "values": " ".join(f"{values[step]:.0f}" for step in steps)}

    one = 'job="worker",instance="0"'
    yield series(f"safelight_queue_visible{{{one}}}", visible)
    yield series(f'safelight_commits_total{{{one},result="written"}}', settled)
    yield series(f'safelight_images_total{{{one},outcome="completed",format="jpeg"}}', settled)
    yield series(f'safelight_messages_buried_total{{{one},cause="unknown"}}', [0.0] * len(settled))
    yield series(f"safelight_image_end_to_end_seconds_count{{{one}}}", settled)
    yield series(f'safelight_image_end_to_end_seconds_bucket{{{one},le="{late_after}.0"}}', in_time)
    yield series('up{job="api",instance="api"}', [1.0] * len(settled))
    for task in range(instances):
        up = " ".join("1" if seen.running[step] > task else "_" for step in steps)
        yield {"series": f'up{{job="worker",instance="{task}"}}', "values": up}


def pages(
    tmp_path: Path, seen: Simulation, expected: list[dict[str, Any]], *, until_seconds: int
) -> str:
    """Compare every page until then with those expected; return what differs."""
    groups = [
        group["name"]
        for name in ("recording.yml", "alerts.yml")
        for group in yaml.safe_load((PROMETHEUS / name).read_text())["groups"]
    ]
    fired = 'max_over_time(ALERTS{severity="page",alertstate="firing"}[3h])'
    asked = f"max by (alertname, window) ({fired})"
    test = {
        "interval": f"{STEP_SECONDS}s",
        "input_series": list(played(seen, max(seen.running))),
        "promql_expr_test": [
            {"expr": asked, "eval_time": f"{until_seconds}s", "exp_samples": expected}
        ],
    }
    path = tmp_path / "burst.test.yml"
    path.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(PROMETHEUS / "recording.yml"), str(PROMETHEUS / "alerts.yml")],
                "evaluation_interval": f"{STEP_SECONDS}s",
                "group_eval_order": groups,
                "tests": [test],
            }
        )
    )
    run = subprocess.run(
        ["promtool", "test", "rules", str(path)], check=False, capture_output=True, text=True
    )
    return "" if run.returncode == 0 else run.stdout + run.stderr


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    ("pictures", "late_seconds"),
    [(3000, 60), (3000, 180), (20_000, 60), (20_000, 180)],
)
def test_a_burst_that_the_scaler_answers_pages_no_one(
    tmp_path: Path, pictures: int, late_seconds: int
) -> None:
    arrivals = burst(pictures, per_day=100_000, seconds=7200)
    seen = simulate(arrivals, late_task(late_seconds), DEPLOYED)
    assert pages(tmp_path, seen, [], until_seconds=7200) == ""


@pytest.mark.needs("promtool")
@pytest.mark.parametrize(
    "scaling", [TWO_TASKS, FEW_TASKS], ids=["no task starts", "as many tasks as may run"]
)
def test_a_burst_that_the_scaler_does_not_answer_pages_within_a_quarter_of_an_hour(
    tmp_path: Path, scaling: Scaling
) -> None:
    arrivals = burst(20_000, per_day=100_000, seconds=7200)
    expected = [
        {"labels": f'{{alertname="LateBudgetBurn", window="{window}"}}', "value": 1}
        for window in ("1h", "6h")
    ]
    seen = simulate(arrivals, TASK, scaling)
    assert pages(tmp_path, seen, expected, until_seconds=BURST_AT_SECONDS + 900) == ""
