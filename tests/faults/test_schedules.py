"""Any schedule of deliveries, duplicates, kills, faults and clock jumps: row 45 of the faults."""

import asyncio
import os
import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.support.faults.schedules import Action, Fate, Jump, Notify, Put, Thaw, Work, run

SCHEDULES = int(os.environ.get("SAFELIGHT_TEST_SCHEDULES", "200"))
SEED = int(os.environ.get("SAFELIGHT_TEST_SEED", random.randrange(10**6)))
CALLS_OF_A_LIFE = 10

fates = st.builds(
    Fate,
    st.sampled_from(["fine", "killed", "unavailable", "misconfigured", "frozen"]),
    st.integers(1, CALLS_OF_A_LIFE),
    st.booleans(),
)
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(Put, st.integers(0, 1), st.sampled_from([True, True, True, False])),
    st.builds(Notify, st.integers(0, 9)),
    st.builds(Work, fates),
    st.builds(Work, fates),
    st.builds(Thaw, st.integers(0, 3)),
    st.builds(Jump, st.sampled_from([1, 30, 61, 1000])),
)
schedules = st.lists(actions, min_size=2, max_size=40).map(
    lambda drawn: [Put(0, whole=True), Notify(0), *drawn]
)


@seed(SEED)
@settings(max_examples=SCHEDULES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedules)
def test_row_45_no_schedule_breaks_the_invariant(schedule: list[Action]) -> None:
    print(f"replay: SAFELIGHT_TEST_SEED={SEED} SAFELIGHT_TEST_SCHEDULES={SCHEDULES} pytest")
    with tempfile.TemporaryDirectory() as spool:
        faults = asyncio.run(run(schedule, Path(spool)))
    assert not faults, "\n".join(faults)
