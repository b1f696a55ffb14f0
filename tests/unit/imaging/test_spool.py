"""A process's files: removed with their picture, with their process, or by the next one."""

import fcntl
import os
from pathlib import Path

import pytest

from safelight.errors import Misconfigured
from safelight.imaging.spool import Spool


def test_a_pictures_directory_goes_with_its_work(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        with spool.directory() as directory:
            (directory / "source").write_bytes(b"x")
        assert not directory.exists()


def test_a_process_leaves_nothing_behind(tmp_path: Path) -> None:
    with Spool(tmp_path), Spool(tmp_path):
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_worker_left_is_removed_and_a_living_ones_files_stay(tmp_path: Path) -> None:
    killed = tmp_path / "spool-killed"
    (killed / "picture").mkdir(parents=True)
    living = tmp_path / "spool-living"
    living.mkdir()
    lock = os.open(living, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with Spool(tmp_path):
            assert not killed.exists()
            assert living.exists()
    finally:
        os.close(lock)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with Spool(tmp_path):
        pass
    assert (tmp_path / "notes").exists()


def test_a_directory_that_somebody_tidied_up_is_made_again(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        (own,) = tmp_path.iterdir()
        own.rmdir()
        with spool.directory() as directory:
            assert directory.exists()


def test_a_broken_disk_is_a_matter_for_a_person(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool, pytest.raises(Misconfigured, match="spool"), spool.directory():
        raise OSError(28, "No space left on device")
