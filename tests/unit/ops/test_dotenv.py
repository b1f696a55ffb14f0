"""`.env` for docker-compose.yml, written by the script as a machine without Safelight runs it."""

import shutil
import stat
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from api.pages.seal import Seal
from ops.local import dotenv
from tests.support.compose import variables

pytestmark = pytest.mark.starts


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script alone, in a checkout without a .env."""
    folder = tmp_path / "ops" / "local"
    folder.mkdir(parents=True)
    return Path(shutil.copy(dotenv.__file__, folder))


def run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", 'umask 000 && exec "$@"', "sh", sys.executable, "-I", "-S", script],
        check=False, capture_output=True, text=True,
    )  # fmt: skip


def test_only_its_owner_may_read_what_is_written(script: Path, tmp_path: Path) -> None:
    done = run(script)
    assert (done.returncode, done.stdout) == (0, f"Wrote {tmp_path}/.env\n")
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_a_second_run_changes_nothing_and_says_so(script: Path, tmp_path: Path) -> None:
    run(script)
    before = (tmp_path / ".env").read_text()
    done = run(script)
    assert done.returncode == 1
    assert done.stderr == (
        f"{tmp_path}/.env exists and was left as it is. Remove it for new keys.\n"
    )
    assert (tmp_path / ".env").read_text() == before


def test_a_link_to_nothing_is_not_followed(script: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "elsewhere")
    assert run(script).returncode == 1
    assert not (tmp_path / "elsewhere").exists()


def test_no_key_is_ever_written_twice() -> None:
    one, other = (variables(dotenv.written()) for _ in range(2))
    assert one.keys() == other.keys()
    assert not set(one.values()) & set(other.values())


def test_keys_are_long_enough() -> None:
    written = variables(dotenv.written())
    assert len(written["EMULATOR_ACCESS_KEY_ID"]) == 20
    assert len(written["EMULATOR_SECRET_ACCESS_KEY"]) == 40
    assert len(written["API_KEY"]) >= 43
    for name in ("SAFELIGHT_SIGNING_KEYS", "SAFELIGHT_OPTIONS_KEYS"):
        assert len(written[name].partition(":")[2]) >= 43
    assert len(written["GRAFANA_PASSWORD"]) >= 24
    Seal.read(written["SAFELIGHT_SESSION_KEYS"])


def test_the_api_gets_the_hash_of_the_key() -> None:
    written = variables(dotenv.written())
    hashed = sha256(written["API_KEY"].encode()).hexdigest()
    assert written["SAFELIGHT_API_KEYS"] == f"local:{hashed}"


def test_a_shell_and_compose_read_the_same_values() -> None:
    """No value needs quotes, and none holds what either would replace."""
    for value in variables(dotenv.written()).values():
        assert set(value) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:"
        )
