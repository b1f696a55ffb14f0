"""docker-compose.yml as it is written; tests/acceptance/test_containers.py runs its commands."""

import re
from dataclasses import fields
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from api.settings import ApiSettings
from ops.local.account import Principal
from ops.local.containers import PROGRAMS, programs_of
from ops.local.stack import Stack, serves_originals
from safelight.aws.settings import AwsSettings
from safelight.settings import variable
from tests.support.compose import ENVIRONMENT, FILE, ROOT, Unset, interpolated, services
from worker.cleanup.settings import CleanupSettings
from worker.settings import WorkerSettings

ALL = services(ENVIRONMENT)
WORKERS = ("worker", "renders")
CLEANUP = "cleanup"
SETTINGS: dict[str, type[AwsSettings]] = {
    "worker": WorkerSettings, "renders": WorkerSettings, CLEANUP: CleanupSettings,
}  # fmt: skip
OURS = ("api", "delivery", *WORKERS, CLEANUP)
KEYS = {
    "EMULATOR_ACCESS_KEY_ID": {"emulator", "stack"},
    "EMULATOR_SECRET_ACCESS_KEY": {"emulator", "stack"},
    "API_KEY": set(),
    "SAFELIGHT_API_KEYS": {"api"},
    "SAFELIGHT_SESSION_KEYS": {"api"},
    "SAFELIGHT_SIGNING_KEYS": {"api", "delivery"},
    "SAFELIGHT_OPTIONS_KEYS": {"api", "delivery"},
    "GRAFANA_PASSWORD": {"grafana"},
}
"""The services that get each variable of .env."""


def validate(project: dict[str, Any]) -> None:
    PyCompose.from_yaml(yaml.safe_dump(project)).validate()


def test_it_is_a_valid_compose_file() -> None:
    validate(yaml.safe_load(interpolated(ENVIRONMENT)))


def test_the_validator_of_compose_files_finds_an_unknown_key() -> None:
    service = {"image": "busybox", "healthcheck": {"start_periods": "30s"}}
    with pytest.raises(Exception, match="start_periods"):
        validate({"services": {"one": service}})


def test_without_env_it_says_what_to_do() -> None:
    with pytest.raises(Unset, match="run make env first"):
        services({})


@pytest.mark.parametrize("missing", sorted(KEYS.keys() - {"API_KEY"}))
def test_without_one_key_it_says_what_to_do(missing: str) -> None:
    rest = {name: value for name, value in ENVIRONMENT.items() if name != missing}
    with pytest.raises(Unset, match=f"{missing}: run make env first"):
        services(rest)


def test_every_variable_is_in_a_new_env_or_has_a_default() -> None:
    asked = set(re.findall(r"\$\{(\w+)(?::\?[^}]*)?\}", FILE.read_text()))
    assert asked <= ENVIRONMENT.keys()


@pytest.mark.parametrize("key", sorted(ENVIRONMENT))
def test_only_the_services_that_need_a_key_get_it(key: str) -> None:
    holders = {name for name, service in ALL.items() if ENVIRONMENT[key] in str(service)}
    assert holders == KEYS[key]


def test_no_key_stands_in_the_file() -> None:
    """Every setting with the name of a key takes its value from .env."""
    for service in services(dict.fromkeys(ENVIRONMENT, "FROM_ENV")).values():
        for name, value in service.get("environment", {}).items():
            if re.search("KEY|SECRET|PASSWORD", name):
                assert value == "FROM_ENV", name


@pytest.mark.parametrize("name", [*OURS, "operator"])
def test_a_program_sees_its_own_folder_alone(name: str) -> None:
    (volume,) = ALL[name]["volumes"]
    assert volume == {
        "type": "volume",
        "source": "stack",
        "target": "/stack",
        "read_only": True,
        "volume": {"subpath": name},
    }
    assert name in PROGRAMS


def test_only_the_deployment_mounts_every_folder() -> None:
    whole = {
        name
        for name, service in ALL.items()
        for volume in service.get("volumes", [])
        if isinstance(volume, str) and volume.partition(":")[0] == "stack"
    }
    assert whole == {"stack"}


def test_what_checks_no_host_is_not_published() -> None:
    """Prometheus and Alertmanager answer any Host; the emulator's guard and Grafana do not."""
    published = {name for name, service in ALL.items() if service.get("ports")}
    assert published == {"emulator", "api", "delivery", "grafana"}
    assert ALL["grafana"]["environment"]["GF_SERVER_DOMAIN"] == "localhost"
    assert ALL["grafana"]["environment"]["GF_SERVER_ENFORCE_DOMAIN"] == "true"


def test_grafana_shows_what_is_not_published() -> None:
    folder = ROOT / "deploy/grafana/provisioning/datasources"
    shown = {
        source["url"]
        for path in folder.glob("*.yml")
        for source in yaml.safe_load(path.read_text())["datasources"]
    }
    # Each listens where its own health check asks.
    checks = {name: ALL[name]["healthcheck"]["test"][-1] for name in ("prometheus", "alertmanager")}
    listening = {
        check.partition("/-/")[0].replace("127.0.0.1", name) for name, check in checks.items()
    }
    assert shown == listening


def test_the_emulator_answers_by_the_name_that_programs_use() -> None:
    environment = ALL["emulator"]["environment"]
    address = f"http://{environment['MINISTACK_HOST']}:{environment['GATEWAY_PORT']}"
    assert ALL["stack"]["environment"]["AWS_ENDPOINT_URL"] == address


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_container_is_shut_in(name: str) -> None:
    service = ALL[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(ALL))
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in ALL[name].get("ports", []))


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"stack", "operator"}))
def test_what_stays_up_has_a_health_check(name: str) -> None:
    assert ALL[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(ALL))
def test_nobody_waits_for_somebody_in_a_state_that_cannot_come(name: str) -> None:
    for other, how in ALL[name].get("depends_on", {}).items():
        ends = other == "stack"
        expected = "service_completed_successfully" if ends else "service_healthy"
        assert how == {"condition": expected}


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "false"), ({"SAFELIGHT_ORIGINALS": "true"}, "true")]
)
def test_the_api_and_its_permissions_agree_about_originals(
    given: dict[str, str], expected: str
) -> None:
    made = services(ENVIRONMENT | given)
    assert made["api"]["environment"]["SAFELIGHT_ORIGINALS"] == expected
    assert made["stack"]["environment"]["SAFELIGHT_ORIGINALS"] == expected
    assert serves_originals(given) is (expected == "true")


@pytest.mark.parametrize("name", WORKERS)
def test_there_may_be_any_number_of_workers(name: str) -> None:
    assert not ALL[name].keys() & {"ports", "container_name"}


@pytest.mark.parametrize("name", [*WORKERS, CLEANUP])
def test_a_worker_has_time_to_drain(name: str) -> None:
    assert ALL[name]["stop_grace_period"] == "2m"
    assert WorkerSettings.model_fields["drain_seconds"].default < 120


@pytest.mark.parametrize("name", OURS)
def test_a_program_reads_the_settings_that_the_stack_wrote_for_it(name: str) -> None:
    assert ALL[name]["command"][-1].startswith("set -a && . /stack/env && exec python -m ")


def test_the_workers_of_both_roles_differ_in_their_folder_alone() -> None:
    worker, renders = ({**ALL[name], "volumes": None} for name in WORKERS)
    assert worker == renders


@pytest.mark.parametrize("name", OURS)
def test_a_program_is_told_settings_that_exist(name: str) -> None:
    settings: type[AwsSettings] = SETTINGS.get(name, ApiSettings)
    known = {variable(field) for field in settings.model_fields}
    told: dict[str, Any] = ALL[name]["environment"]
    assert told.keys() <= known


def test_the_api_writes_urls_of_the_delivery_that_is_published() -> None:
    (port,) = ALL["delivery"]["ports"]
    assert port.startswith("127.0.0.1:8081:")
    assert ALL["api"]["environment"]["SAFELIGHT_DELIVERY_URL"] == "http://localhost:8081"


def test_the_pages_are_served_where_they_are_published() -> None:
    (port,) = ALL["api"]["ports"]
    assert port.startswith("127.0.0.1:8080:")
    environment = ALL["api"]["environment"]
    assert environment["SAFELIGHT_API_ROLES"] == "uploads,pages"
    assert environment["SAFELIGHT_PAGES_URL"] == "http://localhost:8080"


def test_admins_are_those_of_the_environment() -> None:
    assert ALL["api"]["environment"]["SAFELIGHT_ADMINS"] == ""
    named = services({**ENVIRONMENT, "SAFELIGHT_ADMINS": "key:local"})
    assert named["api"]["environment"]["SAFELIGHT_ADMINS"] == "key:local"


@pytest.mark.parametrize("program", ["api", *WORKERS, CLEANUP, "operator"])
def test_a_program_that_has_images_erased_knows_the_queue(program: str) -> None:
    """Without it the API offers no erasing."""
    _, settings = programs_of(stack_of_names())[program]
    assert settings["SAFELIGHT_CLEANUP_QUEUE_URL"] == "the cleanup_queue_url"


def stack_of_names() -> Stack:
    """Return a stack whose every value names its field."""
    nobody = Principal(access_key_id="AKIA", secret_access_key="none")
    return Stack(
        **{
            one.name: nobody if one.type is Principal else f"the {one.name}"
            for one in fields(Stack)
        }
    )


def test_images_of_others_are_of_a_version() -> None:
    for service in ALL.values():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])


def test_what_is_mounted_is_there() -> None:
    for service in ALL.values():
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source


def test_prometheus_asks_every_program() -> None:
    told = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.compose.yml").read_text())
    asked = {
        (name, found["port"])
        for job in told["scrape_configs"]
        for found in job["dns_sd_configs"]
        for name in found["names"]
    }
    ports = {name: int(ALL[name]["healthcheck"]["test"][2]) for name in OURS}
    assert asked == set(ports.items())
