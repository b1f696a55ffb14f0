"""Processes are found with their descendants, and measured even after they have ended."""

import os
import subprocess
import sys
import time

import pytest

from ops.local.accounting import (
    alive,
    cpu_seconds,
    cpu_seconds_with_reaped,
    family_of,
    machine_cpu_seconds,
    resident_bytes,
)

WORK = "import time\nwhile time.process_time() < 0.2: pass\n"
WAIT = "import sys; print(flush=True); sys.stdin.read()\n"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {WORK!r}])\n{WAIT}"
GRANDPARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {WAIT!r}])"
SURELY_GONE = 2**22 + 1
"""Beyond the kernel's highest process id."""


@pytest.fixture
def start():
    started = []

    def _start(code: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        process.stdout.readline()
        return process.pid

    yield _start
    for process in started:
        process.communicate()


@pytest.mark.starts
def test_a_family_is_a_process_and_its_descendants(start):
    pid = start(GRANDPARENT)
    first, second = family_of(pid)
    assert first == pid
    assert alive(second)
    assert pid in family_of(os.getpid())


@pytest.mark.starts
def test_what_a_reaped_child_took_is_its_familys(start):
    pid = start(PARENT)
    assert cpu_seconds_with_reaped(family_of(pid)) - cpu_seconds(pid) >= 0.19


def test_the_machine_took_at_least_what_this_process_took():
    ours, machine = cpu_seconds(os.getpid()), machine_cpu_seconds()
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert cpu_seconds(os.getpid()) - ours >= 0.08
    assert machine_cpu_seconds() - machine >= 0.08


def test_a_process_that_is_gone_takes_nothing():
    assert not alive(SURELY_GONE)
    assert cpu_seconds(SURELY_GONE) == 0
    assert resident_bytes(SURELY_GONE) == 0
    assert cpu_seconds_with_reaped([SURELY_GONE]) == 0


def test_resident_memory_is_in_bytes():
    assert resident_bytes(os.getpid()) > 1024**2
