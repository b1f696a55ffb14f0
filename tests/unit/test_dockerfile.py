"""The Dockerfile as it is written; tests/image builds it."""

import re
from itertools import pairwise

import pytest

from ops.local.emulator import ROOT

TEXT = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
FROM = [number for number, line in enumerate(LINES) if line.startswith("FROM ")]
STAGES = [LINES[start:end] for start, end in pairwise([*FROM, len(LINES)])]
STARTED = [stage for stage in STAGES if any(line.startswith("CMD ") for line in stage)]


def test_every_stage_is_made_from_one_base_that_an_argument_names():
    """So `--build-arg BASE=name@sha256:...` pins all of them. The default is a tag."""
    assert {stage[0].split()[1] for stage in STAGES} == {"${BASE}"}
    (default,) = (line for line in LINES if line.startswith("ARG BASE="))
    assert re.fullmatch(r"ARG BASE=\S+:[\w.-]+", default)


@pytest.mark.parametrize("stage", STARTED, ids=lambda stage: stage[0])
def test_an_image_that_is_started_has_no_setuid_or_setgid_programs(stage):
    last = [line for line in stage if line.startswith("RUN ")][-1]
    assert last.endswith("&& find / -xdev -type f -perm /6000 -exec chmod a-s {} +")


def test_the_image_and_its_emulator_are_what_is_started():
    assert len(STARTED) == 2
