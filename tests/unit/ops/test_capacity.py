"""`safelight capacity`: arrivals, the simulator, what it costs, and the command."""

import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from ops.__main__ import app
from ops.capacity.arrivals import Arrivals, InvalidArrivals, burst, constant, day, every, from_csv
from ops.capacity.command import plan
from ops.capacity.cost import PictureUse, Prices, TaskSize, cost_of
from ops.capacity.metricmath import Metric, Query, UnknownMath
from ops.capacity.policies import scaling_of
from ops.capacity.scaling import Controller, Policy, Scaling, Step, StepScaling, TargetTracking
from ops.capacity.simulator import Task, _Flow, simulate
from ops.cloudformation import TEMPLATES, InvalidTemplate, Template, read_body

ROOT = Path(__file__).parents[3]
TASK = Task(seconds_per_picture=0.5, slots=2)
GOAL_DOLLARS = 0.00004


def fixed(tasks: int) -> Scaling:
    return Scaling(minimum=tasks, maximum=tasks, policies=())


def deployed(**parameters: str) -> Scaling:
    return scaling_of(Template.read("workers.yaml", parameters=parameters))


# What arrives


def test_a_constant_day_brings_what_was_asked_for():
    assert constant(1_000_000).total == pytest.approx(1_000_000)


def test_a_sine_day_brings_the_same_and_peaks_where_it_should():
    arrivals = day(1_000_000, swing=0.8)
    assert arrivals.total == pytest.approx(1_000_000)
    mean = 1_000_000 / len(arrivals.pictures)
    assert max(arrivals.pictures) == pytest.approx(1.8 * mean)
    assert min(arrivals.pictures) == pytest.approx(0.2 * mean)


def test_a_burst_stands_upon_its_trickle():
    assert burst(3000, per_day=86_400).total == pytest.approx(3000 + 3600)


def test_one_picture_each_three_minutes_is_that():
    assert every(180).total == 86_400 / 180


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "arrivals.csv"
    path.write_text(text)
    return path


def test_a_table_is_spread_until_its_next_line(tmp_path):
    arrivals = from_csv(written(tmp_path, "seconds,pictures\n0,10\n10,0\n20,5\n25,0\n"))
    assert arrivals.step_seconds == 1
    assert arrivals.pictures == pytest.approx([1.0] * 10 + [0.0] * 10 + [1.0] * 5)


def test_a_table_whose_times_fall_between_steps_loses_nothing(tmp_path):
    arrivals = from_csv(written(tmp_path, "seconds,pictures\n0,10\n3.7,20\n9.2,0\n"))
    assert arrivals.total == pytest.approx(30)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column seconds and no column pictures; found nothing"),
        ("seconds,count\n0,1\n", "no column pictures; found seconds, count"),
        ("seconds,pictures\n0,1\n", "at least two lines"),
        ("seconds,pictures\n0,-1\n9,0\n", "line 2: pictures must be a number of 0 or more"),
        ("seconds,pictures\n0,nan\n9,0\n", "found 'nan'"),
        ("seconds,pictures\n0,inf\n9,0\n", "found 'inf'"),
        ("seconds,pictures\n0,many\n9,0\n", "found 'many'"),
        ("seconds,pictures\n0\n9,0\n", "line 2: pictures must be"),
        ("seconds,pictures\n9,1\n3,0\n", "line 3: seconds must rise"),
        ("seconds,pictures\n0,0\n9,0\n", "no picture arrives"),
        ("seconds,pictures\n0,1\n99999999,0\n", "is longer than"),
    ],
)
def test_a_table_that_makes_no_sense_says_why(tmp_path, text, said):
    with pytest.raises(InvalidArrivals, match=re.escape(said)):
        from_csv(written(tmp_path, text))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00seconds"])
def test_a_table_that_cannot_be_read_says_so(tmp_path, content):
    path = tmp_path / "arrivals.csv"
    if content:
        path.write_bytes(content)
    with pytest.raises(InvalidArrivals, match="cannot be read"):
        from_csv(path)


# Metric math


GUIDE = {
    "metric1": (30, 20, 0, 0),
    "metric2": (20, None, 20, None),
    "one": (1, 1, 0, 0, None),
    "two": (30, None, 0, 0, 30),
    "three": (0, 0, 20, None, 20),
    "late": (5, 7, None),
    "early": (None, None, 3),
    "zero": (1, 0, None),
}
"""The first five are the examples of CloudWatch's guide."""


def worked_out(expression: str) -> tuple[float | None, ...]:
    names = set(re.findall(r"[a-z]+\d?", expression))
    (length,) = {len(GUIDE[name]) for name in names}
    measured = [
        {name: GUIDE[name][at] for name in names if GUIDE[name][at] is not None}
        for at in range(length)
    ]
    lines = (*(Query(name, name) for name in names), Query("e", None, expression))
    return Metric(lines).series(measured)


@pytest.mark.parametrize(
    ("expression", "points"),
    [
        ("metric1 < metric2", (0, 0, 1, 0)),
        ("metric1 >= 30", (1, 0, 0, 0)),
        ("IF(one, two, three)", (30, 0, 20, None, None)),
        ("IF(one, 5, three)", (5, 5, 20, None, None)),
        ("IF(one, two, 5)", (30, 0, 5, 5, None)),
        ("IF(metric1 < 25, metric1)", (None, 20, 0, 0)),
    ],
)
def test_metric_math_gives_what_cloudwatchs_guide_says(expression, points):
    assert worked_out(expression) == points


@pytest.mark.parametrize(
    ("expression", "points"),
    [
        ("late + early", (5, 7, 3)),
        ("late * 2 - 1 + 0.5", (9.5, 13.5, None)),
        ("2 * late", (10, 14, None)),
        ("late / zero", (5, None, None)),
        ("2 + 3 * late", (17, 23, None)),
        ("late > 6", (0, 1, None)),
        ("FILL(late, 0)", (5, 7, 0)),
        ("FILL(late, REPEAT)", (5, 7, 7)),
        ("FILL(early, REPEAT)", (None, None, 3)),
        ("FILL(FILL(early, REPEAT), 9)", (9, 9, 3)),
        ("FILL(late, early)", (5, 7, 3)),
        ("IF(late >= 0, FILL(late, 0))", (5, 7, None)),
    ],
)
def test_metric_math_knows_where_there_is_no_point(expression, points):
    assert worked_out(expression) == points


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "m9", "m1.real", "RATE(m1)", "m1 +", "FILL(m1, LINEAR)", "1 + 1",
     "IF(1, m1)", "FILL(1, 0)"],
)  # fmt: skip
def test_other_math_is_refused_rather_than_guessed(expression):
    with pytest.raises(UnknownMath):
        Metric((Query("m1", "A"), Query("e", None, expression))).series([{"A": 1}])


# The policies


def tracking(**changes: object) -> TargetTracking:
    declared = {
        "metric": Metric.single("load"),
        "target": 10.0,
        "out_cooldown_seconds": 60.0,
        "in_cooldown_seconds": 300.0,
        "scales_in": True,
    }
    return TargetTracking(**{**declared, **changes})


def desired_over(scaling: Scaling, loads: list[float], *, start: int) -> list[int]:
    controller, minutes = Controller(scaling, desired=start), [{"load": load} for load in loads]
    return [controller.look(60 * n, minutes[: n + 1]) for n in range(len(loads))]


def test_target_tracking_scales_out_in_proportion_after_three_minutes():
    scaling = Scaling(minimum=1, maximum=99, policies=[tracking()])
    assert desired_over(scaling, [25, 25, 25], start=4) == [4, 4, 10]


def test_target_tracking_scales_in_after_fifteen_minutes_and_not_again_within_its_cooldown():
    scaling = Scaling(minimum=1, maximum=99, policies=[tracking()])
    wanted = desired_over(scaling, [0.0] * 21, start=40)
    assert wanted == [40] * 14 + [36] * 5 + [33] * 2


def test_target_tracking_takes_no_task_away_that_the_target_needs():
    scaling = Scaling(minimum=1, maximum=99, policies=[tracking()])
    assert desired_over(scaling, [8.9] * 30, start=3) == [3] * 30


def test_no_policy_leaves_the_bounds():
    scaling = Scaling(minimum=2, maximum=5, policies=[tracking()])
    assert max(desired_over(scaling, [1000.0] * 5, start=2)) == 5
    assert min(desired_over(scaling, [0.0] * 60, start=3)) == 2


STEPS = StepScaling(
    metric=Metric.single("load"),
    threshold=10,
    above=True,
    datapoints=1,
    cooldown_seconds=120,
    percent=True,
    steps=[Step(lower=0, upper=10, change=50), Step(lower=10, upper=math.inf, change=200)],
)


def test_a_step_answers_one_datapoint_by_how_far_it_is_above():
    scaling = Scaling(minimum=1, maximum=99, policies=[STEPS])
    assert desired_over(scaling, [9.9, 10], start=4) == [4, 6]
    assert desired_over(scaling, [20], start=4) == [12]


def test_within_a_cooldown_what_was_added_is_part_of_what_is_wanted():
    scaling = Scaling(minimum=1, maximum=99, policies=[STEPS])
    assert desired_over(scaling, [10, 10, 10], start=4) == [6, 6, 9]
    assert desired_over(scaling, [10, 20], start=4) == [6, 12]


def test_a_late_minute_is_passed_over_for_those_before_it():
    scaling = Scaling(minimum=1, maximum=99, policies=[tracking()])
    hot = [{"load": 25.0}] * 3
    assert Controller(scaling, desired=4).look(240, [*hot, {}]) == 10
    assert Controller(scaling, desired=4).look(240, [{"load": 25.0}, {}, *hot[1:]]) == 10


def test_too_few_points_scale_neither_out_nor_in():
    scaling = Scaling(minimum=1, maximum=99, policies=[tracking(), STEPS])
    assert Controller(scaling, desired=4).look(240, [{"load": 25.0}, *[{}] * 5]) == 4
    assert Controller(scaling, desired=4).look(1200, [*[{"load": 0.0}] * 14, {}, {}]) == 4


# The simulator


def test_a_fleet_that_does_not_scale_works_a_burst_off_at_its_own_speed():
    task = Task(seconds_per_picture=1, slots=1, prefetch=0)
    arrivals = Arrivals(step_seconds=1, pictures=[100.0, *[0.0] * 120])
    seen = simulate(arrivals, task, fixed(1))
    assert seen.wait_seconds(0.5) is not None
    assert seen.unstarted == 0
    assert seen.backlog[49] == pytest.approx(50)
    assert seen.task_seconds == 121


def test_waits_are_those_of_each_picture_not_of_each_step():
    arrivals = Arrivals(step_seconds=1, pictures=[10.0] * 10 + [0.0] * 100)
    seen = simulate(arrivals, Task(seconds_per_picture=0.5, slots=1, prefetch=0), fixed(1))
    assert seen.wait_seconds(1) == pytest.approx(38, abs=1)  # 95 are begun after 47 s
    assert seen.wait_seconds(0.5) == pytest.approx(18, abs=1)


def test_what_never_starts_has_no_wait():
    seen = simulate(Arrivals(step_seconds=1, pictures=[10.0] * 10), TASK, fixed(1))
    assert seen.unstarted > 0
    assert seen.wait_seconds(0.95) is None


def test_a_new_task_works_only_once_it_is_up():
    arrivals = burst(3000)
    seen = simulate(arrivals, TASK, deployed())
    wanted = next(n for n, tasks in enumerate(seen.desired) if tasks > 2)
    up = next(n for n, tasks in enumerate(seen.running) if tasks > 2)
    assert up - wanted == TASK.start_up_seconds


def test_what_is_late_is_seen_late_and_never_as_zero():
    """The old expressions made a 0 of the newest minute, and only the age of messages scaled."""
    prompt = Task(seconds_per_picture=0.5, slots=2, metric_delay_seconds=0)
    late = replace(prompt, metric_delay_seconds=120)
    first = [
        next(
            at
            for at, tasks in enumerate(simulate(burst(3000), task, deployed()).desired)
            if tasks > 2
        )
        for task in (prompt, late)
    ]
    assert first[1] - first[0] == 120


def unguarded(policy: Policy) -> Policy:
    """Make a policy whose metric has a point, 0, where the queue's metric has none."""
    queries = tuple(
        replace(one, expression=guarded[1])
        if (guarded := re.fullmatch(r"IF\(m1 >= 0, (.+)\)", one.expression or ""))
        else one
        for one in policy.metric.queries
    )
    return replace(policy, metric=Metric(queries))


def test_a_false_zero_of_the_newest_minute_shows_in_the_simulator():
    guarded = deployed()
    blind = replace(guarded, policies=[unguarded(one) for one in guarded.policies])
    assert (
        sum(one != other for one, other in zip(guarded.policies, blind.policies, strict=True)) == 2
    )
    waits = [simulate(burst(3000), TASK, one).wait_seconds(0.95) for one in (guarded, blind)]
    assert waits[1] > 1.2 * waits[0]


def test_the_simulator_measures_every_metric_that_the_policies_ask_for():
    asked = {
        query.metric
        for policy in deployed(WorkerMinTasks="0").policies
        for query in policy.metric.queries
        if query.metric
    }
    measured = _Flow(step_seconds=1, task=TASK)
    measured.advance(1, 1, works=True)
    assert asked <= measured.measured(running=1).keys()


def test_a_service_without_tasks_sends_no_count_of_them():
    measured = _Flow(step_seconds=1, task=TASK)
    measured.advance(1, 0, works=True)
    assert "RunningTaskCount" not in measured.measured(running=0)


def test_nothing_changes_with_the_number_of_pictures_but_their_number():
    small = simulate(constant(1e6), TASK, fixed(3))
    large = simulate(constant(1e9), TASK, fixed(3000))
    assert small.wait_seconds(0.95) == large.wait_seconds(0.95)
    assert large.backlog[-1] == pytest.approx(1000 * small.backlog[-1])


# Row 44 of docs/operate/faults.md: the template's own policies, in the simulator


def test_row_44_a_burst_of_3000_is_begun_within_four_minutes():
    seen = simulate(burst(3000), TASK, deployed())
    assert seen.wait_seconds(0.95) <= 240
    assert seen.peak_tasks <= 50
    assert seen.direction_changes <= 1
    assert seen.unstarted == 0


def test_row_44_a_sine_day_is_followed_without_flapping():
    seen = simulate(day(1_000_000), TASK, deployed(), tasks_at_start=3)
    needed = 1.8 * 1_000_000 / 86_400 / TASK.pictures_per_second
    assert seen.wait_seconds(0.95) <= 30
    assert seen.peak_tasks <= 2 * math.ceil(needed)
    assert seen.direction_changes <= 12


def test_row_44_one_picture_each_three_minutes_keeps_the_minimum():
    seen = simulate(every(180), TASK, deployed())
    assert seen.wait_seconds(0.95) == 0
    assert set(seen.desired) == {2}


def test_row_44_while_workers_are_stuck_none_is_taken_away():
    stuck = range(3600, 4200)
    arrivals = constant(500_000, seconds=4 * 3600)
    seen = simulate(arrivals, TASK, deployed(), tasks_at_start=2, stuck=stuck)
    meanwhile = seen.desired[stuck.start : stuck.stop]
    assert list(meanwhile) == sorted(meanwhile)
    assert seen.peak_tasks <= 50
    assert seen.direction_changes <= 1
    assert seen.wait_seconds(1) <= 15 * 60


def test_row_44_busy_workers_without_a_backlog_are_not_taken_away():
    """Scaling in never looks at what is visible alone: slots that are full hold it back."""
    full = constant(TASK.pictures_per_second * 4 * 0.95 * 86_400, seconds=2 * 3600)
    seen = simulate(full, TASK, deployed(), tasks_at_start=4)
    assert set(seen.desired) == {4}


# The template and the simulator


@pytest.fixture(scope="module")
def written_template() -> dict:
    return read_body(TEMPLATES / "workers.yaml")


def test_every_policy_of_the_template_is_simulated(written_template):
    resources = written_template["Resources"]
    always = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::ApplicationAutoScaling::ScalingPolicy"
        and resource["Properties"]["ScalingTargetId"] == {"Ref": "WorkerScaling"}
        and "Condition" not in resource
    ]
    scaling = deployed()
    assert len(scaling.policies) == len(always)
    (tracked,) = (one for one in scaling.policies if isinstance(one, TargetTracking))
    (declared,) = (
        one["TargetTrackingScalingPolicyConfiguration"]
        for one in always
        if one["PolicyType"] == "TargetTrackingScaling"
    )
    assert (tracked.target, tracked.out_cooldown_seconds, tracked.in_cooldown_seconds) == (
        float(declared["TargetValue"]),
        float(declared["ScaleOutCooldown"]),
        float(declared["ScaleInCooldown"]),
    )
    parameters = written_template["Parameters"]
    assert scaling.minimum == parameters["WorkerMinTasks"]["Default"]
    assert scaling.maximum == parameters["WorkerMaxTasks"]["Default"]


def test_a_fleet_that_may_sleep_has_one_policy_more():
    assert len(deployed(WorkerMinTasks="0").policies) == len(deployed().policies) + 1


def test_a_fleet_that_sleeps_wakes_for_the_first_picture():
    seen = simulate(every(1800, seconds=3600), TASK, deployed(WorkerMinTasks="0"), tasks_at_start=0)
    assert seen.unstarted == 0
    assert seen.peak_tasks >= 1


def test_a_parameter_that_the_template_has_not_is_refused():
    with pytest.raises(InvalidTemplate, match="no parameter Nonsense"):
        deployed(Nonsense="1")


# What it costs


def test_each_part_of_the_cost_is_its_price_times_its_use():
    prices = Prices.load()
    cost = cost_of(
        prices=prices,
        use=PictureUse(),
        size=TaskSize(vcpus=2, memory_gb=4),
        per_day=1_000_000,
        on_demand_tasks=3,
        spot_tasks=0,
    )
    assert cost.parts["S3 PUT"] == pytest.approx(5 * 0.005 / 1000)
    hourly = 2 * prices.fargate_arm64.vcpu_hour + 4 * prices.fargate_arm64.gb_hour
    assert cost.parts["Fargate"] == pytest.approx(3 * 24 * hourly / 1_000_000)
    assert cost.per_picture == pytest.approx(sum(cost.parts.values()))
    assert cost.per_month == pytest.approx(cost.per_picture * 1e6 * 365.25 / 12)


def test_looking_for_faces_with_rekognition_costs_a_dollar_for_a_thousand_pictures():
    task = Task(seconds_per_picture=0.46, slots=2)
    costs = [
        plan(constant(1_000_000), task, parameters={"Faces": faces}).cost
        for faces in ("off", "rekognition")
    ]
    assert "Rekognition" not in costs[0].parts
    assert costs[1].parts["Rekognition"] == pytest.approx(0.001)
    assert costs[1].per_picture - costs[0].per_picture == pytest.approx(0.001)


def test_a_million_a_day_costs_no_more_than_the_goal():
    made = plan(constant(1_000_000), Task(seconds_per_picture=0.46, slots=2), parameters={})
    unit = Prices.load().requests.dynamodb_write_unit / 1_000_000
    two_tags = 2 * PictureUse().dynamodb_write_units_of_a_tag * unit
    assert made.cost.per_picture + two_tags <= GOAL_DOLLARS  # with Spot, as the template deploys
    assert made.cost_on_demand.per_picture <= GOAL_DOLLARS
    assert made.cost.per_picture < made.cost_on_demand.per_picture
    (warning,) = made.warnings  # renders at their maximum need more than a new account has
    assert warning.startswith("Fargate vCPUs on Spot of an account: 10 of 6")


def test_vcpus_are_counted_on_demand_and_on_spot_apart() -> None:
    """A new account has six of each; the template keeps two workers of two vCPUs on demand."""
    none = {"RendersSpot": "false", "RendersMaxTasks": "1", "RendersCpu": "512"}
    made = plan(constant(5_000_000), Task(seconds_per_picture=0.46, slots=2), parameters=none)
    used = {quota.name: quota.used for quota in made.quotas}
    peak = made.simulation.peak_tasks
    assert used["Fargate vCPUs on demand of an account"] == 2 * 2 + 0.5
    assert used["Fargate vCPUs on Spot of an account"] == (peak - 2) * 2 > 6
    assert used["tasks of one ECS service"] == peak
    assert any("vCPUs on Spot" in warning for warning in made.warnings)


@pytest.mark.parametrize(
    ("spot", "kind"), [("true", "on Spot"), ("false", "on demand")], ids=["spot", "on demand"]
)
def test_the_vcpus_of_an_account_are_also_for_renders(spot: str, kind: str) -> None:
    """At the highest count that renders may have, whatever uploads take."""
    task = Task(seconds_per_picture=0.46, slots=2)

    def used(most: str) -> float:
        parameters = {"RendersSpot": spot, "RendersMaxTasks": most, "RendersCpu": "4096"}
        made = plan(constant(1_000_000), task, parameters=parameters)
        quotas = {quota.name: quota.used for quota in made.quotas}
        return quotas[f"Fargate vCPUs {kind} of an account"]

    assert used("5") - used("1") == 4 * 4


@pytest.mark.parametrize(("spot", "share"), [("true", 0.4), ("false", 1)])
def test_the_tasks_of_renders_are_priced_beside_the_pictures(spot: str, share: float) -> None:
    parameters = {"RendersSpot": spot, "RendersMinTasks": "2"}
    made = plan(constant(1_000_000), Task(seconds_per_picture=0.46, slots=2), parameters=parameters)
    fargate = made.cost.prices.fargate_arm64
    hourly = 2 * (2 * fargate.vcpu_hour + 4 * fargate.gb_hour)
    assert made.renders_per_month == pytest.approx(hourly * 730.5 * share)
    assert (
        made.cost.parts["Fargate"]
        == plan(
            constant(1_000_000), Task(seconds_per_picture=0.46, slots=2), parameters={}
        ).cost.parts["Fargate"]
    )


def test_what_is_played_has_the_slots_that_are_deployed() -> None:
    task = Task(seconds_per_picture=0.46, slots=2)
    of_parameter = plan(constant(1_000_000), task, parameters={"WorkerSlots": "4"})
    assert of_parameter.task.slots == 4
    (told,) = (one for one in of_parameter.warnings if "slots" in one)
    assert told.startswith("4 slots share 2 vCPUs")
    wide = plan(constant(1e6), task, parameters={"WorkerSlots": "4", "WorkerCpu": "4096"})
    assert not any("slots" in warning for warning in wide.warnings)


def warned(task: Task, **parameters: str) -> list[str]:
    made = plan(burst(10, per_day=1000), task, parameters=parameters)
    return [one for one in made.warnings if "before another task can help" in one]


def test_a_backlog_that_is_gone_before_another_task_can_help_is_warned_of():
    slow = replace(TASK, start_up_seconds=120)
    (told,) = warned(slow)
    assert told.startswith("a task finishes its AcceptableBacklog of 480 pictures in 120 s")
    assert "Set WantedWaitSeconds=180 AcceptableBacklog=720 or more" in told
    assert not warned(slow, WantedWaitSeconds="180")
    assert not warned(TASK)
    assert warned(TASK, AcceptableBacklog="120")


def test_a_large_backlog_is_printed_as_a_number_that_can_be_deployed():
    small = ("--shape", "burst", "--burst", "10", "--per-day", "1000")
    out = run(*small, "--slots", "256", "--seconds-per-picture", "0.01")[1]
    assert "AcceptableBacklog=3072000 " in out


def test_what_is_needed_is_the_pictures_time_in_slots():
    made = plan(burst(300), TASK, parameters={})
    assert made.needed_task_seconds == 300 * 0.5 / 2
    assert made.simulation.task_seconds == 2 * 3600


# The command


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["capacity", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_thousand_million_a_day_takes_seconds_and_tells_every_limit_that_it_meets():
    started = time.process_time()
    code, out, _ = run("--per-day", "1e9", "--parameter", "WorkerMaxTasks=9000", "--json")
    assert time.process_time() - started < 20
    told = json.loads(out)
    assert code == 0
    assert told["tasks"]["average"] > 2000
    near = {one["name"].partition(" ")[0] for one in told["quotas"] if one["near"]}
    assert near >= {"S3", "DynamoDB"}


@pytest.mark.parametrize("page", ["README.md", "docs/operate/operating.md"])
def test_what_the_documents_tell_of_the_cost_is_what_the_command_tells(page):
    told = json.loads(run("--json")[1])
    text = (ROOT / page).read_text()
    assert f"${told['dollarsPerPicture']['onDemand']:.7f}" in text
    assert f"${told['dollarsPerMonth']:,.0f}" in text
    if page == "docs/operate/operating.md":
        for part, dollars in told["dollarsPerPicture"]["parts"].items():
            assert f"| {part} | ${dollars:.7f} |" in text


def test_a_fleet_that_is_too_small_is_told():
    code, out, _ = run("--per-day", "1e8", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["waitSeconds"]["p95"] is None
    assert any("WorkerMaxTasks" in warning for warning in told["warnings"])


def test_people_are_told_the_cost_by_its_parts():
    _, out, _ = run()
    for part in ("S3 PUT", "DynamoDB writes", "Fargate", "per picture", "AcceptableBacklog"):
        assert part in out
    assert "task-seconds, paid / needed │ 259,200 / 230,000" in out


def test_the_cost_of_a_burst_is_that_of_a_month_of_such_hours():
    _, out, _ = run("--shape", "burst")
    words = " ".join(out.split())
    assert words.count("per month of such hours") == 2
    assert "per month at least" in words  # renders, which run all the time
    _, out, _ = run()
    assert "month of such" not in out


def test_a_short_span_is_told_in_seconds(tmp_path):
    path = tmp_path / "arrivals.csv"
    path.write_text("seconds,pictures\n0,100\n60,0\n")
    _, out, _ = run("--arrivals", str(path))
    assert "100 in 60 s" in out
    assert "per month of such 60 s" in " ".join(out.split())


def test_the_chart_is_a_picture_of_backlog_and_tasks(tmp_path):
    path = tmp_path / "chart.svg"
    assert run("--shape", "burst", "--per-day", "1000", "--chart", str(path))[0] == 0
    drawn = ET.fromstring(path.read_text())  # noqa: S314 - our own
    lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4
    assert all(len(line.get("points", "").split()) > 100 for line in lines)
    texts = [text.text for text in drawn.findall("{http://www.w3.org/2000/svg}text")]
    assert {"backlog", "tasks", "wanted", "running"} <= set(texts)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--per-day", "-5"], "--per-day: "),
        (["--per-day", "0"], "--per-day: "),
        (["--per-day", "nan"], "--per-day: "),
        (["--seconds-per-picture", "inf"], "--seconds-per-picture: "),
        (["--slots", "0"], "--slots: "),
        (["--start-up-seconds", "-1"], "--start-up-seconds: "),
        (["--metric-delay-seconds", "181"], "--metric-delay-seconds: "),
        (["--parameter", "WantedWaitSeconds=119"], "WantedWaitSeconds must be a number of 120"),
        (["--parameter", "WorkerMaxTasks"], "--parameter: must be NAME=VALUE"),
        (["--parameter", "Nonsense=1"], "no parameter Nonsense"),
        (["--parameter", "WorkerMaxTasks=many"], "WorkerMaxTasks"),
        (["--arrivals", "nowhere.csv"], "nowhere.csv: cannot be read: No such file or directory"),
        (["--shape", "burst", "--burst-seconds", "86400"], "does not fit"),
        (["--chart", "nowhere/chart.svg"], "nowhere/chart.svg"),
    ],
)
def test_what_makes_no_sense_is_told_and_ends_with_2(arguments, said):
    code, _, err = run(*arguments)
    assert code == 2, err
    assert said in err
