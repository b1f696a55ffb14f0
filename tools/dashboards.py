"""Writes the dashboards of deploy/grafana from the tables below, for `make dashboards`.

A panel has a title, a unit, and lines by legend. Tests check that the files are current, and that
every expression names metrics that the code declares.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.capacity.cost import PictureUse, Prices, cost_of
from ops.capacity.policies import task_size
from ops.cloudformation import Template

FOLDER = Path(__file__).parents[1] / "deploy" / "grafana" / "provisioning" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT, COLUMNS = 12, 8, 2


@dataclass(frozen=True)
class Panel:
    """One chart."""

    title: str
    unit: str
    lines: Mapping[str, str]
    """Expressions by legend; a legend may contain labels as {{label}}."""
    description: str = ""


@dataclass(frozen=True)
class Dashboard:
    """One page."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


WORKERS = 'job=~"worker|renders"'
"""Selector of the worker's two roles. Each has its own queue, so lines are drawn by job."""

LISTS = 'route="/v1/images",method="GET"'
EDITS = 'route="/v1/images/{imageId}",method="PATCH"'


def quantiles(metric: str, *shares: float) -> dict[str, str]:
    """Make a line for each quantile of a histogram over five minutes."""
    return {
        f"p{share * 100:g}": f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[5m])))"
        for share in shares
    }


def quantiles_by_job(metric: str, *shares: float) -> dict[str, str]:
    """Make a line for each job and quantile of a histogram over five minutes."""
    by = f"sum by (le, job) (rate({metric}_bucket[5m]))"
    return {
        f"{{{{job}}}} p{share * 100:g}": f"histogram_quantile({share}, {by})" for share in shares
    }


def quantile_by(metric: str, label: str, share: float = 0.95) -> dict[str, str]:
    """Make a line of one quantile for each value of a label."""
    by = f"sum by (le, {label}) (rate({metric}_bucket[5m]))"
    return {f"{{{{{label}}}}}": f"histogram_quantile({share}, {by})"}


def rate_by(metric: str, label: str) -> dict[str, str]:
    """Make a line of the rate for each value of a label."""
    return {f"{{{{{label}}}}}": f"sum by ({label}) (rate({metric}[5m]))"}


FLOW = Dashboard(
    "safelight-flow",
    "Safelight / flow",
    (
        Panel(
            "Pictures a second",
            "short",
            {
                "upload URLs": 'sum(rate(safelight_uploads_presigned_total{outcome="issued"}[5m]))',
                "messages received, {{job}}": "sum by (job)"
                " (rate(safelight_receive_messages_total[5m]))",
                "settled": "safelight:settled:rate5m",
            },
        ),
        Panel("What came of them, a second", "short", rate_by("safelight_images_total", "outcome")),
        Panel(
            "Backlog",
            "short",
            {
                "{{job}} waiting": "max by (job) (safelight_queue_visible)",
                "{{job}} in flight": "max by (job) (safelight_queue_in_flight)",
                "dead letters": "max(safelight_dead_letters)",
            },
        ),
        Panel(
            "Oldest message held",
            "s",
            {"{{job}}": "max by (job) (safelight_queue_oldest_age_seconds)"},
        ),
        Panel(
            "Wait in the queue",
            "s",
            quantiles_by_job("safelight_queue_dwell_seconds", 0.5, 0.95, 0.99),
        ),
        Panel(
            "From the event to settled",
            "s",
            quantiles("safelight_image_end_to_end_seconds", 0.5, 0.95, 0.99),
        ),
        Panel(
            "Faults of ours: objective 0.1 %",
            "percentunit",
            {w: f"safelight:faults:ratio{w}" for w in ("5m", "1h", "6h", "3d")},
        ),
        Panel(
            "Late: objective 1 %",
            "percentunit",
            {w: f"safelight:late:ratio{w}" for w in ("5m", "1h", "6h", "3d")},
        ),
        Panel(
            "Delivered, a second", "short", rate_by("safelight_delivery_pictures_total", "outcome")
        ),
        Panel(
            "Renders on demand",
            "short",
            {
                "under way": "sum(safelight_delivery_renders_under_way)",
                "room": "sum(safelight_delivery_renders_room)",
            },
        ),
        Panel(
            "Demands, a second",
            "short",
            rate_by("safelight_demands_total", "outcome"),
            "AVIFs that delivery leaves to the workers of renders.",
        ),
        Panel(
            "Ingests, a second",
            "short",
            rate_by("safelight_ingests_total", "outcome"),
            "Sources that the workers of renders settle by key, as after `safelight redrive`.",
        ),
    ),
)

WORKER = Dashboard(
    "safelight-worker",
    "Safelight / worker",
    (
        Panel(
            "Slots",
            "short",
            {
                "{{job}} busy": "sum by (job) (safelight_slots_busy)",
                "{{job}} all": "sum by (job) (safelight_slots)",
            },
        ),
        Panel(
            "Messages held",
            "short",
            {"{{job}} {{state}}": "sum by (job, state) (safelight_messages_held)"},
        ),
        Panel(
            "Memory of renders",
            "bytes",
            {
                "admitted": "sum(safelight_memory_admitted_bytes)",
                "budget": "sum(safelight_memory_budget_bytes)",
            },
        ),
        Panel(
            "Memory of a child, peak",
            "bytes",
            quantiles("safelight_render_child_rss_bytes", 0.5, 0.95),
        ),
        Panel("Stages, p95", "s", quantile_by("safelight_stage_duration_seconds", "stage")),
        Panel(
            "Children that ended, a second",
            "short",
            rate_by("safelight_render_child_exits_total", "cause"),
        ),
        Panel(
            "Event loop, p99 late",
            "s",
            quantile_by("safelight_event_loop_lag_seconds", "job", 0.99),
        ),
        Panel(
            "Leases",
            "short",
            {
                "lost, a second": "sum(rate(safelight_leases_lost_total[5m]))",
                "renewal late, p99 in s": "histogram_quantile(0.99, sum by (le)"
                " (rate(safelight_renewal_lateness_seconds_bucket[5m])))",
            },
        ),
        Panel(
            "Processes: memory of the parent",
            "bytes",
            {"{{job}} {{instance}}": "process_resident_memory_bytes"},
        ),
        Panel(
            "Canary",
            "bool_on_off",
            {"{{instance}}": "safelight_canary_success"},
        ),
    ),
)

INPUT = Dashboard(
    "safelight-input",
    "Safelight / input",
    (
        Panel("Formats, a second", "short", rate_by("safelight_images_total", "format")),
        Panel("Rejected, a second", "short", rate_by("safelight_image_rejections_total", "reason")),
        Panel("Pixels, p95", "short", quantile_by("safelight_source_pixels", "format")),
        Panel("Bytes of a source", "bytes", quantiles("safelight_source_bytes", 0.5, 0.95)),
        Panel("Bytes of a variant, p95", "bytes", quantile_by("safelight_variant_bytes", "preset")),
        Panel("Rendering, p95", "s", quantile_by("safelight_render_duration_seconds", "preset")),
        Panel(
            "Saved by compressing, a second",
            "bytes",
            {"saved": "sum(rate(safelight_bytes_saved_total[5m]))"},
        ),
    ),
)

DEPENDENCIES = Dashboard(
    "safelight-dependencies",
    "Safelight / dependencies",
    (
        Panel(
            "Calls a second",
            "short",
            {
                "{{job}} {{dependency}}": "sum by (job, dependency)"
                " (rate(safelight_dependency_request_seconds_count[5m]))"
            },
        ),
        Panel(
            "Time of a call, p95",
            "s",
            {
                "{{dependency}} {{operation}}": "histogram_quantile(0.95,"
                " sum by (le, dependency, operation)"
                " (rate(safelight_dependency_request_seconds_bucket[5m])))"
            },
        ),
        Panel(
            "Errors a second",
            "short",
            {
                "{{dependency}} {{code}}": "sum by (dependency, code)"
                " (rate(safelight_dependency_errors_total[5m]))"
            },
        ),
        Panel(
            "Share that fails",
            "percentunit",
            {"{{job}} {{dependency}}": "safelight:dependency_errors:ratio5m"},
        ),
        Panel(
            "Breaker open",
            "bool_yes_no",
            {"{{job}} {{dependency}}": "max by (job, dependency) (safelight_breaker_open)"},
        ),
        Panel(
            "The API, p99",
            "s",
            quantile_by("safelight_http_request_duration_seconds", "route", 0.99),
        ),
        Panel(
            "The API's answers, a second",
            "short",
            rate_by("safelight_http_request_duration_seconds_count", "status"),
        ),
    ),
)

SEARCH = Dashboard(
    "safelight-search",
    "Safelight / search",
    (
        Panel("Pages of lists, a second", "short", rate_by("safelight_search_pages_total", "kind")),
        Panel(
            "Images read for a page",
            "short",
            quantiles("safelight_search_inspected", 0.5, 0.95),
            "A page without conditions reads as many images as it shows, a narrow search up to"
            " 8,000.",
        ),
        Panel(
            "Images read, a second",
            "short",
            {"read": "sum(rate(safelight_search_inspected_sum[5m]))"},
        ),
        Panel(
            "Time of a page, p95",
            "s",
            {
                "lists": "histogram_quantile(0.95, sum by (le)"
                f" (rate(safelight_http_request_duration_seconds_bucket{{{LISTS}}}[5m])))"
            },
        ),
        Panel(
            "Lists answered, a second",
            "short",
            {
                "{{status}}": "sum by (status)"
                f" (rate(safelight_http_request_duration_seconds_count{{{LISTS}}}[5m]))"
            },
        ),
        Panel(
            "Edits answered, a second",
            "short",
            {
                "{{status}}": "sum by (status)"
                f" (rate(safelight_http_request_duration_seconds_count{{{EDITS}}}[5m]))"
            },
            "409: another editor changed the image meanwhile.",
        ),
        Panel(
            "Stale entries of tags, a second",
            "short",
            {"read": "sum(rate(safelight_search_stale_entries_total[5m]))"},
            "Entries whose image is gone or lacks the tag. They are harmless.",
        ),
        Panel(
            "Requests that wait for changes",
            "short",
            {
                "{{kind}}": "sum by (kind) (safelight_watches)",
                "room": "sum(safelight_watches_room)",
            },
            "Streams of events of one image or of a user, and answers with Prefer: wait.",
        ),
        Panel(
            "Streams that ended, a second",
            "short",
            rate_by("safelight_streams_ended_total", "end")
            | {"refused, {{limit}}": "sum by (limit) (rate(safelight_watches_refused_total[5m]))"},
        ),
    ),
)

ERASING = Dashboard(
    "safelight-erasing",
    "Safelight / erasing",
    (
        Panel("Steps, a second", "short", rate_by("safelight_erasures_total", "outcome")),
        Panel(
            "Time since the request, p95", "s", quantile_by("safelight_erasure_seconds", "to"),
            "Complete: after the final check, about 16 minutes.",
        ),
        Panel("Deleted, a second", "short", rate_by("safelight_erased_objects_total", "kind")),
        Panel(
            "Late",
            "short",
            {
                "unfinished after {{hours}} h": "sum by (hours)"
                " (increase(safelight_erasures_late_total[30m]))",
                "objects that appeared later": "sum"
                "(increase(safelight_erased_late_objects_total[30m]))",
            },
        ),
    ),
)  # fmt: skip


def scaling() -> Dashboard:
    """Build the page whose numbers come from the template and the price file."""
    template = Template.read("workers.yaml")
    backlog = template.parameters["AcceptableBacklog"]
    cost = cost_of(
        prices=Prices.load(),
        use=PictureUse(),
        size=task_size(template),
        per_day=1,
        on_demand_tasks=1,
        spot_tasks=0,
    )
    task_second = cost.parts["Fargate"] / 86_400
    requests = sum(
        dollars for part, dollars in cost.parts.items() if part not in ("Fargate", "SQS")
    )
    return Dashboard(
        "safelight-scaling",
        "Safelight / scaling and cost",
        (
            Panel("Tasks", "short", {"{{job}}": "safelight:tasks:up"}),
            Panel(
                "Backlog of a task",
                "short",
                {"{{job}}": "safelight:backlog_per_task:max", "acceptable": f"vector({backlog})"},
                "What CloudWatch scales workers of uploads on; the acceptable one is"
                " AcceptableBacklog. Those of renders scale on their whole backlog.",
            ),
            Panel(
                "Slots in use",
                "percentunit",
                {"{{job}}": "sum by (job) (safelight_slots_busy) / sum by (job) (safelight_slots)"},
            ),
            Panel(
                "Empty receives of a worker, a second",
                "short",
                {
                    "{{job}}": "sum by (job) (rate(safelight_receive_empty_total[5m]))"
                    f" / sum by (job) (up{{{WORKERS}}})"
                },
            ),
            Panel(
                "Dollars a thousand pictures",
                "currencyUSD",
                {
                    "tasks and requests": f'1000 * (sum(up{{job="worker"}}) * {task_second:.3e}'
                    f" / (safelight:settled:rate5m > 0) + {requests:.3e})",
                    "requests": f"vector({1000 * requests:.3e})",
                },
                f"List prices of {cost.prices.region}, {cost.prices.as_of}, all on demand;"
                " SQS and workers of renders left out.",
            ),
        ),
    )


def dashboards() -> tuple[Dashboard, ...]:
    """List all pages."""
    return (FLOW, WORKER, INPUT, DEPENDENCIES, SEARCH, ERASING, scaling())


def files() -> Iterator[tuple[Path, str]]:
    """Yield the path and content of each page's file."""
    for page in dashboards():
        yield FOLDER / f"{page.uid}.json", json.dumps(_dashboard(page), indent=1) + "\n"


def _dashboard(page: Dashboard) -> dict[str, Any]:
    return {
        "uid": page.uid,
        "title": page.title,
        "tags": ["safelight"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [{"type": "dashboards", "title": "Safelight", "tags": ["safelight"]}],
        "panels": [_panel(number, panel) for number, panel in enumerate(page.panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {
            "w": WIDTH,
            "h": HEIGHT,
            "x": number % COLUMNS * WIDTH,
            "y": number // COLUMNS * HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": name,
            }
            for place, (name, expr) in enumerate(panel.lines.items())
        ],
    }


def main() -> None:
    """Write the files."""
    for path, text in files():
        path.write_text(text)


if __name__ == "__main__":
    main()
