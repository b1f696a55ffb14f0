"""Every interleaving of workers and editors of one image: no tag is ever without its entry.

The workers are the real processor, the editors the real `Editing`, and both write by the real
expressions of `Records`, which moto evaluates. Any of them may die at any call, or repeat it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations_with_replacement, permutations

import pytest
from moto import mock_aws

from api.editing import Editing, EditRequest
from safelight.aws.items import read_values, written
from safelight.record import Record
from safelight.tags import entry_of
from tests.support.conditions import Items, Table
from tests.support.interleavings import Answer, Call, Interleavings, Visit
from tests.support.tag_programs import IMAGE, KEY, Change, World, a_worker, an_editor


def uploaded(*tags: str, counted: bool = True) -> Items:
    """The table after an upload was requested; one that is not counted is by an old version."""
    record = Record(image_id=IMAGE, user_id="key:alice", uploaded_at=1, original_key=KEY, tags=tags)
    item = record.to_item()
    if not counted:
        del item["tagsVersion"]
    return frozenset({(IMAGE, json.dumps(written(item), sort_keys=True))})


@cache
def record_in(items: Items) -> Record:
    return Record.from_item(read_values(json.loads(dict(items)[IMAGE])))


@cache
def without_entry(items: Items) -> list[str]:
    """List the tags of the record that the index does not list."""
    stored = dict(items)
    record = record_in(items)
    entries = {tag: stored.get(entry_of(record, tag, version=0).key, "{}") for tag in record.tags}
    return [tag for tag, item in entries.items() if "userId" not in json.loads(item)]


def is_one_by_one(before: Record, after: Record, changes: Iterable[Change]) -> bool:
    """Return whether some order of these changes, one after the other, gives the record."""
    for order in permutations(changes):
        tags, version = before.tags, before.tags_version
        for change in order:
            now = EditRequest.model_validate(change).tags_after(tags)
            tags, version = now, version + (now != tags)
        if (tags, version) == (after.tags, after.tags_version):
            return True
    return False


class EntriesLast(Editing):
    """A wrong order: the record before the entries of added tags."""

    async def _applied(self, change: EditRequest, read: Record) -> Record | None:
        tags = change.tags_after(read.tags)
        edited = await self._records.edit(read, tags=tags, filename=None)
        if edited is not None and read.status.settled:
            version = read.tags_version + 1
            for tag in tags:
                await self._records.put_tag(entry_of(read, tag, version=version))
            for tag in set(read.tags) - set(tags):
                await self._records.drop_tag(entry_of(read, tag, version=version), now=0)
        return edited


@dataclass(frozen=True)
class Design:
    """The order of an editor's calls, and which update has no condition."""

    editing: type[Editing] = Editing
    unconditional: str = "no update"
    """A text that only this update has."""


RIGHT = Design()
ALWAYS = " OR attribute_exists(imageId) OR attribute_not_exists(imageId)"
WRONG = {
    "entries after the record": Design(editing=EntriesLast),
    "a record written without condition": Design(unconditional="SET #tags = :tags"),
    "entries put without condition": Design(unconditional="REMOVE expiresAt"),
    "entries dropped without condition": Design(unconditional="REMOVE userId"),
}


def visits(
    table: Table, changes: Sequence[Change], start: Items, *, mishaps: int, workers: int = 1,
    design: Design = RIGHT,
) -> Iterator[Visit[World]]:  # fmt: skip
    def carry(world: World, call: Call) -> tuple[World, Answer]:
        if call.operation == "Publish":
            return replace(world, published=True), "{}"
        if design.unconditional in call.arguments:
            request = json.loads(call.arguments)
            request["ConditionExpression"] += ALWAYS
            call = replace(call, arguments=json.dumps(request, sort_keys=True))
        items, answer = table.carry(world.items, call)
        return replace(world, items=items), answer

    processors = {f"worker {n}": a_worker() for n in range(workers)}
    editors = {f"editor {n}": an_editor(one, design.editing) for n, one in enumerate(changes)}
    programs = Interleavings(processors | editors, carry, restarted=processors)
    return programs.visits(World(start), mishaps=mishaps)


def faults(
    found: Iterable[Visit[World]], changes: Sequence[Change], start: Items, *, mishaps: int = 1
) -> Iterator[str]:
    """Compare every state with what must hold; the first fault has one of the shortest ways.

    Without any mishap, all changes that were answered with 200 count, and no others.
    """
    for visit in found:
        if visit.store.published and (tags := without_entry(visit.store.items)):
            yield f"no entry of {tags}: {visit.path()}"
        if visit.at_rest and not visit.store.published:
            yield f"no completion: {visit.path()}"
        if visit.at_rest and visit.mishaps == mishaps:
            results = [visit.results[f"editor {n}"] for n, _ in enumerate(changes)]
            done = [
                change for change, result in zip(changes, results, strict=True)
                if isinstance(result, int)
            ]  # fmt: skip
            if not is_one_by_one(record_in(start), record_in(visit.store.items), done):
                yield f"a change is lost: {results} {visit.path()}"
            if any("tagsVersion" not in one for one in changes if one not in done):
                yield f"refused without a conflict: {results} {visit.path()}"


ADD_A: Change = {"addTags": ("a",)}
ADD_B: Change = {"addTags": ("b",)}
REMOVE_A: Change = {"removeTags": ("a",)}
ONLY_B: Change = {"tags": ("b",), "tagsVersion": 0}
CHANGES = (ADD_A, ADD_B, REMOVE_A, ONLY_B)
PAIRS = tuple(combinations_with_replacement(CHANGES, 2))
TRIPLES = tuple(combinations_with_replacement(CHANGES, 3))
NEW, OLD = uploaded("a"), uploaded("a", counted=False)


QUICK = ((ADD_A, REMOVE_A), (ADD_B, ONLY_B))
"""Pairs that are tested by default; the others are slow."""


def in_short(changes: Sequence[Change]) -> str:
    return ", ".join(f"{name} {''.join(one[name])}" for one in changes for name in list(one)[:1])


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    with mock_aws():
        yield Table()


@pytest.mark.parametrize(
    "changes",
    [pair if pair in QUICK else pytest.param(pair, marks=pytest.mark.slow) for pair in PAIRS],
    ids=map(in_short, PAIRS),
)
async def test_two_editors_and_a_worker_with_a_mishap(
    table: Table, changes: Sequence[Change]
) -> None:
    found = list(visits(table, changes, NEW, mishaps=1))
    assert any(visit.at_rest for visit in found)
    assert not list(faults(found, changes, NEW))


async def test_two_editors_of_an_image_whose_tags_are_not_counted_yet(table: Table) -> None:
    changes = (ADD_B, REMOVE_A)
    assert not list(faults(visits(table, changes, OLD, mishaps=1), changes, OLD))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("changes", TRIPLES, ids=map(in_short, TRIPLES))
async def test_three_editors_and_a_worker_with_a_mishap(
    table: Table, changes: Sequence[Change]
) -> None:
    assert not list(faults(visits(table, changes, NEW, mishaps=1), changes, NEW))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("changes", PAIRS, ids=map(in_short, PAIRS))
async def test_two_editors_and_two_workers_with_two_mishaps(
    table: Table, changes: Sequence[Change]
) -> None:
    found = visits(table, changes, NEW, mishaps=2, workers=2)
    assert not list(faults(found, changes, NEW, mishaps=2))


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_design_is_found(table: Table, wrong: str) -> None:
    changes = (REMOVE_A, ADD_A)
    found = visits(table, changes, NEW, mishaps=1, design=WRONG[wrong])
    assert any(fault.startswith("no entry") for fault in faults(found, changes, NEW)), wrong
