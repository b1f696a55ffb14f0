"""docker-compose.yml as it is written; tests/acceptance/test_containers.py runs its commands."""

import re
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from api.settings import ApiSettings
from ops.local.containers import PROGRAMS
from safelight.settings import AwsSettings, variable
from tests.support.compose import FILE, ROOT, Unset, example, interpolated, services
from worker.settings import WorkerSettings

ALL = services(example())
WORKERS = ("worker", "renders")
OURS = ("api", "delivery", *WORKERS)


def test_it_is_a_valid_compose_file() -> None:
    text = yaml.safe_dump(yaml.safe_load(interpolated(example())))  # anchors followed
    PyCompose.from_yaml(text).validate()
    broken = text.replace("start_period: 30s", "start_periods: 30s")
    with pytest.raises(Exception, match="start_periods"):
        PyCompose.from_yaml(broken).validate()


def test_without_env_it_says_what_to_do() -> None:
    with pytest.raises(Unset, match=r"cp \.env\.example \.env first"):
        services({})


def test_every_variable_is_in_the_example_or_has_a_default() -> None:
    asked = set(re.findall(r"\$\{(\w+)(?::\?[^}]*)?\}", FILE.read_text()))
    assert asked <= example().keys()


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_container_is_shut_in(name: str) -> None:
    service = ALL[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(ALL))
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in ALL[name].get("ports", []))


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"stack"}))
def test_what_stays_up_has_a_health_check(name: str) -> None:
    assert ALL[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(ALL))
def test_nobody_waits_for_somebody_in_a_state_that_cannot_come(name: str) -> None:
    for other, how in ALL[name].get("depends_on", {}).items():
        ends = other == "stack"
        expected = "service_completed_successfully" if ends else "service_healthy"
        assert how == {"condition": expected}


@pytest.mark.parametrize("name", WORKERS)
def test_there_may_be_any_number_of_workers(name: str) -> None:
    assert not ALL[name].keys() & {"ports", "container_name"}


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_time_to_drain(name: str) -> None:
    assert ALL[name]["stop_grace_period"] == "2m"
    assert WorkerSettings.model_fields["drain_seconds"].default < 120


@pytest.mark.parametrize("name", OURS)
def test_a_program_reads_the_settings_that_the_stack_wrote_for_it(name: str) -> None:
    files = re.findall(r"/stack/(\w+)\.env", ALL[name]["command"][-1])
    assert files == [name]
    assert name in PROGRAMS


def test_the_workers_of_both_roles_differ_in_their_settings_alone() -> None:
    worker, renders = ({**ALL[name], "command": None} for name in WORKERS)
    assert worker == renders


@pytest.mark.parametrize("name", OURS)
def test_a_program_is_told_settings_that_exist(name: str) -> None:
    kinds: tuple[type[AwsSettings], ...] = (WorkerSettings,) if name in WORKERS else (ApiSettings,)
    known = {variable(field, info) for kind in kinds for field, info in kind.model_fields.items()}
    told: dict[str, Any] = ALL[name]["environment"]
    assert told.keys() <= known


def test_images_of_others_are_of_a_version() -> None:
    for service in ALL.values():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])


def test_what_is_mounted_is_there() -> None:
    for service in ALL.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
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
