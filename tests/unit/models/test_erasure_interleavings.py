"""Every interleaving of an erasure with a worker, a late upload and delivery: nothing stays.

All parts are the real code, and moto evaluates the real expressions. Any part may die at any call,
or repeat it. When all rest, time passes and cleanup processes what is left in its queue.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import pytest
from moto import mock_aws

from safelight.aws.items import read_values, written
from safelight.record import Record
from tests.support import erasure_programs as parts
from tests.support.conditions import Items, Table
from tests.support.erasure_programs import World, carry
from tests.support.interleavings import Call, Interleavings, Program
from tests.support.tag_programs import IMAGE, KEY

PENDING = Record(image_id=IMAGE, user_id="key:alice", uploaded_at=1, original_key=KEY)
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    with mock_aws():
        yield Table()


def stored(record: Record) -> Items:
    return frozenset({(IMAGE, json.dumps(written(record.to_item()), sort_keys=True))})


@cache
def state_of(items: Items) -> str:
    record = Record.from_item(read_values(json.loads(dict(items)[IMAGE])))
    return record.erasure.state if record.erasure else "none"


def run(table: Table, world: World, program: Program) -> World:
    """Run a program to its end, alone."""
    coroutine = program()
    answer = None
    while True:
        try:
            call = coroutine.send(answer)
        except StopIteration:
            return world
        assert isinstance(call, Call)
        world, answer = carry(table, world, call)


def at_last(table: Table, world: World, pauses: parts.Pauses) -> World:
    """Let time pass, and cleanup process messages, until there are none."""
    for number in range(1, 40):
        if not world.messages:
            return world
        world = run(table, world, parts.a_cleanup(passes=1, now=1000 * number, pauses=pauses))
    raise AssertionError("the messages do not end")


def faults(
    table: Table,
    programs: Mapping[str, Program],
    start: World,
    *,
    pauses: parts.Pauses = parts.PAUSES,
    mishaps: int = 1,
) -> Iterator[str]:
    """List what is left of the image in the end, with the shortest way to it."""
    restarted = [name for name in programs if name in ("worker", "cleanup")]
    found = Interleavings(
        programs, lambda world, call: carry(table, world, call), restarted=restarted
    )
    ends: dict[World, World] = {}
    for visit in found.visits(start, mishaps=mishaps):
        if not visit.at_rest:
            continue
        if visit.store not in ends:
            ends[visit.store] = at_last(table, visit.store, pauses)
        end = ends[visit.store]
        asked = visit.store.messages or state_of(end.items) != "none"
        if asked and (state_of(end.items) != "complete" or end.source or end.asset):
            yield f"{state_of(end.items)}, {end.source}, {end.asset}: {visit.path()}"


@pytest.fixture
async def erased(table: Table) -> World:
    """An image that was erased to the end before its upload arrives."""
    asked = run(table, World(stored(PENDING)), parts.an_api())
    end = at_last(table, asked, parts.PAUSES)
    assert state_of(end.items) == "complete"
    return end


async def test_an_erasure_while_a_worker_renders_leaves_nothing(table: Table) -> None:
    programs = {
        "worker": parts.a_worker(), "api": parts.an_api(), "cleanup": parts.a_cleanup(passes=1),
    }  # fmt: skip
    assert next(faults(table, programs, World(stored(PENDING))), None) is None


async def test_a_late_upload_leaves_nothing(table: Table, erased: World) -> None:
    programs = {"worker": parts.a_worker(), "cleanup": parts.a_cleanup(passes=1)}
    assert next(faults(table, programs, erased), None) is None


async def test_two_cleanups_with_doubled_messages_leave_nothing(table: Table) -> None:
    start = World(stored(PENDING), source=True, uploaded=True, asset=True)
    start = replace(start, messages=((0, parts.ERASE), (1, parts.ERASE)), sent=2)
    programs = {f"cleanup {n}": parts.a_cleanup(passes=1) for n in range(2)}
    assert next(faults(table, programs, start), None) is None


async def test_a_delivery_that_dies_after_its_put_leaves_nothing(table: Table) -> None:
    programs = {
        "delivery": parts.a_delivery(), "api": parts.an_api(),
        "cleanup": parts.a_cleanup(passes=2),
    }  # fmt: skip
    start = World(stored(PENDING), source=True, uploaded=True)
    assert next(faults(table, programs, start), None) is None


async def test_without_sending_again_on_read_a_late_upload_stays(
    table: Table, erased: World
) -> None:
    programs = {"worker": parts.a_worker(sends_again=lambda when: when != "read")}
    assert "complete, True" in next(faults(table, programs, erased, mishaps=0))


async def test_without_sending_again_on_commit_an_asset_stays(table: Table) -> None:
    programs = {
        "worker": parts.a_worker(sends_again=lambda when: when != "commit"),
        "api": parts.an_api(),
        "cleanup": parts.a_cleanup(passes=4, pauses=parts.NO_PAUSES),
    }
    start = World(stored(PENDING))
    found = faults(table, programs, start, pauses=parts.NO_PAUSES, mishaps=0)
    assert "complete, False, True" in next(found)


async def test_without_the_last_look_an_asset_of_delivery_stays(table: Table) -> None:
    programs = {
        "delivery": parts.a_delivery(), "api": parts.an_api(),
        "cleanup": parts.a_cleanup(passes=4, pauses=parts.NO_PAUSES),
    }  # fmt: skip
    start = World(stored(PENDING), source=True, uploaded=True)
    found = faults(table, programs, start, pauses=parts.NO_PAUSES, mishaps=0)
    assert "complete, False, True" in next(found)
