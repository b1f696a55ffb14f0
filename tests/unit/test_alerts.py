"""deploy/prometheus: every expression asks for what the code measures, every alert fires and is
silent when it should, and has a runbook."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from ops.__main__ import app
from ops.cloudformation import Template
from tests.support.declared import PROMETHEUS, ROOT, Series, faults, known, rules
from tests.support.templates import Resolved
from tools.dashboards import dashboards
from worker.breaker import LOCAL, NOT_NEEDED_TO_SETTLE

ALERTS, RECORDED = rules("alert"), rules("record")
EXPRESSIONS = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in ALERTS + RECORDED]
RUNBOOKS = ROOT / "docs" / "operate" / "runbooks"
NAMES = sorted({rule["alert"] for rule in ALERTS})


def alert(name: str) -> dict[str, Any]:
    return next(rule for rule in ALERTS if rule["alert"] == name)


def page_of(name: str) -> Path:
    return RUNBOOKS / (re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower() + ".md")


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_every_expression_asks_for_what_is_measured(name: str, expression: str) -> None:
    assert list(faults(expression, known())) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sum(rate(safelight_image_total[5m]))", "no metric safelight_image_total"),
        ('safelight_slots{pool="a"}', "safelight_slots has no label pool"),
        ('safelight_image_rejections_total{reason="ugly"}', "never reason=ugly"),
        ('safelight_messages_buried_total{cause="forged"}', "never cause=forged"),
        ('safelight_queue_dwell_seconds_bucket{le="61"}', "never le=61"),
        ("sum by (preset) (safelight_slots)", "has the label preset"),
        ("safelight:nothing:ratio5m > 1", "no metric safelight:nothing:ratio5m"),
    ],
)
def test_an_expression_that_asks_for_what_is_not_there_is_found(expression: str, said: str) -> None:
    assert said in "; ".join(faults(expression, known()))


def test_a_metric_that_loses_its_name_is_found() -> None:
    series: dict[str, Series] = known()
    del series["safelight_queue_visible"]
    broken = {name for name, expression in EXPRESSIONS if list(faults(expression, series))}
    assert {"Stalled", "ScalerBlind", "safelight:backlog_per_task:max"} <= broken


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    assert ROOT / rule["annotations"]["runbook"] == page_of(rule["alert"])
    assert page_of(rule["alert"]).exists()


def test_there_is_no_runbook_without_its_alert() -> None:
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert pages == {page_of(name).name for name in NAMES}


def test_the_list_of_runbooks_has_every_alert() -> None:
    listed = re.findall(
        r"^\| \[(\w+)\]\(([a-z-]+\.md)\)", (RUNBOOKS / "README.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == [(name, page_of(name).name) for name in NAMES]


@cache
def promtools_tests() -> list[dict[str, Any]]:
    return [
        one
        for path in PROMETHEUS.glob("*.test.yml")
        for one in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["tests"]
    ]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_test_in_which_it_fires_and_one_in_which_it_is_silent(rule: Any) -> None:
    looked_at = {"alertname": rule["alert"], "alertstate": "firing"}
    looked_at |= {name: value for name, value in rule["labels"].items() if name == "window"}
    outcomes = [
        bool(asked["exp_samples"])
        for one in promtools_tests()
        for asked in one["promql_expr_test"]
        if {(m.name, m.value) for m in promql.parse(asked["expr"]).matchers.matchers}
        == set(looked_at.items())
    ]
    assert set(outcomes) == {False, True}


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("name", sorted(path.name for path in PROMETHEUS.glob("*.test.yml")))
def test_every_alert_fires_when_it_should_and_is_silent_when_it_should(name: str) -> None:
    run = promtool("test", "rules", name)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("name", ["prometheus.ecs.yml", "prometheus.compose.yml"])
def test_prometheus_takes_its_configuration(name: str) -> None:
    run = promtool("check", "config", name)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.needs("amtool")
def test_the_alertmanager_takes_its_configuration() -> None:
    run = subprocess.run(
        ["amtool", "check-config", "alertmanager.yml"],
        cwd=PROMETHEUS, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], cwd=PROMETHEUS, check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_a_bucket_is_asked_for_in_both_spellings(name: str, expression: str) -> None:
    """A scrape says le="60.0"; what a collector writes says le="60", and would match nothing."""
    for asked in re.findall(r'le=~?"([^"]+)"', expression):
        bounds = {float(bound) for bound in asked.split("|")}
        assert len(bounds) == 1
        assert set(asked.split("|")) == {spelt for b in bounds for spelt in (str(b), f"{b:g}")}


def test_breaker_open_is_of_what_all_workers_need() -> None:
    (asked,) = re.findall(r'dependency!~"([^"]+)"', alert("BreakerOpen")["expr"])
    assert set(asked.split("|")) == NOT_NEEDED_TO_SETTLE | LOCAL
    (asked,) = re.findall(r'dependency=~"([^"]+)"', alert("WorkerStuck")["expr"])
    assert set(asked.split("|")) == LOCAL


def test_what_the_alertmanager_silences_are_alerts() -> None:
    config = (PROMETHEUS / "alertmanager.yml").read_text()
    named = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b|Stalled", config)) - {"NaN"}
    assert named <= set(NAMES)


@pytest.mark.needs("promtool")
def test_prometheus_takes_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    """Ours is another parser: Prometheus's own must agree."""
    expressions = [
        expr for page in dashboards() for one in page.panels for expr in one.lines.values()
    ]
    rules = [{"record": f"line:{number}", "expr": e} for number, e in enumerate(expressions)]
    path = tmp_path / "lines.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "lines", "rules": rules}]}))
    run = promtool("check", "rules", str(path))
    assert run.returncode == 0, run.stdout + run.stderr


def test_an_alert_about_one_queue_silences_no_alert_about_another() -> None:
    rules = yaml.safe_load((PROMETHEUS / "alertmanager.yml").read_text())["inhibit_rules"]
    causes = [rule for rule in rules if "alertname" not in rule.get("equal", [])]
    assert causes
    for rule in causes:
        of_one_job = any(re.fullmatch('job="[a-z]+"', one) for one in rule["source_matchers"])
        assert rule.get("equal") == ["job"] or of_one_job, rule


def test_no_expression_takes_two_queues_for_one() -> None:
    lines = [line for page in dashboards() for one in page.panels for line in one.lines.values()]
    runbooks = [path.read_text() for path in RUNBOOKS.glob("*.md")]
    for text in [expression for _, expression in EXPRESSIONS] + lines + runbooks:
        assert not re.findall(r"\b(?:max|sum|avg) ?\(safelight_queue_.*", text)


def test_the_tasks_on_ecs_are_found_under_the_names_that_are_scraped() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.ecs.yml").read_text())
    scraped = {
        name.partition(".")[0]: job["job_name"]
        for job in config["scrape_configs"]
        for found in job["dns_sd_configs"]
        for name in found["names"]
    }
    found = {
        properties["Name"]
        for template in ("web", "workers", "cleanup")
        for properties in Resolved(template, MetricsDiscovery="true")
        .of_type("AWS::ServiceDiscovery::Service")
        .values()
    }
    assert scraped == {name: name for name in found}


def test_both_configurations_scrape_the_same_jobs() -> None:
    for name in ("prometheus.ecs.yml", "prometheus.compose.yml"):
        config = yaml.safe_load((PROMETHEUS / name).read_text())
        assert [job["job_name"] for job in config["scrape_configs"]] == [
            "api",
            "delivery",
            "worker",
            "renders",
            "cleanup",
        ]
        assert config["rule_files"] == ["recording.yml", "alerts.yml"]


def test_the_alerts_numbers_are_those_of_the_template() -> None:
    parameters = Template.read("workers.yaml").parameters
    wait, backlog, most = (
        float(parameters[name])
        for name in ("WantedWaitSeconds", "AcceptableBacklog", "WorkerMaxTasks")
    )
    assert f"> {2 * wait:g}" in alert("QueueOld")["expr"]
    assert f">= {most:g}" in alert("AtMaxTasks")["expr"]
    assert f"> {backlog:g}" in alert("AtMaxTasks")["expr"]
    late = [rule for rule in ALERTS if rule["alert"] == "LateBudgetBurn"]
    assert {rule["labels"]["window"] for rule in late if _waits_for_the_scaler(rule, backlog)} == {
        rule["labels"]["window"] for rule in late if rule["labels"]["severity"] == "page"
    }


def _waits_for_the_scaler(rule: dict[str, Any], backlog: float) -> bool:
    limit = f'and on () safelight:backlog_per_task:max{{job="worker"}} > {backlog:g}\n'
    return limit in rule["expr"] and rule["for"] == "5m"


# Runbooks


MEANS = {"page": "wakes on-call", "ticket": "waits for the morning"}


def severity_of(name: str) -> str:
    """Say how severe an alert is, as its runbook does: with its windows, if it has any."""
    found: dict[str, list[str]] = {}
    for rule in ALERTS:
        if rule["alert"] == name:
            window = rule["labels"].get("window")
            found.setdefault(rule["labels"]["severity"], []).extend([window] if window else [])
    return "; ".join(
        f"**{severity}** ({MEANS[severity]})"
        + (f" for the windows {' and '.join(windows)}" if windows else "")
        for severity, windows in sorted(found.items())
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_begins_with_the_severity_and_a_link_to_the_rule(name: str) -> None:
    rule = f"`{name}` in [alerts.yml](../../../deploy/prometheus/alerts.yml)"
    begins = f"# {name}\n\nSeverity: {severity_of(name)}.\nRule: {rule}.\n"
    assert page_of(name).read_text().startswith(begins)
    short = ", ".join(re.findall(r"\*\*(\w+)\*\*", severity_of(name)))
    row = f"| [{name}]({page_of(name).name}) | {short} | "
    assert row in (RUNBOOKS / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_the_four_things(name: str) -> None:
    text = page_of(name).read_text()
    assert text.startswith(f"# {name}\n")
    for heading in ("## What it means", "## Look", "## Do", "## It is over when"):
        assert heading in text, heading


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_command_and_metric_in_a_runbook_is_there(path: Path) -> None:
    text = path.read_text()
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    for command in re.findall(r"\bsafelight ([a-z]+)", text):
        assert command in commands, command
    series = known()
    for expression in re.findall(r"^    promql: (.*)$", text, re.MULTILINE):
        assert list(faults(expression, series)) == [], expression
    for metric in re.findall(r"`(safelight_[a-z_]+)", text):
        assert {metric, f"{metric}_count"} & series.keys(), metric
    for event in re.findall(r'"event": "([a-z_]+)"', text):
        assert event in logged_events(), event


@cache
def logged_events() -> set[str]:
    """Every event that a log call of ours can name."""
    trees = (
        ast.parse(path.read_text())
        for folder in ("safelight", "worker", "api")
        for path in (ROOT / folder).rglob("*.py")
    )
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {str(call.args[0].value) for call in calls if call.args and _is_word(call.args[0])}


def _is_word(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
