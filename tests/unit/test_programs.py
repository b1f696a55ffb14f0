"""The two programs as an operator starts them: what they print, and what they refuse."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from safelight import __version__
from tests.support.fakes import ID_SECRET

pytestmark = pytest.mark.starts

ROOT = Path(__file__).parents[2]
BOTH = {
    "SAFELIGHT_UPLOADS_BUCKET": "uploads",
    "SAFELIGHT_ASSETS_BUCKET": "assets",
    "SAFELIGHT_TABLE": "images",
    "SAFELIGHT_ID_SECRET": ID_SECRET,
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
WORKER = {
    **BOTH,
    "SAFELIGHT_QUEUE_URL": "https://sqs.example/queue",
    "SAFELIGHT_TOPIC_ARN": "arn:aws:sns:eu-central-1:1:topic",
}
KEY_HASH = sha256(b"sl_key").hexdigest()


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("program", "environment"), [("api", BOTH), ("worker", WORKER)])
def test_a_program_prints_its_settings(program: str, environment: dict[str, str]) -> None:
    result = run(program, "--print-config", **environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["SAFELIGHT_UPLOADS_BUCKET"] == "uploads"


def test_printed_settings_hide_secrets() -> None:
    result = run("api", "--print-config", **BOTH, SAFELIGHT_API_KEYS=f"alice:{KEY_HASH}")
    assert json.loads(result.stdout)["SAFELIGHT_API_KEYS"] == "**********"
    assert KEY_HASH not in result.stdout


@pytest.mark.parametrize(
    ("program", "environment"),
    [
        ("api", BOTH),
        ("api", {**BOTH, "SAFELIGHT_API_ROLES": "delivery"}),
        ("worker", WORKER),
    ],
)
def test_a_program_needs_the_secret_of_image_ids_and_hides_it(
    program: str, environment: dict[str, str]
) -> None:
    shown = run(program, "--print-config", **environment)
    assert json.loads(shown.stdout)["SAFELIGHT_ID_SECRET"] == "**********"
    assert ID_SECRET not in shown.stdout
    short = "too-short-for-a-secret-of-ids-1"
    for secret, fault in ((None, "not set"), (short, "must have at least 32 characters")):
        changed = {**environment, "SAFELIGHT_ID_SECRET": secret, "SAFELIGHT_LOG_LEVEL": "loud"}
        given = {name: value for name, value in changed.items() if value is not None}
        refused = run(program, "--print-config", **given)
        assert refused.returncode == 2
        told = {line.partition(":")[0]: line for line in refused.stderr.splitlines()}
        assert fault in told["SAFELIGHT_ID_SECRET"]
        assert "SAFELIGHT_LOG_LEVEL" in told
        assert short not in refused.stderr


@pytest.mark.parametrize("program", ["api", "worker"])
def test_every_fault_is_reported_at_once(program: str) -> None:
    result = run(program, SAFELIGHT_LOG_LEVEL="loud", SAFELIGHT_UPLOADS_BUCKET="x")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    told = {line.partition(":")[0]: line for line in result.stderr.splitlines()}
    assert {"SAFELIGHT_LOG_LEVEL", "SAFELIGHT_UPLOADS_BUCKET", "SAFELIGHT_TABLE"} <= told.keys()
    assert "found 'loud'" in told["SAFELIGHT_LOG_LEVEL"]
    assert "not set" in told["SAFELIGHT_TABLE"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAFELIGHT_SLOTS", "0"),
        ("SAFELIGHT_SLOTS", "two"),
        ("SAFELIGHT_MEMORY_BUDGET_BYTES", "1"),
        ("SAFELIGHT_ADMIN_PORT", "70000"),
        ("SAFELIGHT_RECEIVE_WAIT_SECONDS", "21"),
        ("SAFELIGHT_MAX_TOTAL_PIXELS", "1"),
    ],
)
def test_a_worker_refuses_a_setting_that_cannot_work(name: str, value: str) -> None:
    result = run("worker", "--print-config", **WORKER, **{name: value})
    assert result.returncode == 2
    assert name in result.stderr


def test_a_secret_that_is_wrong_is_not_shown() -> None:
    result = run("api", "--print-config", **BOTH, SAFELIGHT_API_KEYS="alice:hunter2")
    assert result.returncode == 2
    assert "SAFELIGHT_API_KEYS" in result.stderr
    assert "hunter2" not in result.stderr


def test_a_worker_names_a_presets_file_that_is_not_there() -> None:
    result = run("worker", **WORKER, SAFELIGHT_PRESETS="nowhere.toml")
    assert result.returncode == 2
    assert "nowhere.toml" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com"])  # noqa: S104 - refused
def test_without_authentication_the_api_refuses_to_listen_beyond_loopback(host: str) -> None:
    result = run("api", **BOTH, SAFELIGHT_HOST=host)
    assert result.returncode == 2
    assert "SAFELIGHT_HOST" in result.stderr
    assert "SAFELIGHT_API_KEYS" in result.stderr


def test_a_program_without_a_region_says_so() -> None:
    environment = {name: value for name, value in WORKER.items() if name != "AWS_REGION"}
    result = run("worker", **environment, HOME="/nonexistent", AWS_CONFIG_FILE="/dev/null")
    assert result.returncode == 2
    assert "region" in result.stderr.lower()
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("program", ["api", "worker"])
def test_a_program_tells_its_version(program: str) -> None:
    assert run(program, "--version").stdout.split()[-1] == __version__


@pytest.mark.parametrize(("program", "environment"), [("api", BOTH), ("worker", WORKER)])
def test_an_endpoint_that_is_no_url_is_told_without_a_traceback(
    program: str, environment: dict[str, str]
) -> None:
    result = run(program, **environment, AWS_ENDPOINT_URL="nowhere", SAFELIGHT_PORT="0")
    assert result.returncode in (1, 2)
    assert "Invalid endpoint: nowhere" in result.stderr
    assert "Traceback" not in result.stderr
    result = run(program, **environment, SAFELIGHT_PUBLIC_S3_ENDPOINT_URL="nowhere")
    assert result.returncode == 2
    assert "SAFELIGHT_PUBLIC_S3_ENDPOINT_URL" in result.stderr
