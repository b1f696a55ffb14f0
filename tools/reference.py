"""Writes docs/operate/settings.md, docs/operate/metrics.md, docs/guide/dialects.md, and the list of
all settings in safelight/setting_names.py.

Their tables come from the declarations in the code. `make docs` writes them; a test checks that
they are current.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.dialects.table import DialectSettings
from api.metrics import ApiMetrics, DeliveryMetrics, SearchMetrics, WatchMetrics
from api.settings import ApiSettings
from ops import KEY_VARIABLE
from ops.doctor.places import DoctorSettings
from ops.redrive import RedriveSettings
from safelight.aws.settings import AwsSettings
from safelight.image_ids import IdSettings
from safelight.imaging.settings import RenderSettings
from safelight.metrics import FaceMetrics, ProcessMetrics
from safelight.settings import Settings, variable
from tools.dialect_tables import dialects_page
from tools.moving_pages import TABLES, moving_page
from worker.cleanup.metrics import CleanupMetrics
from worker.cleanup.settings import CleanupSettings
from worker.consumer_metrics import ConsumerMetrics
from worker.metrics import WorkerMetrics
from worker.queue_settings import QueueSettings
from worker.settings import WorkerSettings

DOCS = Path(__file__).parents[1] / "docs"
DEPENDS = frozenset({"slots", "memory_budget_bytes", "child_memory_bytes", "spool"})
"""Settings whose default depends on the machine; their descriptions say how."""


class _Both(AwsSettings, IdSettings):
    """Settings of both programs."""


def settings_table(settings: type[Settings], *, but: tuple[type[Settings], ...] = ()) -> str:
    """Make the table of the settings that a class declares, without those of `but`."""
    rows = [
        f"| `{variable(name)}` | {_default(name, field)} | {field.description} |"
        for name, field in sorted(settings.model_fields.items())
        if not any(name in other.model_fields for other in but)
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if name in DEPENDS:
        return "depends on the machine"
    default = field.get_default(call_default_factory=True)
    if default is None or default is PydanticUndefined or default == ():
        return "none"
    return f"`{_as_variable(default)}`"


def _as_variable(value: object) -> str:
    """Write a value as a variable of the environment has it."""
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
    return str(value)


def metrics_table(*declared: object, but: object = None) -> str:
    """Make the table of the metrics that these objects declare, without those of `but`."""
    left_out = vars(but).keys() if but is not None else ()
    metrics = sorted(
        (
            value
            for owner in declared
            for name, value in vars(owner).items()
            if _is_metric(value) and name not in left_out
        ),
        key=lambda metric: metric._name,
    )
    rows = [
        f"| `{_name(metric)}` | {metric._type} | "
        f"{', '.join(f'`{label}`' for label in metric._labelnames) or '-'} | "
        f"{metric._documentation} |"
        for metric in metrics
    ]
    return "\n".join(["| name | type | labels | meaning |", "|---|---|---|---|", *rows])


def _is_metric(value: object) -> bool:
    return isinstance(value, MetricWrapperBase)


def _name(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)


def settings_page() -> str:
    """Write docs/operate/settings.md."""
    standard = ", ".join(f"`{name}`" for name in AwsSettings.OWN_STANDARD)
    return f"""# Settings

Settings are environment variables, read once when a process starts. All faults are reported at once, and the process ends with
exit code 2. A variable that begins with `SAFELIGHT_` and is no setting of any program is a fault too
([why](../decisions/0075-a-misspelt-setting-is-refused.md)).
`python -m api --print-config` and `python -m worker --print-config` print the effective settings, with secrets masked.
`make docs` generates this page from the declarations.

Credentials, region and endpoints come from AWS's standard chain alone. Of its variables, these have an effect:
{standard}.

## Both

{settings_table(_Both)}

## Programs that render

The worker, the API in its role of delivery, and `safelight render`.

{settings_table(RenderSettings)}

## The API

{settings_table(ApiSettings, but=(_Both, RenderSettings, DialectSettings))}

## The worker

The roles `uploads` and `renders`, `python -m worker`:

{settings_table(WorkerSettings, but=(_Both, RenderSettings, QueueSettings))}

The role `cleanup`, `python -m worker.cleanup`:

{settings_table(CleanupSettings, but=(_Both, QueueSettings))}

All roles:

{settings_table(QueueSettings, but=(_Both,))}

## Free-form URLs

{settings_table(DialectSettings, but=(Settings,))}
"""


def _of_api(registry: CollectorRegistry) -> tuple[object, ...]:
    return tuple(
        metrics(registry) for metrics in (ApiMetrics, WatchMetrics, SearchMetrics, DeliveryMetrics)
    )


def metrics_page() -> str:
    """Write docs/operate/metrics.md."""
    registry = CollectorRegistry()
    return f"""# Metrics

The worker serves `/metrics`, `/healthz` and `/readyz` on its admin port, the API on its own port. Units are base units. Label sets are
closed: no image, user or key is ever a label. `make docs` generates this page from the declarations.

`safelight_queue_visible`, `safelight_queue_in_flight` and `safelight_dead_letters` are the queue's own numbers, the same in every worker
of a role: take their maximum by `job`, never their sum. The job names the role: `worker` has the role `uploads`, `renders` the role
`renders`. `safelight_queue_oldest_age_seconds` covers the messages that one worker holds: its maximum is about the age of the oldest
message ([why](../decisions/0021-the-oldest-message-is-the-oldest-held.md)).

## Both

{metrics_table(ProcessMetrics(registry, service="docs"), FaceMetrics(registry))}

`safelight_build_info{{service, version}}` is always 1, and the standard `process_*` and `python_*` metrics are exported.

## The API

{metrics_table(*_of_api(registry))}

## The worker

All roles:

{metrics_table(ConsumerMetrics(CollectorRegistry()))}

The roles `uploads` and `renders`:

{metrics_table(WorkerMetrics(CollectorRegistry()), but=ConsumerMetrics(CollectorRegistry()))}

The role `cleanup`:

{metrics_table(CleanupMetrics(CollectorRegistry()), but=ConsumerMetrics(CollectorRegistry()))}
"""


def setting_names() -> str:
    """Write safelight/setting_names.py: every setting of every program."""
    programs = (ApiSettings, WorkerSettings, CleanupSettings, DoctorSettings, RedriveSettings)
    names = {variable(name) for settings in programs for name in settings.model_fields}
    rows = "\n".join(f'        "{name}",' for name in sorted({*names, KEY_VARIABLE}))
    return f'''"""The settings of all programs, so that each program refuses misspelt names only.

`make docs` writes this list from the declarations.
"""

NAMES = frozenset(
    {{
{rows}
    }}
)
'''


PAGES: Mapping[str, Callable[[], str]] = {
    "../safelight/setting_names.py": setting_names,
    "operate/settings.md": settings_page,
    "operate/metrics.md": metrics_page,
    "guide/dialects.md": dialects_page,
    **{f"guide/moving/{name}.md": partial(moving_page, name) for name in TABLES},
}


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
