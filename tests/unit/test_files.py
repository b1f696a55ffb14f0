"""What a hostile child may put where its result should be."""

import os
from pathlib import Path

import pytest

from safelight.errors import Rejection
from safelight.files import open_result


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"of another picture")
    return path


@pytest.fixture
def result(tmp_path):
    folder = tmp_path / "picture"
    folder.mkdir()
    return folder / "full.webp"


def test_a_regular_file_is_opened(result):
    result.write_bytes(b"bytes")
    with open_result(result) as file:
        assert file.read() == b"bytes"


def test_a_symbolic_link_is_refused(result, secret):
    result.symlink_to(secret)
    with pytest.raises(Rejection, match=r"full\.webp"):
        open_result(result)


def test_a_second_name_of_another_file_is_refused(result, secret):
    result.hardlink_to(secret)
    with pytest.raises(Rejection):
        open_result(result)


def test_a_pipe_is_refused_at_once(result):
    os.mkfifo(result)
    with pytest.raises(Rejection):
        open_result(result)


def test_a_folder_that_was_exchanged_for_a_link_is_refused(result, secret):
    (secret.parent / "other").mkdir()
    (secret.parent / "other" / "full.webp").write_bytes(b"of another picture")
    result.parent.rmdir()
    result.parent.symlink_to(secret.parent / "other")
    with pytest.raises(Rejection):
        open_result(result)


def test_nothing_stays_open(result):
    result.mkdir()
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(3):
        with pytest.raises(Rejection):
            open_result(result)
    assert len([*Path("/proc/self/fd").iterdir()]) == before
