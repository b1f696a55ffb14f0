"""`safelight list`: which images it prints, how, and what it refuses."""

import json
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from ops.__main__ import app
from ops.exit_codes import ExitCode
from ops.folders import Unusable
from ops.list_images import as_line, header, images, read_conditions, row
from safelight import keys
from safelight.days import day_of
from safelight.record import Record, Status
from safelight.search import Summary
from safelight.tags import entries_of
from tests.support.fakes import FakeRecords


async def stored(count: int, **changes: Any) -> FakeRecords:
    """Store images of Alice, each a second newer than the one before."""
    usual = {
        "user_id": "key:alice",
        "original_key": "uploads/x/y",
        "status": Status.COMPLETED,
        "media_type": "image/jpeg",
        "width": 400,
        "height": 300,
        "filename": "cat.jpg",
        "perceptual_hash": "00ff00ff00ff00ff",
    }
    records = FakeRecords()
    for number in range(count):
        ids = {"image_id": keys.new_image_id(), "uploaded_at": 1_700_000_000_000 + number * 1000}
        record = Record(**ids | usual | changes)
        records.records[record.image_id] = record
        for entry in entries_of(record):
            await records.put_tag(entry)
    return records


async def listed(records: FakeRecords, *, limit: int | None = None, **conditions: Any) -> list[str]:
    asked, user_id = read_conditions({"user": "key:alice"} | conditions)
    return [one.image_id async for one in images(records, asked, user_id=user_id, limit=limit)]


async def test_all_images_of_the_user_are_listed_the_newest_first() -> None:
    records = await stored(2500)
    assert await listed(records) == list(reversed(records.records))
    assert records.calls["find"] == 3
    assert await listed(records, user="key:bob") == []


async def test_a_limit_reads_no_more_than_it_prints() -> None:
    records = await stored(10)
    inspected = []
    find = records.find

    async def counted(*arguments: Any, **named: Any) -> Any:
        found = await find(*arguments, **named)
        inspected.append(found.inspected)
        return found

    records.find = counted  # type: ignore[method-assign]
    assert await listed(records, limit=3) == list(reversed(records.records))[:3]
    assert inspected == [3]
    assert len(await listed(records, limit=3, filename="cat")) == 3


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({"status": ("rejected",)}, False),
        ({"status": ("rejected", "completed")}, True),
        ({"mediaType": ("image/png",)}, False),
        ({"since": "2023-11-14T22:13:20Z", "until": "2023-11-14T22:13:20Z"}, True),
        ({"since": "2023-11-14T22:13:21Z"}, False),
        ({"minWidth": 401}, False),
        ({"maxWidth": 400, "minHeight": 300, "maxHeight": 300}, True),
        ({"filename": "CAT"}, False),
        ({"tag": ("sea",)}, True),
        ({"tag": ("sea", "sun")}, False),
    ],
)
async def test_every_condition_of_the_api_holds(conditions: Any, found: bool) -> None:
    records = await stored(1, tags=("sea",))
    assert bool(await listed(records, **conditions)) is found


async def test_images_that_look_alike_are_found_without_the_image_itself() -> None:
    records = await stored(3)
    first, second, third = records.records
    other = records.records[third].model_copy(update={"perceptual_hash": "ff00ff00ff00ff00"})
    records.records[third] = other
    assert await listed(records, like=first) == [second]
    with pytest.raises(Unusable, match="--like: must be a completed image of the same user"):
        await listed(records, like=keys.new_image_id())


@pytest.mark.parametrize("status", list(Status))
async def test_pending_images_are_listed_however_old_and_erased_ones_are_not(
    status: Status,
) -> None:
    records = await stored(1, status=status)
    assert bool(await listed(records)) is (status is not Status.ERASED)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tag", "sea"], "--tag: is for the images of one user; name the user"),
        (["--status", "pending"], "--status: must be completed or rejected"),
        (["--user", "alice"], "--user: must be one user id: key:NAME"),
        (["--status", "broken"], "--status: must be"),
        (["--min-width", "0"], "--min-width: "),
        (["--max-width", "0"], "--max-width: "),
        (["--min-height", "0"], "--min-height: "),
        (["--max-height", "0"], "--max-height: "),
        (["--until", "tomorrow"], "--until: "),
        (["--filename", "a" * 256], "--filename: "),
        (["--media-type=a"] * 21, "--media-type: "),
        (["--min-width", "9", "--max-width", "8"], "--max-width: must not be less than minWidth"),
        (["--since", "yesterday"], "--since: "),
        (["--since", "2026-11-28T00:00:00"], "--since: "),
        (["--like", "x"], "--like: must be an image id"),
        (["--distance", "17"], "--distance: "),
        ([f"--tag={number}" for number in range(6)], "--tag: "),
    ],
)
def test_a_condition_that_cannot_be_used_is_named(words: list[str], told: str) -> None:
    of_all = words in (["--tag", "sea"], ["--status", "pending"])
    user = [] if of_all or "--user" in words else ["--user", "key:alice"]
    done = CliRunner().invoke(app, ["list", *user, *words])
    assert done.exit_code == ExitCode.UNUSABLE
    assert told in done.output


def a_summary(**changes: Any) -> Summary:
    usual = {
        "image_id": keys.new_image_id(),
        "user_id": "key:alice",
        "uploaded_at": 1_700_000_000_000,
        "status": Status.COMPLETED,
        "width": 123_456,
        "height": 7890,
    }
    return Summary(**usual | changes)


@pytest.mark.parametrize("name", ["a" * 200, "\u732b" * 60, None, "a\x1b[31m\nb.jpg", "[red]x"])
def test_a_row_fits_80_columns_and_cannot_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    line = row(a_summary(filename=name))
    assert cell_len(line) <= 80
    assert line.isprintable()
    assert "2023-11-14 22:13" in line
    assert len(header("key:alice")) <= 80


async def test_without_a_user_the_settled_images_of_all_users_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    settled_at = 1_795_900_000_000
    records = await stored(20, completed_at=settled_at)
    for number, record in enumerate(list(records.records.values())):
        whose = {"user_id": f"key:{number}", "day": day_of(settled_at, record.image_id)}
        records.records[record.image_id] = record.model_copy(update=whose)
    asked, user_id = read_conditions({})
    found = [one async for one in images(records, asked, user_id=user_id, limit=None)]
    assert {one.user_id for one in found} == {f"key:{number}" for number in range(20)}
    assert len(found) == 20
    assert header(user_id).split() == ["image", "status", "settled", "(UTC)", "user"]
    assert row(found[0]).split()[2:] == ["2026-11-28", "21:06", found[0].user_id]
    assert json.loads(as_line(found[0]))["userId"] == found[0].user_id
    assert "userId" not in json.loads(as_line(a_summary()))


def test_a_line_of_json_is_an_image_of_the_apis_lists() -> None:
    summary = a_summary(tags=("sea",), filename="a\nb.jpg")
    line = as_line(summary)
    assert "\n" not in line
    assert json.loads(line) == {
        "imageId": summary.image_id,
        "status": "completed",
        "uploadedAt": "2023-11-14T22:13:20Z",
        "filename": "a\nb.jpg",
        "tags": ["sea"],
        "width": 123_456,
        "height": 7890,
    }
