"""The contract of lists of all users: each agrees with reading all records, on every backend."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.expired import expired
from safelight import keys
from safelight.days import bounds_of, day_of, shard_of
from safelight.record import Record, Status
from safelight.search import EDGE, EVERYONE, Position, Range, Search, Settled
from safelight.tags import entries_of
from tests.contract.conftest import Place
from tests.contract.test_records import AwsTable, FakeTable, Table, completed, pending
from tests.support.fakes import FakeIndexing

pytestmark = pytest.mark.asyncio(loop_scope="session")

TYPES = ("image/jpeg", "image/png")
NAMES = ("IMG_1.JPG", "img_1.jpg", None)
LATER = datetime(2300, 1, 1, tzinfo=UTC).timestamp()
"""The present of these searches, behind all seasons."""
_seasons = iter(date(2030, 1, 1) + timedelta(days=10 * number) for number in range(10_000))


@pytest_asyncio.fixture(loop_scope="session")
async def table(place: Place | None) -> Table:
    if place is None:
        return FakeTable()
    return AwsTable(
        place, await place.as_worker.records(), await place.as_api.records(now=lambda: LATER)
    )


def settled(completed_at: int, random: random.Random, **changes: Any) -> Record:
    """Make a settled record; facts are missing as in real records."""
    image_id = keys.new_image_id()
    record = Record(
        image_id=image_id,
        user_id=random.choice(("key:alice", "key:bob")),
        uploaded_at=completed_at - random.randrange(10**9),
        original_key="uploads/x/y",
        status=random.choice((Status.COMPLETED, Status.REJECTED)),
        filename=random.choice(NAMES),
        tags=random.choice(((), ("sea",))),
        media_type=random.choice((*TYPES, None)),
        width=random.choice((None, 100, 4000)),
        height=random.choice((None, 50, 3000)),
        keep_until=random.choice((None, completed_at, completed_at + 5)),
        revision="v1",
        completed_at=completed_at,
        day=day_of(completed_at, image_id),
    )
    return record.model_copy(update=changes)


def place_of(one: Settled) -> tuple[int, int]:
    return one.completed_at, shard_of(one.image_id)


def expected(records: Sequence[Record], search: Search) -> list[Settled]:
    """Search by looking at every record, without the index."""
    found = [
        Settled.model_validate(record.to_item())
        for record in records
        if record.day is not None
        and (record.completed_at or 0) in search.uploaded
        and record.status in search.statuses
        and (not search.media_types or record.media_type in search.media_types)
        and (search.width.least is None or (record.width or 0) >= search.width.least)
        and (record.filename or "").startswith(search.filename)
        and (
            search.keep_until.most is None
            or (record.keep_until is not None and record.keep_until <= search.keep_until.most)
        )
    ]
    return sorted(found, key=lambda one: one.completed_at, reverse=search.newest_first)


async def all_pages(table: Table, search: Search, *, most: int) -> list[Settled]:
    found: list[Any] = []
    after: Position | None = None
    for _ in range(500):
        page = await table.api.find(search, after=after, most=most)
        assert len(page.summaries) <= page.inspected
        found += page
        if (after := page.ends_at) is None:
            return found
    raise AssertionError("the search has no end")


SEARCHES: dict[str, st.SearchStrategy[Any]] = {
    "statuses": st.sampled_from(((Status.COMPLETED, Status.REJECTED), (Status.REJECTED,))),
    "media_types": st.sampled_from(((), ("image/png",))),
    "width": st.sampled_from((Range(), Range(least=101))),
    "filename": st.sampled_from(("", "IMG")),
    "newest_first": st.booleans(),
}


@pytest.mark.parametrize(
    ("images", "examples"), [(30, 3), pytest.param(60, 25, marks=pytest.mark.slow)]
)
async def test_every_search_among_all_users_finds_what_reading_all_records_finds(
    table: Table, images: int, examples: int
) -> None:
    """Times repeat, lie on both sides of midnight, and a day between them has no image."""
    seed = random.Random(7)  # noqa: S311 - test data
    first, last = bounds_of(next(_seasons))
    times = [first, first + 1, first + 2, last - 1, last, last + 1 + 24 * 3600 * 1000]
    records = [settled(seed.choice(times), seed) for _ in range(images)]
    for record in records:
        await table.store(record)
    await table.store(pending(uploaded_at=first))
    cases: list[tuple[Search, int]] = []
    bounds = st.sampled_from((times[0], times[2], times[4], times[5]))

    @settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        conditions=st.fixed_dictionaries(SEARCHES),
        sides=st.tuples(bounds, bounds).map(sorted),
        kept=st.sampled_from((None, first + 2, last + 3)),
        most=st.sampled_from((16, 48, 1000)),
    )
    def collect(conditions: dict[str, Any], sides: list[int], kept: int | None, most: int) -> None:
        uploaded = Range(least=sides[0], most=sides[1])
        search = Search(
            user_id=EVERYONE, uploaded=uploaded, keep_until=Range(most=kept), **conditions
        )
        cases.append((search, most))

    collect()
    for newest_first in (True, False):
        whole = Range(least=times[0], most=times[5])
        cases.append((Search(user_id=EVERYONE, uploaded=whole, newest_first=newest_first), 16))
    for search, most in cases:
        found = await all_pages(table, search, most=most)
        wanted = expected(records, search)
        assert [one.completed_at for one in found] == [one.completed_at for one in wanted], search
        assert sorted(found, key=str) == sorted(wanted, key=str), search


async def test_a_position_that_was_cut_out_of_a_page_goes_on_behind_its_image(
    table: Table,
) -> None:
    """A page of the API ends anywhere, also among images of one millisecond."""
    seed = random.Random(7)  # noqa: S311 - test data
    start, _ = bounds_of(next(_seasons))
    records = [settled(start + seed.randrange(2), seed) for _ in range(24)]
    for record in records:
        await table.store(record)
    for newest_first in (True, False):
        uploaded = Range(least=start, most=start + 9)
        search = Search(user_id=EVERYONE, uploaded=uploaded, newest_first=newest_first)
        everything = await all_pages(table, search, most=1000)
        assert {one.image_id for one in everything} == {one.image_id for one in records}
        for number in (0, 5, 11, 22):
            after = everything[number].position
            page = await table.api.find(search, after=after, most=1000)
            assert list(page) == everything[number + 1 :]


async def test_an_image_that_is_erased_between_two_pages_ends_no_list(table: Table) -> None:
    seed = random.Random(7)  # noqa: S311 - test data
    start, _ = bounds_of(next(_seasons))
    records = [settled(start + number, seed) for number in range(6)]
    for record in records:
        await table.store(record)
    search = Search(
        user_id=EVERYONE, uploaded=Range(least=start, most=start + 9), newest_first=False
    )
    await table.remove(records[2].image_id)
    page = await table.api.find(
        search, after=Position(time=start + 2, image_id=records[2].image_id), most=1000
    )
    assert [one.image_id for one in page] == [one.image_id for one in records[3:]]
    edge = Position(time=start + 2, image_id=EDGE)
    assert (await table.api.find(search, after=edge, most=1000)).summaries == page.summaries


async def test_images_whose_time_is_over_are_found_with_their_users(table: Table) -> None:
    seed = random.Random(7)  # noqa: S311 - test data
    first = bounds_of(date(2026, 11, 2))[0] + seed.randrange(10**6)
    over = settled(first, seed, keep_until=first + 1000, user_id="key:carol")
    others = [settled(first, seed, keep_until=until) for until in (first + 2001, None)]
    for record in (over, *others):
        await table.store(record)
    found = [one async for one in expired(table.api, now=first + 2000)]
    ours = {record.image_id for record in (over, *others)}
    assert [
        (one.image_id, one.user_id, one.keep_until) for one in found if one.image_id in ours
    ] == [(over.image_id, "key:carol", first + 1000)]


async def test_a_settlement_moves_an_image_to_its_day(table: Table) -> None:
    day = next(_seasons)
    announced = pending()
    await table.api.create(announced)
    first = bounds_of(day)[0]
    for number in (0, 1):
        at = first + number * 24 * 3600 * 1000
        revised = completed(announced.image_id, f"v{number}", f"1{number}", completed_at=at)
        await table.edge.commit(revised.model_copy(update={"day": day_of(at, announced.image_id)}))
    for number, listed in ((0, []), (1, [announced.image_id])):
        start, end = bounds_of(day + timedelta(days=number))
        search = Search(user_id=EVERYONE, uploaded=Range(least=start, most=end))
        assert [one.image_id for one in await all_pages(table, search, most=100)] == listed


async def test_what_the_indexes_lack_is_read_and_written(place: Place | None, table: Table) -> None:
    indexing = FakeIndexing(table.edge) if place is None else await place.as_operator.indexing()
    seed = random.Random(7)  # noqa: S311 - test data
    start, _ = bounds_of(next(_seasons))
    record = settled(start, seed, day=None, tags=("sea", "sun", "ice"), uploaded_at=start)
    await table.store(record)
    sea, sun, ice = entries_of(record)
    await table.edge.put_tag(sea)
    await table.edge.put_tag(ice)
    await table.edge.drop_tag(ice, now=1_800_000_000)
    assert await indexing.listed([sea, sun, ice]) == {sea}
    assert await indexing.listed([]) == frozenset()
    read = await indexing.read([record.image_id, keys.new_image_id()])
    assert read.keys() == {record.image_id}
    assert (read[record.image_id].day, read[record.image_id].tags) == (None, record.tags)
    day = day_of(start, record.image_id)
    for changed in ({"completed_at": start + 1}, {"status": Status.ERASED}):
        await indexing.put_day(read[record.image_id].model_copy(update=changed), day)
    assert (await table.edge.get(record.image_id)).day is None
    await indexing.put_day(read[record.image_id], day)
    assert (await table.edge.get(record.image_id)).day == day
    missing = record.model_copy(update={"image_id": keys.new_image_id()})
    await indexing.put_day(missing, day)
    assert await table.edge.get(missing.image_id) is None
