"""How workers scale, as deploy/ecs/workers.yaml says it: the expressions evaluated, the numbers
held, the whole of it accepted by an API that checks it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from ops.capacity.metricmath import Metric
from ops.capacity.simulator import Task
from tests.support.templates import Resolved, read

B, SLOTS, MINIMUM, WAIT = 480, 2, 2, 120


def evaluated(queries: list[dict[str, Any]], **points: float | None) -> float | None:
    """Work metric math out for one minute; a metric without a point there is None.

    `m2_before` is the point that the second metric had a minute before.
    """
    before = {"m2": points.pop("m2_before", None)}
    names = {
        query["Id"]: query["MetricStat"]["Metric"]["MetricName"]
        for query in queries
        if "MetricStat" in query
    }
    minutes = [
        {
            names[line]: value
            for line, value in minute.items()
            if line in names and value is not None
        }
        for minute in (before, points)
    ]
    return Metric.read(queries).series(minutes)[-1]


@pytest.fixture(scope="module")
def workers() -> Resolved:
    return Resolved("workers")


@pytest.fixture(scope="module")
def from_zero() -> Resolved:
    return Resolved("workers", WorkerMinTasks=0)


def tracking(workers: Resolved) -> Any:
    return workers.properties("WorkerTracking")["TargetTrackingScalingPolicyConfiguration"]


def load(workers: Resolved, **points: float | None) -> float | None:
    metrics = tracking(workers)["CustomizedMetricSpecification"]["Metrics"]
    return evaluated(metrics, **{"m1": 0, "m3": 0, **points})


def test_the_declared_numbers_are_the_formula(workers: Resolved) -> None:
    """B = L x C / S: the seconds a picture takes are what is left, and must make sense."""
    declared = {
        "L": workers.value({"Ref": "WantedWaitSeconds"}),
        "C": workers.value({"Ref": "WorkerSlots"}),
        "B": workers.value({"Ref": "AcceptableBacklog"}),
    }
    assert declared == {"L": WAIT, "C": SLOTS, "B": B}
    assert 0.1 <= WAIT * SLOTS / B <= 2
    vcpus = workers.value({"Ref": "WorkerCpu"}) / 1024
    assert vcpus == SLOTS


def test_no_wanted_wait_is_shorter_than_it_takes_until_another_task_can_help() -> None:
    declared = read("workers")["Parameters"]["WantedWaitSeconds"]
    answer = Task(seconds_per_picture=1, slots=1).answer_seconds
    assert declared["MinValue"] == declared["Default"] == answer == 120
    assert "metrics come a minute late and a task starts" in declared["Description"]


def test_a_quarter_of_the_acceptable_backlog_is_the_target(workers: Resolved) -> None:
    assert tracking(workers)["TargetValue"] == 0.25
    assert load(workers, m1=10 * B / 4, m2=10) == 0.25
    assert load(workers, m1=10 * B, m2=10) == 1


def test_without_tasks_the_backlog_still_counts(from_zero: Resolved) -> None:
    assert load(from_zero, m1=B, m2=0) == 1
    assert load(from_zero, m1=B, m2=None) == 1  # the metric is not sent for a service without tasks


def test_a_late_count_of_tasks_is_the_last_one(workers: Resolved) -> None:
    assert load(workers, m1=10 * B, m2=None, m2_before=10) == 1


def test_a_count_of_tasks_that_never_comes_is_the_minimum(workers: Resolved) -> None:
    assert load(workers, m1=MINIMUM * B, m2=None) == 1


def test_full_slots_hold_the_tasks_though_nothing_waits(workers: Resolved) -> None:
    assert load(workers, m2=10, m3=10 * SLOTS) == 0.25


def test_half_full_slots_let_tasks_go(workers: Resolved) -> None:
    assert load(workers, m2=10, m3=10 * SLOTS / 2) == 0.125
    assert load(workers, m2=10, m3=0) == 0
    assert load(workers, m2=10, m3=None) == 0  # SQS reports only a number above 0


def test_what_is_in_flight_never_scales_out(workers: Resolved) -> None:
    """Held messages are in flight by the thousand while a service is down."""
    assert load(workers, m2=10, m3=100_000) == 0.25


def test_a_burst_is_answered_after_one_data_point(workers: Resolved) -> None:
    alarm = workers.properties("WorkerBurstAlarm")
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (1, 1)
    assert {q["MetricStat"]["Period"] for q in alarm["Metrics"] if "MetricStat" in q} == {60}
    assert alarm["AlarmActions"] == ["<WorkerBurst>"]
    assert evaluated(alarm["Metrics"], m1=2 * B, m2=2) == alarm["Threshold"] == 1


def added(policy: Any, over_threshold: float) -> int:
    for step in policy["StepScalingPolicyConfiguration"]["StepAdjustments"]:
        low = step["MetricIntervalLowerBound"]
        if low <= over_threshold < step.get("MetricIntervalUpperBound", float("inf")):
            return int(step["ScalingAdjustment"])
    raise AssertionError(f"no step for {over_threshold}")


@pytest.mark.parametrize(
    ("backlog", "percent"), [(1, 50), (1.9, 50), (2, 100), (3.9, 100), (4, 200), (500, 200)]
)
def test_the_more_waits_the_more_tasks_start(
    workers: Resolved, backlog: float, percent: int
) -> None:
    assert added(workers.properties("WorkerBurst"), backlog - 1) == percent


def test_steps_only_ever_add(workers: Resolved, from_zero: Resolved) -> None:
    """Scaling in is target tracking's alone: two policies never pull in two directions."""
    for template in (workers, from_zero):
        policies = template.of_type("AWS::ApplicationAutoScaling::ScalingPolicy").values()
        steps = [
            one
            for one in policies
            if one["PolicyType"] == "StepScaling" and one["ScalingTargetId"] == "<WorkerScaling>"
        ]
        assert len(steps) >= 2
        for policy in steps:
            configuration = policy["StepScalingPolicyConfiguration"]
            assert all(one["ScalingAdjustment"] > 0 for one in configuration["StepAdjustments"])


def test_old_messages_start_tasks_if_any_wait(workers: Resolved) -> None:
    alarm = workers.properties("WorkerAgeAlarm")
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"] == 2
    assert evaluated(alarm["Metrics"], m1=1, m4=2 * WAIT) == alarm["Threshold"] == 2
    assert evaluated(alarm["Metrics"], m1=0, m4=3600) == 0
    assert added(workers.properties("WorkerAge"), 10) == 50


def test_the_first_message_wakes_the_first_task(from_zero: Resolved) -> None:
    alarm = from_zero.properties("WorkerWakeAlarm")
    assert evaluated(alarm["Metrics"], m1=1, m2=None) == alarm["Threshold"] == 1
    assert evaluated(alarm["Metrics"], m1=1, m2=0) == 1
    assert evaluated(alarm["Metrics"], m1=1000, m2=1) == 0
    assert evaluated(alarm["Metrics"], m1=1000, m2=None, m2_before=1) == 0


def test_with_a_minimum_nothing_wakes(workers: Resolved) -> None:
    assert "WorkerWake" not in workers.resources


def test_missing_data_never_starts_tasks(workers: Resolved, from_zero: Resolved) -> None:
    for template in (workers, from_zero):
        for name, alarm in template.of_type("AWS::CloudWatch::Alarm").items():
            assert alarm["TreatMissingData"] == "notBreaching", name
            if "Metrics" in alarm:
                assert evaluated(alarm["Metrics"], m1=None, m2=2, m4=None) is None, name


def test_spot_begins_above_what_is_on_demand(workers: Resolved) -> None:
    assert workers.properties("Worker")["CapacityProviderStrategy"] == [
        {"CapacityProvider": "FARGATE", "Base": 2, "Weight": 0},
        {"CapacityProvider": "FARGATE_SPOT", "Weight": 1},
    ]
    without = Resolved("workers", WorkerSpot="false")
    assert without.properties("Worker")["CapacityProviderStrategy"] == [
        {"CapacityProvider": "FARGATE", "Weight": 1}
    ]


# Renders on demand


def test_renders_scale_between_one_task_and_four_on_their_own_queue(workers: Resolved) -> None:
    target = workers.properties("RendersScaling")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert read("workers")["Parameters"]["RendersMinTasks"]["MinValue"] == 1
    policies = {
        name: one
        for name, one in workers.of_type("AWS::ApplicationAutoScaling::ScalingPolicy").items()
        if one["ScalingTargetId"] == "<RendersScaling>"
    }
    assert {one["PolicyType"] for one in policies.values()} == {"StepScaling"}
    alarms = [
        json.dumps(one)
        for one in workers.of_type("AWS::CloudWatch::Alarm").values()
        if one["AlarmActions"][0].strip("<>") in policies
    ]
    assert len(alarms) == len(policies) == 2
    for alarm in alarms:
        assert set(re.findall(r"-(\w+Queue)Name>", alarm)) == {"RendersQueue"}


@pytest.mark.parametrize(("waiting", "tasks"), [(30, 1), (299, 1), (300, 2), (10_000, 2)])
def test_the_more_renders_wait_the_more_tasks_start(
    workers: Resolved, waiting: float, tasks: int
) -> None:
    alarm, policy = (workers.properties(name) for name in ("RendersOutAlarm", "RendersOut"))
    assert alarm["AlarmActions"] == ["<RendersOut>"]
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert policy["StepScalingPolicyConfiguration"]["AdjustmentType"] == "ChangeInCapacity"
    assert added(policy, waiting - alarm["Threshold"]) == tasks


def test_renders_return_to_their_minimum_when_the_queue_was_empty_for_a_quarter_hour() -> None:
    workers = Resolved("workers", RendersMinTasks=3)
    alarm = workers.properties("RendersInAlarm")
    assert alarm["EvaluationPeriods"] == alarm["DatapointsToAlarm"] == 15
    assert {q["MetricStat"]["Period"] for q in alarm["Metrics"] if "MetricStat" in q} == {60}
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["AlarmActions"] == ["<RendersIn>"]
    steps = workers.properties("RendersIn")["StepScalingPolicyConfiguration"]
    assert steps["AdjustmentType"] == "ExactCapacity"
    assert steps["StepAdjustments"] == [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": 3}]


@pytest.mark.parametrize(
    ("visible", "in_flight", "held"),
    [(0, 0, 0), (0, None, 0), (0, 2, 2), (5, 0, 5), (None, 0, None)],
)
def test_a_queue_with_a_render_in_flight_is_not_empty_nor_is_one_without_data(
    workers: Resolved, visible: float | None, in_flight: float | None, held: float | None
) -> None:
    metrics = workers.properties("RendersInAlarm")["Metrics"]
    assert evaluated(metrics, m1=visible, m2=in_flight) == held


def test_renders_are_on_spot_unless_told_otherwise(workers: Resolved) -> None:
    assert workers.properties("Renders")["CapacityProviderStrategy"] == [
        {"CapacityProvider": "FARGATE_SPOT", "Weight": 1}
    ]
    without = Resolved("workers", RendersSpot="false")
    assert without.properties("Renders")["CapacityProviderStrategy"] == [
        {"CapacityProvider": "FARGATE", "Weight": 1}
    ]


def test_a_stack_update_leaves_the_count_to_scaling() -> None:
    for template in ("web", "workers"):
        for name, service in Resolved(template).of_type("AWS::ECS::Service").items():
            assert "DesiredCount" not in service, name


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.Session(
        aws_access_key_id="any", aws_secret_access_key="any", region_name="eu-central-1"
    )
    yield {
        service: session.client(
            service, endpoint_url=f"http://{host}:{port}", config=Config(proxies={})
        )
        for service in ("ecs", "application-autoscaling", "cloudwatch")
    }
    server.stop()


@pytest.mark.parametrize(
    ("name", "parameters", "policies"),
    [("web", {}, 2), ("workers", {}, 5), ("workers", {"WorkerMinTasks": 0}, 6)],
)
def test_the_scaling_apis_take_it_all(
    moto: dict[str, Any], name: str, parameters: dict[str, Any], policies: int
) -> None:
    template = Resolved(name, **parameters)
    ecs, scaling, cloudwatch = moto.values()
    ecs.register_task_definition(
        family="any", containerDefinitions=[{"name": "any", "image": "any", "memory": 128}]
    )
    arns: dict[str, str] = {}
    targets = template.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    for target in targets.values():
        _, cluster, service = target["ResourceId"].split("/")
        ecs.create_cluster(clusterName=cluster)
        ecs.create_service(
            cluster=cluster, serviceName=service, taskDefinition="any", desiredCount=2
        )
        scaling.register_scalable_target(**target)
    for key, policy in template.of_type("AWS::ApplicationAutoScaling::ScalingPolicy").items():
        target = targets[policy["ScalingTargetId"].strip("<>")]
        answer = scaling.put_scaling_policy(
            PolicyName=policy["PolicyName"],
            PolicyType=policy["PolicyType"],
            **{one: target[one] for one in ("ServiceNamespace", "ResourceId", "ScalableDimension")},
            **{one: how for one, how in policy.items() if one.endswith("PolicyConfiguration")},
        )
        arns[f"<{key}>"] = answer["PolicyARN"]
    for key, alarm in template.of_type("AWS::CloudWatch::Alarm").items():
        actions = [arns[one] for one in alarm.pop("AlarmActions")]
        cloudwatch.put_metric_alarm(AlarmName=key, AlarmActions=actions, **alarm)
    kept = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert {one["PolicyARN"] for one in kept} >= set(arns.values())
    assert len(arns) == policies
