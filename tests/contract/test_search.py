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
from safelight.aws.dependency import Dependency
from safelight.aws.searching import Searcher
from safelight.record import Record, Status
from safelight.search import LISTED, Position, Range, Search, Summary
from safelight.tags import entries_of, entry_of
from tests.contract.conftest import Place
from tests.contract.test_records import AwsTable, FakeTable, Table, completed, pending

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
        keep_until=random.choice((None, 1_900_000_000_000)),
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
        and all(tag in record.tags for tag in search.tags)
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
    "tags": st.sampled_from(((), (), ("sea",), ("holiday", "sea"), ("Sea",))),
    "newest_first": st.booleans(),
}


@pytest.mark.parametrize(
    ("images", "examples"), [(14, 12), pytest.param(40, 60, marks=pytest.mark.slow)]
)
async def test_every_search_finds_what_reading_all_records_finds(
    table: Table, images: int, examples: int
) -> None:
    seed = random.Random(7)  # noqa: S311 - test data
    user, other = (f"key:{uuid.uuid4()}" for _ in range(2))
    owners = [user] * images + [other] * 3
    records = [an_image(owner, seed) for owner in owners]
    for record in records:
        await table.store(record)
        for entry in entries_of(record):
            await table.edge.put_tag(entry)

    searches: list[tuple[Search, int]] = []

    @settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
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


async def tagged(table: Table, user: str, tag: str) -> list[str]:
    search = Search(user_id=user, tags=(tag,))
    return [one.image_id for one in await all_pages(table, search, most=100)]


async def test_an_entry_only_suggests_and_the_record_decides(table: Table) -> None:
    user = f"key:{uuid.uuid4()}"
    record = an_image(user, random.Random(7)).model_copy(  # noqa: S311 - test data
        update={"tags": ("sea",), "status": Status.COMPLETED, "uploaded_at": FIRST}
    )
    gone = record.model_copy(update={"image_id": keys.new_image_id()})
    await table.store(record)
    for one in (record, gone):
        for tag in ("sea", "lake"):
            await table.edge.put_tag(entry_of(one, tag, version=0))
    assert await tagged(table, user, "lake") == []
    assert await tagged(table, user, "sea") == [record.image_id]
    found = await table.api.find(Search(user_id=user, tags=("lake",)), most=9)
    assert found.stale == found.inspected > 0
    found = await table.api.find(Search(user_id=user, tags=("sea",)), most=9)
    assert found.inspected - found.stale == 1
    assert await all_pages(table, Search(user_id=user), most=100) == expected(
        [record], Search(user_id=user)
    )


@pytest.mark.parametrize(
    ("writes", "listed"),
    [
        ([("put", 0)], True),
        ([("put", 0), ("drop", 1)], False),
        ([("drop", 1), ("put", 0)], False),  # a worker that is late
        ([("put", 0), ("drop", 1), ("put", 2)], True),
        ([("put", 2), ("drop", 1)], True),  # an editor that is late
        ([("put", 1), ("put", 0), ("drop", 1)], False),
    ],
)
async def test_of_the_writers_of_an_entry_the_newest_version_counts(
    table: Table, writes: list[tuple[str, int]], listed: bool
) -> None:
    user = f"key:{uuid.uuid4()}"
    record = an_image(user, random.Random(7)).model_copy(  # noqa: S311 - test data
        update={"tags": ("sea",), "status": Status.COMPLETED}
    )
    await table.store(record)
    for what, version in writes:
        entry = entry_of(record, "sea", version=version)
        if what == "put":
            await table.api.put_tag(entry)
        else:
            await table.api.drop_tag(entry, now=1_800_000_000)
    assert await tagged(table, user, "sea") == ([record.image_id] if listed else [])


async def test_an_edit_counts_and_applies_only_to_what_was_read(table: Table) -> None:
    record = an_image("key:alice", random.Random(7)).model_copy(  # noqa: S311 - test data
        update={"tags": ("sea",), "status": Status.COMPLETED, "filename": None}
    )
    await table.store(record)
    edited = await table.api.edit(record, tags=("sea", "sun"), filename=None)
    assert edited == record.model_copy(update={"tags": ("sea", "sun"), "tags_version": 1})
    assert await table.api.edit(record, tags=(), filename="a.jpg") is None
    named = await table.api.edit(edited, tags=(), filename="a.jpg")
    assert (named.tags, named.tags_version, named.filename) == ((), 2, "a.jpg")
    for other in ({"status": Status.PENDING}, {"user_id": "key:bob"}, {"tags_version": 1}):
        assert (
            await table.api.edit(named.model_copy(update=other), tags=("x",), filename="") is None
        )
    assert await table.edge.get(record.image_id) == named


async def test_a_settlement_keeps_tags_that_were_edited_meanwhile(table: Table) -> None:
    announced = pending()
    await table.api.create(announced)
    await table.api.edit(announced, tags=("edited",), filename="new.jpg")
    commit = await table.edge.commit(completed(announced.image_id))
    assert (commit.record.tags, commit.record.tags_version) == (("edited",), 1)
    assert commit.record.filename == "new.jpg"


class BusyTable:
    """A client of DynamoDB that leaves out keys of a batch: so many times, or always."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.batches: list[int] = []

    async def query(self, **_: Any) -> Any:
        items = [{"imageId": {"S": f"{number}\x1fsea"}} for number in range(3)]
        return {"Items": items, "ScannedCount": 3}

    async def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803 - AWS's name
        keys_of = RequestItems["images"]["Keys"]
        self.batches.append(len(keys_of))
        taken, left = keys_of[:1], keys_of[1:]
        if len(self.batches) > self.refusals:
            taken, left = keys_of, []
        facts = {"userId": {"S": "key:a"}, "uploadedAt": {"N": "1"}, "status": {"S": "completed"}}
        items = [key | facts | {"tags": {"L": [{"S": "sea"}]}} for key in taken]
        again = {"images": {"Keys": left}} if left else {}
        return {"Responses": {"images": items}, "UnprocessedKeys": again}


@pytest.mark.parametrize("refusals", [0, 1, 2])
async def test_records_that_a_batch_left_out_are_read_again(refusals: int) -> None:
    busy: Any = BusyTable(refusals)
    searcher = Searcher(busy, Dependency("dynamodb"), table="images")
    found = await searcher.find(Search(user_id="key:a", tags=("sea",)), after=None, most=50)
    assert [one.image_id for one in found] == ["0", "1", "2"]
    assert busy.batches == [3, 2, 1][: refusals + 1]
