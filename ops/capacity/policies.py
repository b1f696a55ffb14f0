"""Reads the workers' scaling from workers.yaml, so that the deployed policies are simulated."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.capacity.cost import TaskSize
from ops.capacity.metricmath import Metric
from ops.capacity.scaling import Policy, Scaling, Step, StepScaling, TargetTracking
from ops.cloudformation import Template

TEMPLATE = "workers.yaml"
TARGET = "WorkerScaling"


@dataclass(frozen=True, slots=True, kw_only=True)
class RendersService:
    """The size and bounds of the service that renders on demand. Its load is not simulated."""

    minimum: int
    maximum: int
    size: TaskSize
    on_spot: bool


def task_size(template: Template) -> TaskSize:
    """Read the size of a worker task for uploads."""
    return _size(template, "Worker")


def renders_of(template: Template) -> RendersService:
    """Read the bounds and the task size of the renders service."""
    parameters = template.parameters
    return RendersService(
        minimum=int(parameters["RendersMinTasks"]),
        maximum=int(parameters["RendersMaxTasks"]),
        size=_size(template, "Renders"),
        on_spot=parameters["RendersSpot"] == "true",
    )


def _size(template: Template, service: str) -> TaskSize:
    cpu, memory = (int(template.parameters[f"{service}{part}"]) for part in ("Cpu", "Memory"))
    return TaskSize(vcpus=cpu / 1024, memory_gb=memory / 1024)


def on_demand_tasks(template: Template) -> float:
    """Read the number of tasks that never run on Spot."""
    if template.parameters["WorkerSpot"] == "true":
        return float(template.parameters["WorkerOnDemandTasks"])
    return math.inf


def scaling_of(template: Template) -> Scaling:
    """Read the bounds and all policies of the workers' service."""
    target = template.resources("AWS::ApplicationAutoScaling::ScalableTarget")[TARGET]
    alarms = template.resources("AWS::CloudWatch::Alarm")
    policies = template.resources("AWS::ApplicationAutoScaling::ScalingPolicy")
    return Scaling(
        minimum=int(target["MinCapacity"]),
        maximum=int(target["MaxCapacity"]),
        policies=[
            _policy(name, policy, alarms)
            for name, policy in policies.items()
            if policy["ScalingTargetId"] == {"Ref": TARGET}
        ],
    )


def _policy(name: str, policy: Mapping[str, Any], alarms: Mapping[str, Any]) -> Policy:
    if policy["PolicyType"] == "TargetTrackingScaling":
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        return TargetTracking(
            metric=Metric.read(tracking["CustomizedMetricSpecification"]["Metrics"]),
            target=float(tracking["TargetValue"]),
            out_cooldown_seconds=float(tracking["ScaleOutCooldown"]),
            in_cooldown_seconds=float(tracking["ScaleInCooldown"]),
            scales_in=not tracking.get("DisableScaleIn", False),
        )
    steps = policy["StepScalingPolicyConfiguration"]
    (alarm,) = (one for one in alarms.values() if {"Ref": name} in one["AlarmActions"])
    return StepScaling(
        metric=Metric.read(alarm["Metrics"]),
        threshold=float(alarm["Threshold"]),
        above=alarm["ComparisonOperator"].startswith("GreaterThan"),
        datapoints=int(alarm["DatapointsToAlarm"]),
        cooldown_seconds=float(steps["Cooldown"]),
        percent=steps["AdjustmentType"] == "PercentChangeInCapacity",
        steps=[
            Step(
                lower=float(one.get("MetricIntervalLowerBound", -math.inf)),
                upper=float(one.get("MetricIntervalUpperBound", math.inf)),
                change=float(one["ScalingAdjustment"]),
            )
            for one in steps["StepAdjustments"]
        ],
        least=int(steps.get("MinAdjustmentMagnitude", 1)),
    )
