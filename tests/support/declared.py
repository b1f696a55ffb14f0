"""Lists the series that can exist, from the code's declarations and from the recording rules."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics import MetricWrapperBase

from api.metrics import ApiMetrics, DeliveryMetrics, SearchMetrics, WatchMetrics
from safelight.errors import Reason
from safelight.metrics import FaceMetrics, ProcessMetrics
from worker.cleanup.metrics import CleanupMetrics
from worker.metrics import WorkerMetrics
from worker.verdict import DEAD_LETTER_CAUSES

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = ("recording.yml", "alerts.yml")
SCRAPED = frozenset({"job", "instance"})
"""Labels that Prometheus adds to every series that it scrapes."""
OF_PROMETHEUS = {"up": SCRAPED, "ALERTS": frozenset({"alertname", "alertstate", "severity"})}
OF_THE_PROCESS = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds")
VALUES: Mapping[tuple[str, str], frozenset[str]] = {
    ("safelight_image_rejections_total", "reason"): frozenset(map(str, Reason)),
    ("safelight_messages_buried_total", "cause"): frozenset(DEAD_LETTER_CAUSES),
}
"""Values of a metric's label, where the code declares a closed set."""


@dataclass(frozen=True)
class Series:
    """The labels of a metric, and their values where these are known."""

    labels: frozenset[str]
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)


def declared() -> dict[str, Series]:
    """Return every series by name, as api and worker declare them."""
    registry = CollectorRegistry()
    owners = (
        ProcessMetrics(registry, service="test"),
        FaceMetrics(registry),
        ApiMetrics(registry),
        DeliveryMetrics(registry),
        WatchMetrics(registry),
        SearchMetrics(registry),
        WorkerMetrics(registry),
        CleanupMetrics(CollectorRegistry()),
    )
    found = {name: Series(labels) for name, labels in OF_PROMETHEUS.items()}
    found |= {name: Series(SCRAPED) for name in OF_THE_PROCESS}
    found["safelight_build_info"] = Series(SCRAPED | {"service", "version"})
    for owner in owners:
        for metric in vars(owner).values():
            if isinstance(metric, MetricWrapperBase):
                found |= _series(metric)
    return found


def _series(metric: MetricWrapperBase) -> dict[str, Series]:
    name, labels = str(metric._name), SCRAPED | set(metric._labelnames)
    values = {label: VALUES[name, label] for label in labels if (name, label) in VALUES}
    if metric._type == "counter":
        name += "_total"
        values = {label: VALUES[name, label] for label in labels if (name, label) in VALUES}
    if not isinstance(metric, Histogram):
        return {name: Series(labels, values)}
    bounds = frozenset(  # as a scrape writes them, and as a collector does
        spelt
        for bound in metric._upper_bounds
        for spelt in (("+Inf",) if bound == math.inf else (str(float(bound)), f"{bound:g}"))
    )
    return {
        f"{name}_bucket": Series(labels | {"le"}, {**values, "le": bounds}),
        f"{name}_sum": Series(labels, values),
        f"{name}_count": Series(labels, values),
    }


def rules(kind: str) -> list[dict[str, Any]]:
    """Read all rules of a kind: `record` or `alert`."""
    return [
        rule
        for name in RULES
        for group in yaml.safe_load((PROMETHEUS / name).read_text())["groups"]
        for rule in group["rules"]
        if kind in rule
    ]


def recorded() -> dict[str, Series]:
    """Return the series of the recording rules, with the labels that their expressions keep."""
    return {
        rule["record"]: Series(labels_left(promql.parse(rule["expr"]))) for rule in rules("record")
    }


def known() -> dict[str, Series]:
    """Return every series that an expression may name."""
    return declared() | recorded()


def labels_left(node: Any) -> frozenset[str]:
    """Find the labels of an expression's result, where it aggregates by labels; else none."""
    match node:
        case promql.AggregateExpr():
            return frozenset(node.modifier.labels) if node.modifier else frozenset()
        case promql.BinaryExpr():
            return labels_left(node.lhs) | labels_left(node.rhs)
        case promql.ParenExpr():
            return labels_left(node.expr)
        case promql.Call():
            left = frozenset[str]().union(*(labels_left(one) for one in node.args))
            return left - {"le"} if node.func.name == "histogram_quantile" else left
    return frozenset()


def faults(expression: str, series: Mapping[str, Series]) -> Iterator[str]:
    """Yield the metrics and labels of an expression that do not exist."""
    yield from _faults(promql.parse(expression), series)


def _faults(node: Any, series: Mapping[str, Series]) -> Iterator[str]:
    if isinstance(node, promql.MatrixSelector):
        node = node.vector_selector
    if isinstance(node, promql.VectorSelector):
        yield from _unmatched(node, series)
    if isinstance(node, promql.AggregateExpr) and node.modifier:
        there = frozenset[str]().union(
            *(series[name].labels for name in names(node.expr) & series.keys())
        )
        for label in set(node.modifier.labels) - there:
            yield f"no metric in {node.expr.prettify()} has the label {label}"
    for child in _children(node):
        yield from _faults(child, series)


def _unmatched(selector: Any, series: Mapping[str, Series]) -> Iterator[str]:
    if selector.name not in series:
        yield f"there is no metric {selector.name}"
        return
    there = series[selector.name]
    for matcher in selector.matchers.matchers:
        if matcher.name not in there.labels:
            yield f"{selector.name} has no label {matcher.name}"
        wanted = set(matcher.value.split("|"))
        if matcher.name in there.values and not wanted <= there.values[matcher.name]:
            yield f"{selector.name} is never {matcher.name}={matcher.value}"


def names(node: Any) -> set[str]:
    """Find every metric that an expression names."""
    if isinstance(node, promql.MatrixSelector):
        node = node.vector_selector
    found = {str(node.name)} if isinstance(node, promql.VectorSelector) else set()
    return found.union(*(names(child) for child in _children(node)))


def _children(node: Any) -> list[Any]:
    match node:
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.Call():
            return list(node.args)
        case (
            promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr()
        ):
            return [node.expr]
    return []
