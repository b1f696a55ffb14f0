"""The contract of searches: each agrees with reading all records, on every backend."""

import random
import uuid
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight import keys
from safelight.record import Record, Status
from safelight.search import LISTED, Position, Range, Search, Summary
from tests.contract.conftest import Place
from tests.contract.test_records import AwsTable, FakeTable, Table

pytestmark = pytest.mark.asyncio(loop_scope="session")

TYPES = ("image/jpeg", "image/png", "image/heic")
NAMES = ("IMG_1.JPG", "IMG_10.JPG", "img_1.jpg", "Zoë.png", "")
FIRST = 1_700_000_000_000


@pytest_asyncio.fixture(loop_scope="session")
async def table(place: Place | None) -> Table:
    if place is None:
        return FakeTable()
    return AwsTable(place, await place.as_worker.records(), await place.as_api.records())


def an_image(user_id: str, random: random.Random) -> Record:
    """Make a record; times repeat, and facts are missing as in real records."""
    return Record(
        image_id=keys.new_image_id(),
        user_id=user_id,
        uploaded_at=FIRST + random.randrange(6),
        original_key="uploads/x/y",
        status=random.choice(tuple(Status)),
        filename=random.choice(NAMES) or None,
        tags=random.choice(((), ("sea",), ("sea", "holiday"))),
        media_type=random.choice((*TYPES, None)),
        width=random.choice((None, 1, 99, 100, 4000)),
        height=random.choice((None, 1, 50, 3000)),
        original_size=random.choice((None, 12345)),
        placeholder="3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        perceptual_hash=random.choice((None, "00ff00ff00ff00ff")),
        revision="v1",
    )


def expected(records: Sequence[Record], search: Search) -> list[Summary]:
    """Search by looking at every record, without the index."""
    found = [
        record
        for record in records
        if record.user_id == search.user_id
        and record.uploaded_at in search.uploaded
        and record.status in search.statuses
        and (not search.media_types or record.media_type in search.media_types)
        and all(
            (bound is None) or (side is not None and (side >= bound if is_least else side <= bound))
            for side, sides in ((record.width, search.width), (record.height, search.height))
            for bound, is_least in ((sides.least, True), (sides.most, False))
        )
        and (not search.filename or (record.filename or "").startswith(search.filename))
    ]
    found.sort(key=lambda one: one.uploaded_at, reverse=search.newest_first)
    return [Summary.model_validate(record.to_item()) for record in found]


async def all_pages(table: Table, search: Search, *, most: int) -> list[Summary]:
    found: list[Summary] = []
    after: Position | None = None
    for _ in range(1000):
        page = await table.api.find(search, after=after, most=most)
        assert len(page.summaries) <= page.inspected <= most
        found += page
        if (after := page.ends_at) is None:
            return found
    raise AssertionError("the search has no end")


def ranges(*numbers: int) -> st.SearchStrategy[Range]:
    bound = st.sampled_from((None, *numbers))
    return st.tuples(bound, bound).map(
        lambda pair: Range(
            least=pair[0], most=pair[1] if None in pair else max(pair, key=lambda n: n or 0)
        )
    )


SEARCHES: dict[str, st.SearchStrategy[Any]] = {
    "uploaded": ranges(FIRST - 1, FIRST, FIRST + 2, FIRST + 5, FIRST + 9),
    "statuses": st.sampled_from((LISTED, (Status.COMPLETED,), (Status.ERASED, Status.REJECTED))),
    "media_types": st.lists(st.sampled_from(TYPES), max_size=2, unique=True).map(tuple),
    "width": ranges(1, 100, 4000),
    "height": ranges(50, 51),
    "filename": st.sampled_from(("", "IMG_1", "IMG_10", "img", "Zoe", "Zoë")),
    "newest_first": st.booleans(),
}


async def test_every_search_finds_what_reading_all_records_finds(table: Table) -> None:
    seed = random.Random(7)  # noqa: S311 - test data
    user, other = (f"key:{uuid.uuid4()}" for _ in range(2))
    records = [an_image(user, seed) for _ in range(40)] + [an_image(other, seed) for _ in range(3)]
    for record in records:
        await table.store(record)

    searches: list[tuple[Search, int]] = []

    @settings(
        max_examples=30, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(conditions=st.fixed_dictionaries(SEARCHES), most=st.sampled_from((1, 2, 7, 100)))
    def collect(conditions: dict[str, Any], most: int) -> None:
        searches.append((Search(user_id=user, **conditions), most))

    collect()
    for search, most in searches:
        found = await all_pages(table, search, most=most)
        wanted = expected(records, search)
        # Images of one time have an order of their own, which stays the same.
        assert [one.uploaded_at for one in found] == [one.uploaded_at for one in wanted], search
        assert {one.image_id for one in found} == {one.image_id for one in wanted}, search
        assert sorted(found, key=str) == sorted(wanted, key=str)


async def test_an_image_that_goes_between_two_pages_ends_no_list(table: Table) -> None:
    user = f"key:{uuid.uuid4()}"
    seed = random.Random(7)  # noqa: S311 - test data
    ids = []
    for number in range(6):
        times = {"status": Status.COMPLETED, "uploaded_at": FIRST + number}
        record = an_image(user, seed).model_copy(update=times)
        ids.append(record.image_id)
        await table.store(record)
    search = Search(user_id=user, newest_first=False)
    first = await table.api.find(search, most=3)
    await table.remove(ids[2])
    second = await table.api.find(search, after=first.ends_at, most=3)
    assert [one.image_id for one in chain(first, second)] == ids
