"""Lists of images, as a client of the API meets them."""

import json
import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from api.auth import USER
from api.cursors import read_cursor, write_cursor
from api.delivery.signing import SigningKeys
from api.list_request import ListRequest
from api.listing import MOST_DAYS, MOST_INSPECTED, MOST_QUERIES, ImageList, Listing
from api.metrics import SearchKind, SearchMetrics
from api.middlewares import NOTES
from api.problems import Problem, Refusal
from api.thumbnails import Thumbnails
from safelight import keys
from safelight.days import day_of
from safelight.named_keys import read_keys
from safelight.presets import Policy, Preset
from safelight.record import Record, Status
from safelight.search import EDGE, Found, Position, Search
from safelight.tags import entry_of
from safelight.wish.wish import Wish
from tests.support.fakes import FakeRecords
from tests.unit.api.clients import ALICE, BOB, Api, Start

ROOT = Path(__file__).parents[3]
DAY = 24 * 3600
NOW = 1_800_000_000
SECRET = "s" * 32


def stored(api: Api, count: int = 1, **changes: Any) -> list[Record]:
    """Store completed images of Alice, the oldest first."""
    usual = {
        "user_id": "key:alice",
        "original_key": "uploads/x/y",
        "status": Status.COMPLETED,
        "media_type": "image/jpeg",
        "width": 400,
        "height": 300,
        "perceptual_hash": "00ff00ff00ff00ff",
        "revision": "v1",
    }
    made = [
        Record(
            **{"image_id": keys.new_image_id(), "uploaded_at": 1_700_000_000_000 + number}
            | usual
            | changes
        )
        for number in range(count)
    ]
    api.records.records |= {record.image_id: record for record in made}
    return made


async def listed(api: Api, query: str = "", *, headers: dict[str, str] = ALICE) -> Any:
    answer, page = await api.ask("GET", f"/v1/images{query}", headers=headers)
    assert answer.status == 200, page
    return page


def ids(page: Any) -> list[str]:
    return [image["imageId"] for image in page["images"]]


async def refused(api: Api, query: str) -> tuple[str, dict[str, str]]:
    answer, problem = await api.ask("GET", f"/v1/images{query}", headers=ALICE)
    assert answer.status == 422
    faults = {fault["pointer"]: fault["detail"] for fault in problem.get("errors", ())}
    return problem["type"].rpartition("/")[2], faults


async def test_a_user_sees_their_own_images_the_newest_first(api: Api) -> None:
    older, newer = stored(api, 2)
    stored(api, user_id="key:bob")
    page = await listed(api)
    assert ids(page) == [newer.image_id, older.image_id]
    assert page["images"][0] == {
        "imageId": newer.image_id,
        "status": "completed",
        "uploadedAt": "2023-11-14T22:13:20.001000Z",
        "tags": [],
        "mediaType": "image/jpeg",
        "width": 400,
        "height": 300,
    }
    assert "next" not in page
    assert ids(await listed(api, "?sort=uploadedAt")) == [older.image_id, newer.image_id]
    assert len((await listed(api, headers=BOB))["images"]) == 1


async def test_a_list_says_until_when_images_are_kept(api: Api) -> None:
    stored(api, keep_until=1_900_000_000_123)
    (image,) = (await listed(api))["images"]
    assert image["keepUntil"] == "2030-03-17T17:46:40.123000Z"


async def test_an_admin_lists_the_images_of_another_user(start: Start) -> None:
    api = await start(admins=("key:bob",))
    older, newer = stored(api, 2)
    (own,) = stored(api, user_id="key:bob")
    assert ids(await listed(api, headers=BOB)) == [own.image_id]
    for_alice = "?user=key:alice&limit=1"
    page = await listed(api, for_alice, headers=BOB)
    assert ids(page) == [newer.image_id]
    more = f"&cursor={page['next']}"
    assert ids(await listed(api, for_alice + more, headers=BOB)) == [older.image_id]
    answer, problem = await api.ask("GET", f"/v1/images?limit=1{more}", headers=BOB)
    assert (answer.status, problem["type"]) == (422, "/problems/invalid_cursor")
    alike = f"?user=key:alice&like={older.image_id}"
    assert ids(await listed(api, alike, headers=BOB)) == [newer.image_id]


async def test_others_may_name_no_user_but_themselves(start: Start) -> None:
    api = await start(admins=("key:bob",))
    (image,) = stored(api)
    assert ids(await listed(api, "?user=key:alice")) == [image.image_id]
    answer, problem = await api.ask("GET", "/v1/images?user=key:bob", headers=ALICE)
    assert (answer.status, problem["type"]) == (403, "/problems/not_an_admin")


@pytest.mark.parametrize("user", ["", "alice", "**"])
async def test_a_list_is_of_one_user_or_all(start: Start, user: str) -> None:
    api = await start(admins=("key:alice",))
    slug, faults = await refused(api, f"?user={user}")
    assert slug == "invalid_request"
    assert faults["?user"].startswith("must be one user id: key:NAME")


def settled(api: Api, count: int, **changes: Any) -> list[Record]:
    """Store images of both users that were settled at two times, also in one millisecond."""
    users = ("key:alice", "key:bob")
    at = 1_795_900_000_001
    made = []
    for number in range(count):
        image_id, completed_at = keys.new_image_id(), at + number % 2
        place = {"completed_at": completed_at, "day": day_of(completed_at, image_id)}
        whose = {"image_id": image_id, "user_id": users[number % 2]}
        made += stored(api, **whose | place | changes)
    return made


async def test_an_admin_lists_the_settled_images_of_all_users(start: Start) -> None:
    api = await start(admins=("key:bob",))
    images = settled(api, 20)
    stored(api, status=Status.PENDING)
    query = "?user=*&limit=7"
    page = await listed(api, query, headers=BOB)
    found = page["images"]
    while "next" in page:
        page = await listed(api, f"{query}&cursor={page['next']}", headers=BOB)
        found += page["images"]
    assert sorted(one["imageId"] for one in found) == sorted(one.image_id for one in images)
    times = [one["completedAt"] for one in found]
    assert times == sorted(times, reverse=True)
    assert {one["userId"] for one in found} == {"key:alice", "key:bob"}
    oldest = await listed(api, "?user=*&sort=uploadedAt", headers=BOB)
    assert [one["completedAt"] for one in oldest["images"]] == sorted(times)
    since = "&since=2026-11-28T21:06:40.002Z"
    assert len((await listed(api, query + "0" + since, headers=BOB))["images"]) == 10


async def test_only_an_admin_lists_the_images_of_all_users(api: Api) -> None:
    answer, problem = await api.ask("GET", "/v1/images?user=*", headers=ALICE)
    assert (answer.status, problem["type"]) == (403, "/problems/not_an_admin")


@pytest.mark.parametrize(
    ("query", "pointer", "detail"),
    [
        ("tag=sea", "?tag", "is for the images of one user; name the user."),
        ("like=01M8J1TZA6AQNZGH7GSKKKT0JR", "?like", "is for the images of one user"),
        ("status=pending", "?status", "must be completed or rejected in a list of all users."),
        ("status=erased&status=completed", "?status", "must be completed or rejected"),
    ],
)
async def test_a_list_of_all_users_says_what_it_cannot_do(
    start: Start, query: str, pointer: str, detail: str
) -> None:
    api = await start(admins=("key:alice",))
    slug, faults = await refused(api, f"?user=*&{query}")
    assert slug == "invalid_request"
    assert faults[pointer].startswith(detail)


class EmptyDays(FakeRecords):
    """The images of all users on days of which none has an image that a search finds."""

    def __init__(self, inspected: int) -> None:
        super().__init__()
        self.inspected = inspected

    async def find(self, search: Search, *, after: Position | None = None, most: int) -> Found:
        self._called("find")
        time = 10**9 if after is None else after.time - 1
        ends_at = Position(time=time, image_id=EDGE)
        return Found(summaries=(), inspected=min(self.inspected, most), ends_at=ends_at)


@pytest.mark.parametrize(("inspected", "steps"), [(0, MOST_DAYS), (300, 4), (1000, 1)])
async def test_a_list_of_all_users_reads_a_thousand_images_and_fifty_days_at_most(
    inspected: int, steps: int
) -> None:
    records = EmptyDays(inspected)
    thumbnails = Thumbnails(presets=(), signing=SigningKeys({}), delivery_url=None)
    registry = CollectorRegistry()
    listing = Listing(
        records=records,
        thumbnails=thumbnails,
        url_seconds=900,
        metrics=SearchMetrics(registry),
        admins=("a",),
        clock=lambda: 0.0,
    )
    query = "/v1/images?user=*&minWidth=4000"
    request = make_mocked_request("GET", query)
    request[USER], request[NOTES] = "a", {}
    page = json.loads((await listing.get(request)).body)
    assert (page["images"], records.calls["find"]) == ([], steps)
    everyone = {"kind": "everyone"}
    assert registry.get_sample_value("safelight_search_pages_total", everyone) == 1
    again = make_mocked_request("GET", f"{query}&cursor={page['next']}")
    again[USER], again[NOTES] = "a", {}
    assert json.loads((await listing.get(again)).body)["next"] != page["next"]


async def test_pages_follow_each_other_to_the_end(api: Api) -> None:
    images = stored(api, 5)
    found, query = [], "?limit=2&sort=uploadedAt"
    page = await listed(api, query)
    while "next" in page:
        found += ids(page)
        page = await listed(api, f"{query}&cursor={page['next']}")
    assert found + ids(page) == [image.image_id for image in images]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?status=rejected", [3]),
        ("?status=rejected&status=completed", [3, 2, 1, 0]),
        ("?status=erased", [4]),
        ("?mediaType=image/png", [1]),
        ("?minWidth=500", [2]),
        ("?maxWidth=399&minHeight=300", [1]),
        ("?maxHeight=200", [2]),
        ("?filename=IMG_", [0]),
        ("?since=2023-11-14T22:13:21Z&until=2023-11-14T22:13:22Z", [2, 1]),
        ("?since=2023-11-14T23:13:22%2B01:00", [3, 2]),
    ],
)
async def test_each_parameter_narrows_the_list(api: Api, query: str, found: list[int]) -> None:
    images = [
        *stored(api, filename="IMG_1.JPG"),
        *stored(api, uploaded_at=1_700_000_001_000, media_type="image/png", width=10),
        *stored(api, uploaded_at=1_700_000_002_000, width=600, height=200),
        *stored(
            api, uploaded_at=1_700_000_003_000, status=Status.REJECTED, width=None, height=None
        ),
        *stored(api, uploaded_at=1_600_000_004_000, status=Status.ERASED),
    ]
    assert ids(await listed(api, query)) == [images[number].image_id for number in found]


async def test_pending_images_are_left_out_once_they_can_no_longer_arrive(api: Api) -> None:
    now = int(time.time())
    pending = {"status": Status.PENDING, "perceptual_hash": None, "revision": None}
    (awaited,) = stored(api, uploaded_at=(now - 900 - 3500) * 1000, **pending)
    (forgotten,) = stored(api, uploaded_at=(now - 900 - 3700) * 1000, **pending)
    assert ids(await listed(api)) == [awaited.image_id]
    assert ids(await listed(api, "?status=pending")) == [awaited.image_id, forgotten.image_id]


async def test_pictures_that_look_like_one_are_found(api: Api) -> None:
    (this,) = stored(api)
    (near,) = stored(api, perceptual_hash="00ff00ff00ff00f0")
    stored(api, perceptual_hash="ff00ff00ff00ff00")
    stored(api, status=Status.REJECTED, perceptual_hash=None)
    (of_bob,) = stored(api, user_id="key:bob")
    assert ids(await listed(api, f"?like={this.image_id}")) == [near.image_id]
    assert ids(await listed(api, f"?like={this.image_id.lower()}&distance=3")) == []
    for image_id in (of_bob.image_id, keys.new_image_id()):
        assert (await refused(api, f"?like={image_id}"))[1] == {
            "?like": "must be a completed image of the same user."
        }


class EndlessRecords(FakeRecords):
    """A user's images of which none is ever found. Each read takes `seconds` of `clock`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.clock = 0.0
        self.read = 0

    async def find(self, search: Search, *, after: Position | None = None, most: int) -> Found:
        self.clock += self.seconds
        self.read += most
        ends_at = Position(time=10**6 - self.read, image_id="0" * 26)
        return Found(summaries=(), inspected=most, ends_at=ends_at)


@pytest.mark.parametrize(("seconds", "queries"), [(0.01, MOST_QUERIES), (0.3, 3), (5, 1)])
async def test_a_narrow_search_is_answered_with_an_empty_page_that_goes_on(
    seconds: float, queries: int
) -> None:
    records = EndlessRecords(seconds)
    registry = CollectorRegistry()
    thumbnails = Thumbnails(presets=(), signing=SigningKeys({}), delivery_url=None)
    listing = Listing(
        records=records,
        thumbnails=thumbnails,
        url_seconds=900,
        metrics=SearchMetrics(registry),
        clock=lambda: records.clock,
    )
    request = make_mocked_request("GET", "/v1/images?minWidth=4000")
    request[USER] = "key:alice"
    page = json.loads((await listing.get(request)).body)
    assert page.keys() == {"images", "searchedTo", "next"}
    assert page["images"] == []
    assert records.read == queries * MOST_INSPECTED
    assert registry.get_sample_value("safelight_search_inspected_sum") == records.read


async def counted(api: Api, name: str, **labels: str) -> float:
    """Return the value of a metric, as a scrape reads it."""
    text = await (await api.client.get("/metrics")).text()
    families = text_string_to_metric_families(text)
    (value,) = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return value


async def test_the_pages_of_a_narrow_search_leave_nothing_out(api: Api) -> None:
    wide = stored(api, 5)
    stored(api, 2, width=4)
    found, query = [], "?minWidth=5&limit=2"
    page = await listed(api, query)
    while "next" in page:
        found += ids(page)
        page = await listed(api, f"{query}&cursor={page['next']}")
    assert found + ids(page) == [one.image_id for one in reversed(wide)]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("", "all"),
        ("?since=2020-01-01T00:00:00Z&limit=2", "all"),
        ("?minWidth=5", "filter"),
        ("?like=IMAGE", "like"),
        ("?tag=sea&minWidth=5", "tag"),
    ],
)
async def test_each_page_is_counted_by_what_it_was_searched_by(
    api: Api, query: str, kind: str
) -> None:
    (one,) = stored(api)
    await listed(api, query.replace("IMAGE", one.image_id))
    counts = {
        name: await counted(api, "safelight_search_pages_total", kind=name)
        for name in get_args(SearchKind)
    }
    assert counts == dict.fromkeys(get_args(SearchKind), 0) | {kind: 1}
    assert await counted(api, "safelight_search_inspected_count") == 1


async def test_images_that_were_read_and_stale_entries_are_counted(api: Api) -> None:
    (one, other) = stored(api, 2, tags=("sea",))
    stored(api, 3)
    for image in (one, other):
        await api.records.put_tag(entry_of(image, "sea", version=0))
    api.records.records[other.image_id] = other.model_copy(update={"tags": ()})
    assert ids(await listed(api, "?tag=sea")) == [one.image_id]
    assert await counted(api, "safelight_search_inspected_sum") == 2
    assert await counted(api, "safelight_search_stale_entries_total") == 1
    await listed(api)
    assert await counted(api, "safelight_search_inspected_sum") == 2 + 5


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ("?colour=red", {"?colour": "There is no parameter of this name."}),
        ("?minWidth=wide", {"?minWidth": "must be a whole number."}),
        ("?limit=101&sort=name", {"?limit": "must be at most 100."}),
        ("?limit=5&limit=6", {"?limit": "may be given once."}),
        ("?since=yesterday", {"?since": ""}),
        ("?since=0.5", {"?since": ""}),
        ("?since=2024-01-01", {"?since": ""}),
        ("?since=2024-13-01T00:00:00Z", {"?since": ""}),
        ("?since=2024-01-01T00:00:00", {"?since": ""}),
        (
            "?since=2024-01-02T00:00:00Z&until=2024-01-01T00:00:00Z",
            {"?until": "must not be before since."},
        ),
        ("?until=1969-12-31T23:59:59Z", {"?until": "must not be before 1970."}),
        ("?tag=" + "x" * 65, {"?tag": ""}),
        ("?tag=a%1Fb", {"?tag": "must have no control characters."}),
        ("?tag=", {"?tag": "must not be empty."}),
        ("?minWidth=5&maxWidth=4", {"?maxWidth": "must not be less than minWidth."}),
        ("?like=cat", {"?like": "must be an image id."}),
        ("?status=done", {"?status": ""}),
    ],
)  # fmt: skip
async def test_a_parameter_at_fault_is_named(api: Api, query: str, faults: dict[str, str]) -> None:
    problem, found = await refused(api, query)
    assert problem == "invalid_request"
    for pointer, detail in faults.items():
        assert found[pointer]
        assert not detail or found[pointer] == detail


@pytest.mark.parametrize("cursor", ["x", "%00", "WzFd", "bnVsbA", "W10" * 60, "é"])
async def test_a_damaged_cursor_is_refused(api: Api, cursor: str) -> None:
    assert (await refused(api, f"?cursor={cursor}"))[0] == "invalid_cursor"


async def test_a_cursor_of_another_list_is_refused(api: Api) -> None:
    stored(api, 2)
    cursor = (await listed(api, "?limit=1"))["next"]
    assert ids(await listed(api, f"?limit=5&cursor={cursor}"))
    assert (await refused(api, f"?sort=uploadedAt&cursor={cursor}"))[0] == "invalid_cursor"
    answer, _ = await api.ask("GET", f"/v1/images?cursor={cursor}", headers=BOB)
    assert answer.status == 422


async def test_a_cursor_outside_the_times_of_its_list_is_refused(api: Api) -> None:
    """DynamoDB refuses such a start, and the client would get a 500."""
    query = "since=2023-11-14T22:13:20Z&until=2023-11-14T22:13:30Z&limit=1"
    stored(api, 2)
    of_list = "key:alice" + ListRequest.model_validate(
        dict(part.split("=") for part in query.split("&"))
    ).model_dump_json(exclude={"limit", "cursor"})
    position = Position(time=5, image_id=keys.new_image_id())
    forged = write_cursor(position, of_list=of_list)
    assert (await refused(api, f"?{query}&cursor={forged}"))[0] == "invalid_cursor"


@pytest.mark.parametrize("parts", ['[1,true,"ID","H"]', '[1,-1,"ID","H"]', '[2,5,"ID","H"]'])
def test_a_cursor_with_parts_that_were_never_written_is_damaged(parts: str) -> None:
    position = Position(time=5, image_id=keys.new_image_id())
    good = write_cursor(position, of_list="a")
    assert read_cursor(good, of_list="a") == position
    hash_of_list = json.loads(urlsafe_b64decode(good + "=="))[3]
    text = parts.replace("ID", position.image_id).replace("H", hash_of_list)
    with pytest.raises(Refusal) as refusal:
        read_cursor(urlsafe_b64encode(text.encode()).decode().rstrip("="), of_list="a")
    assert refusal.value.problem is Problem.INVALID_CURSOR


def a_preset(name: str, access: Any) -> Preset:
    return Preset(name=name, wish=Wish(format="webp"), policy=Policy(access=access))


PRESETS = [a_preset("open", "public"), a_preset("small", "signed"), a_preset("own", "private")]


def test_thumbnails_have_the_same_urls_all_day_and_open() -> None:
    signing = SigningKeys.read(f"bobs:{SECRET}:key:bob,all:{SECRET}")
    image_id = keys.new_image_id()

    def urls_at(now: int) -> Any:
        thumbnails = Thumbnails(
            presets=PRESETS, signing=signing, delivery_url="https://cdn.example", now=lambda: now
        )
        return thumbnails.of(image_id, user_id="key:alice")

    midnight = NOW // DAY * DAY
    first = urls_at(midnight)
    assert first["open"] == f"https://cdn.example/open/{image_id}"
    assert urls_at(midnight + DAY - 1) == first
    assert urls_at(midnight + DAY)["small"] == first["small"]
    assert urls_at(midnight + DAY)["own"] != first["own"]
    for name, expires_at in (("small", None), ("own", midnight + 2 * DAY)):
        parts = urlsplit(first[name])
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        keys_then = SigningKeys(read_keys(f"all:{SECRET}"), now=lambda: midnight + DAY)
        grant = keys_then.check(parts.path, query)
        assert (grant.key_id, grant.user_id, grant.expires_at) == ("all", None, expires_at)


def test_without_a_key_for_the_user_only_public_presets_have_urls() -> None:
    def presets_of(keys_text: str, delivery_url: str | None) -> set[str]:
        signing = SigningKeys.read(keys_text)
        thumbnails = Thumbnails(presets=PRESETS, signing=signing, delivery_url=delivery_url)
        return set(thumbnails.of("X", user_id="key:alice"))

    assert presets_of("", "https://cdn.example") == {"open"}
    assert presets_of(f"bobs:{SECRET}:key:bob", "https://cdn.example") == {"open"}
    assert presets_of(f"own:{SECRET}:key:alice", "https://cdn.example") == {"open", "small", "own"}
    assert presets_of(f"all:{SECRET}", None) == set()


async def test_a_list_has_thumbnails_of_completed_images_only(start: Start) -> None:
    api = await start(presets=PRESETS, delivery_url="https://cdn.example")
    (completed,) = stored(api)
    stored(api, status=Status.REJECTED)
    shown = {image["imageId"]: image.get("thumbnails") for image in (await listed(api))["images"]}
    assert shown.pop(completed.image_id) == {
        "open": f"https://cdn.example/open/{completed.image_id}"
    }
    assert list(shown.values()) == [None]


GUIDE = (ROOT / "docs/guide/search.md").read_text()


def test_the_guide_names_every_parameter_and_shows_an_answer_of_the_right_form() -> None:
    (rows,) = re.findall(r"\| parameter \| meaning \|\n(.*?)\n\n", GUIDE, re.DOTALL)
    named = {
        name for row in rows.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named == {field.alias for field in ListRequest.model_fields.values()}
    (example,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    page = ImageList.model_validate_json(example)
    assert json.loads(example).keys() <= {one.alias for one in ImageList.model_fields.values()}
    assert page.images[0].model_dump(exclude_none=True, by_alias=True).keys() == (
        json.loads(example)["images"][0].keys()
    )


def test_the_guides_client_reads_past_empty_pages() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the example of the guide
    pages = [{"images": [1, 2], "next": "a"}, {"images": [], "next": "b"}, {"images": [3]}]
    asked: list[Any] = []

    def get(path: str, params: dict[str, Any]) -> Any:
        asked.append((path, params))
        return pages[len(asked) - 1]

    assert list(names["every_image"](get, minWidth=3)) == [1, 2, 3]
    assert asked == [
        ("/v1/images", {"minWidth": 3}),
        ("/v1/images", {"minWidth": 3, "cursor": "a"}),
        ("/v1/images", {"minWidth": 3, "cursor": "b"}),
    ]
