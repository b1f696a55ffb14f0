import http.client
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api.apikeys import ApiKey, ApiKeys, digest_of
from tests.support.fakes import ID_SECRET

pytestmark = pytest.mark.starts

ROOT = Path(__file__).parents[3]
NEEDED = {
    "SAFELIGHT_UPLOADS_BUCKET": "uploads",
    "SAFELIGHT_ASSETS_BUCKET": "assets",
    "SAFELIGHT_TABLE": "images",
    "SAFELIGHT_ID_SECRET": ID_SECRET,
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_new_key_is_printed_with_what_the_setting_must_say() -> None:
    told = run("--new-key", "shop-1:eu").stdout
    (key,) = re.findall(r"sl_[\w-]{43}", told)
    (pair,) = re.findall(r"SAFELIGHT_API_KEYS: (.*)", told)
    assert ApiKeys.read(pair).find(key) == ApiKey(digest=digest_of(key), name="shop-1:eu")
    assert "its user id: key:shop-1:eu" in told
    assert key not in pair


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_key_of_a_name_that_no_user_id_can_hold_is_refused(name: str) -> None:
    result = run("--new-key", name)
    assert result.returncode == 2
    assert "sl_" not in result.stdout


def test_an_api_for_anyone_answers_no_page_that_calls_itself_by_another_name() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "api"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
        env={**NEEDED, "AWS_REGION": "eu-central-1", "SAFELIGHT_PORT": "0"},
    ) as program:  # fmt: skip
        try:
            assert program.stderr is not None
            lines = map(json.loads, program.stderr)
            url = next(line["url"] for line in lines if line["event"] == "listening")
            client = http.client.HTTPConnection(url.removeprefix("http://"))
            client.request("GET", "/healthz", headers={"Host": "evil.example"})
            assert client.getresponse().status == 421
            client.close()
        finally:
            program.terminate()


def test_a_port_that_is_taken_is_told_without_a_trace() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(**NEEDED, AWS_REGION="eu-central-1", SAFELIGHT_PORT=str(port))
    assert result.returncode == 1
    assert str(port) in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_region_is_told_without_a_trace() -> None:
    result = run(**NEEDED, HOME="/nonexistent", AWS_CONFIG_FILE="/dev/null", SAFELIGHT_PORT="0")
    assert result.returncode == 2
    assert "region" in result.stderr.lower()
    assert "Traceback" not in result.stderr


def test_without_the_role_of_delivery_nothing_that_renders_is_loaded() -> None:
    program = (
        "import sys, api.__main__\n"
        "renders = {'api.delivery.delivery', 'safelight.imaging.pool', 'safelight.making'}\n"
        "sys.exit(not renders.isdisjoint(sys.modules))\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
