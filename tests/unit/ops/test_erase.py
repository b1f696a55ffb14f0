"""`safelight erase`: which messages it sends, what it prints, and what it refuses."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.__main__ import app
from ops.erase import AliasSettings, Wanted, moment, past_their_time, results_of
from ops.erase_targets import Target, erased_before, named, of_user
from ops.erasing import (
    FLUSHED,
    HELD,
    Erasing,
    How,
    progress_of_images,
    progress_of_user,
)
from ops.exit_codes import ExitCode
from ops.folders import Unusable
from safelight import keys
from safelight.erasures import Erasure
from safelight.queued import DeleteAssets, EraseImage, EraseUser, read_cleanup
from safelight.record import Record, Status
from safelight.user_erasures import UserErasure, counts_key
from safelight.users import ADOPTED, ERASED
from tests.support.fakes import (
    ID_SECRET,
    IDS,
    FakeAsset,
    FakeDeadLetters,
    FakeDocuments,
    FakeInventory,
    FakeObjects,
    FakeRecords,
)
from worker.cleanup.erase_user import MOST_TAGS
from worker.cleanup.steps import FLUSH_SLOT_MS

USER = "key:alice"
BUCKET = "uploads"
ROOT = Path(__file__).parents[3]
OLD, STORED_AT = 1_793_000_000.0, 1_793_588_645.0
"""A time before everything, and the time at which the fake bucket stores everything."""


class Bench:
    """The table, the buckets and the queue."""

    def __init__(self) -> None:
        self.records, self.objects, self.documents = FakeRecords(), FakeObjects(), FakeDocuments()
        self.inventory, self.queue = FakeInventory(self.objects), FakeDeadLetters()

    def store(self, **changes: Any) -> Record:
        image_id = keys.new_image_id()
        usual = {
            "image_id": image_id,
            "user_id": USER,
            "uploaded_at": 1_700_000_000_000 + len(self.records.records),
            "original_key": keys.source_key(user_id=USER, image_id=image_id),
            "status": Status.COMPLETED,
        }
        record = Record(**usual | changes)
        self.records.records[record.image_id] = record
        return record

    def tombstone(self, **changes: Any) -> Record:
        """Store the tombstone of an erasure that is complete."""
        erasure = Erasure(state="complete", requested_at=5, completed_at=9)
        usual = {"status": Status.ERASED, "erased_at": 5, "erased_by": "owner", "erasure": erasure}
        return self.store(**{"original_key": ERASED} | usual | changes)

    async def enter(self, image_id: str, *, requested_at: int) -> None:
        """Write the entry of an erasure in the ledger."""
        key = f"erasures/{image_id}.json"
        self.objects.upload(key, b"{}")
        entry = {"imageId": image_id, "requestedAt": requested_at}
        await self.documents.add(key, json.dumps(entry))

    def erasing(self, **how: Any) -> Erasing:
        return Erasing(
            records=self.records,
            inventory=self.inventory,
            documents=self.documents,
            queue=self.queue,
            how=How(poll_seconds=0, **how),
        )

    async def again(self, since: float = OLD) -> list[Target]:
        found = erased_before(
            self.records, self.inventory, self.documents, since=since, ids=IDS, bucket=BUCKET
        )
        return [target async for target in found]

    @property
    def messages(self) -> list[Any]:
        return [read_cleanup(json.loads(letter.body)) for letter in self.queue.letters]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def listed(*targets: Target) -> AsyncIterator[Target]:
    for target in targets:
        yield target


async def test_each_image_gets_a_message_that_names_its_source(bench: Bench) -> None:
    first, second = bench.store(), bench.store()
    ids = [first.image_id, second.image_id, first.image_id]
    await bench.erasing(caches="flush").erase_images(named(bench.records, ids), by="operator")
    assert [message.image_id for message in bench.messages] == ids[:2]
    assert all(isinstance(message, EraseImage) for message in bench.messages)
    assert bench.messages[0].key == first.original_key
    assert (bench.messages[0].by, bench.messages[0].caches) == ("operator", "flush")
    assert bench.records.records == {one.image_id: one for one in (first, second)}


async def test_an_image_without_a_record_is_erased_too(bench: Bench) -> None:
    image_id = keys.new_image_id()
    await bench.erasing().erase_images(named(bench.records, [image_id]), by="operator")
    assert [(one.image_id, one.key) for one in bench.messages] == [(image_id, None)]


async def test_the_key_of_a_complete_tombstone_is_known_by_its_user(bench: Bench) -> None:
    known, adopted = bench.tombstone(), bench.tombstone(user_id=ADOPTED)
    forgotten = bench.tombstone(user_id=ERASED)
    ids = [one.image_id for one in (known, adopted, forgotten)]
    found = [target.key async for target in named(bench.records, ids)]
    assert found == [keys.source_key(user_id=USER, image_id=known.image_id), None, None]


async def test_a_dry_run_counts_and_sends_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    image = bench.store()
    bench.objects.upload(image.original_key, b"12345")
    bench.objects.upload(image.original_key, None)
    asset = keys.assets_prefix(image.image_id) + "x/small-0123456789ab.webp"
    bench.objects.assets[asset] = FakeAsset(body=b"123", media_type="image/webp", sha256="")
    erasing = bench.erasing(dry_run=True, as_json=True, wait=True)
    await erasing.erase_images(named(bench.records, [image.image_id]), by="operator")
    await erasing.erase_user(USER)
    await erasing.erase_results([image.image_id])
    assert bench.messages == []
    output, errors = capsys.readouterr()
    whole = {"imageId": image.image_id, "versions": 2, "objects": 1, "bytes": 8}
    results = whole | {"versions": 0, "bytes": 3}
    assert [json.loads(line) for line in output.splitlines()] == [whole, whole, results]
    assert errors.splitlines()[0] == "Would erase 1 image: 2 versions, 1 asset, 8 bytes."


async def test_everything_of_a_user_is_one_message(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.store()
    await bench.erasing(confirmed=True, as_json=True).erase_user(USER)
    (message,) = bench.messages
    assert isinstance(message, EraseUser)
    assert (message.user_id, message.by) == (USER, "operator")
    assert json.loads(capsys.readouterr().out)["erasureId"] == message.erasure_id


async def test_everything_of_a_user_is_erased_only_after_a_confirmation(bench: Bench) -> None:
    bench.store(), bench.store()
    with pytest.raises(Unusable, match=r"Erase 2 images of key:alice, for good.*--yes"):
        await bench.erasing().erase_user(USER)
    assert bench.messages == []


async def test_of_a_user_every_page_is_read_and_no_erased_image(bench: Bench) -> None:
    images = [bench.store() for _ in range(1001)]
    bench.tombstone()
    bench.store(user_id="key:bob")
    found = [target.image_id async for target in of_user(bench.records, USER)]
    assert found == [one.image_id for one in images]


async def test_waiting_ends_with_the_receipts(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [bench.tombstone(), bench.tombstone()]
    # Of each image: before the message; not seen by cleanup; progressing; and the new receipt.
    states = [("complete", 1), ("complete", 1), ("removed", 2), ("complete", 4)]
    get, asked = bench.records.get, []

    async def slowly(image_id: str) -> Record | None:
        record = await get(image_id)
        assert record is not None
        assert record.erasure is not None
        state, step = states[asked.count(image_id)]
        asked.append(image_id)
        erasure = record.erasure.model_copy(update={"state": state, "step": step})
        return record.model_copy(update={"erasure": erasure})

    bench.records.get = slowly  # type: ignore[method-assign]
    ids = [one.image_id for one in images]
    found = listed(*(Target(image_id=one, key=None) for one in ids))
    await bench.erasing(wait=True, as_json=True).erase_images(found, by="operator")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["state"] for line in lines] == ["requested"] * 2 + ["complete"] * 2
    assert lines[2]["notCovered"]
    assert asked == ids * 4


async def test_an_image_with_two_sources_counts_once(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    image = bench.tombstone()
    found = listed(
        *(Target(image_id=image.image_id, key=key) for key in ("uploads/a", "uploads/b"))
    )
    await bench.erasing().erase_images(found, by="operator")
    assert len(bench.messages) == 2
    assert "the erasure of 1 image." in capsys.readouterr().err


async def test_waiting_for_a_user_ends_with_the_counts(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    read, states = bench.documents.read, [None, "running", "complete"]

    async def counts(key: str, *, lists: bool) -> str | None:
        assert key == counts_key(bench.messages[0].erasure_id)
        assert await read(key, lists=lists) is None
        state = states.pop(0)
        counts = UserErasure(
            erasure_id=bench.messages[0].erasure_id, state=state or "running", images=2,
            complete=0, bytes=7,
        )  # fmt: skip
        return state and counts.to_json()

    bench.documents.read = counts  # type: ignore[method-assign]
    await bench.erasing(wait=True, confirmed=True, as_json=True).erase_user(USER)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["state"], last["images"], states) == ("complete", 2, [])


async def test_waiting_says_once_that_s3_keeps_an_object(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    held = Erasure(requested_at=5, due_at=9, step=2)
    done = held.model_copy(update={"state": "complete", "step": 3})
    image = bench.tombstone(erasure=Erasure(requested_at=5))
    get, states = bench.records.get, [None, None, held, held, done]

    async def slowly(image_id: str) -> Record | None:
        record = await get(image_id)
        assert record is not None
        return record.model_copy(update={"erasure": states.pop(0) or record.erasure})

    bench.records.get = slowly  # type: ignore[method-assign]
    found = listed(Target(image_id=image.image_id, key=None))
    await bench.erasing(wait=True).erase_images(found, by="operator")
    assert capsys.readouterr().err.count(HELD.format(image.image_id)) == 1
    assert (ROOT / HELD.partition(" see ")[2]).exists()


def test_the_progress_says_that_a_flush_takes_longer() -> None:
    few, many = (
        UserErasure(erasure_id=keys.new_image_id(), images=images, complete=1, bytes=0)
        for images in (MOST_TAGS, MOST_TAGS + 1)
    )
    assert progress_of_images(2, "tag") == "2 erasures not complete yet"
    assert progress_of_user(few) == "1 of 100 erasures complete"
    for line in (progress_of_images(2, "flush"), progress_of_user(many)):
        assert line.endswith(FLUSHED)
        assert f"{FLUSH_SLOT_MS // 60_000} minutes later" in line


async def test_a_restored_record_is_erased_again(bench: Bench) -> None:
    image, other = bench.store(), bench.store()
    bench.objects.upload(image.original_key, b"restored")
    bench.objects.upload(other.original_key, b"never erased")
    await bench.enter(image.image_id, requested_at=image.uploaded_at + 1)
    assert await bench.again() == [Target(image_id=image.image_id, key=image.original_key)]


async def test_a_restored_source_of_a_complete_tombstone_is_found_by_its_key(bench: Bench) -> None:
    image = bench.tombstone(user_id=ERASED)
    key = keys.source_key(user_id="oidc:5f7c", image_id=image.image_id)
    bench.objects.upload(key, b"restored")
    adopted_key = "uploads/by hand/a.jpg"
    adopted = bench.tombstone(
        user_id=ADOPTED, image_id=IDS.of_object(bucket=BUCKET, key=adopted_key)
    )
    bench.objects.upload(adopted_key, b"restored")
    other = bench.store()
    under_other = keys.source_key(user_id="key:mallory", image_id=other.image_id)
    adopted_too = bench.tombstone(
        user_id=ADOPTED, image_id=IDS.of_object(bucket=BUCKET, key=under_other)
    )
    bench.objects.upload(under_other, b"restored")
    for one in (image, adopted, adopted_too):
        await bench.enter(one.image_id, requested_at=5)
    found = {target.image_id: target.key for target in await bench.again()}
    assert found == {
        image.image_id: key,
        adopted.image_id: adopted_key,
        adopted_too.image_id: under_other,
    }


async def test_an_image_that_was_uploaded_after_the_erasure_stays(bench: Bench) -> None:
    """An Idempotency-Key may be used again once the tombstone is gone."""
    image = bench.store()
    bench.objects.upload(image.original_key, b"new")
    await bench.enter(image.image_id, requested_at=image.uploaded_at - 1)
    assert await bench.again() == []


async def test_only_erasures_since_the_time_and_no_counts_of_users_are_repeated(
    bench: Bench,
) -> None:
    image = bench.tombstone()
    await bench.enter(image.image_id, requested_at=5)
    bench.objects.upload(counts_key(keys.new_image_id()), b"{}")
    assert len(await bench.again()) == 1
    assert await bench.again(since=STORED_AT + 1) == []


async def test_the_results_of_an_object_are_deleted_under_every_spelling(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "aliases.toml").write_text(
        '[avatars]\nbucket = "of-avatars"\nprefix = "people/"\npresets = ["small"]\n'
    )
    settings = AliasSettings(
        uploads_bucket=BUCKET, assets_bucket="assets", table="images", id_secret=ID_SECRET,
        cleanup_queue_url="q", aliases=tmp_path / "aliases.toml",
    )  # fmt: skip
    ids = results_of("avatars/caf\u00e9.jpg", settings)
    assert ids == tuple(
        IDS.of_object(bucket="of-avatars", key=f"people/{name}.jpg")
        for name in ("caf\u00e9", "cafe\u0301")
    )
    await bench.erasing().erase_results(ids)
    assert all(isinstance(message, DeleteAssets) for message in bench.messages)
    assert [(one.image_id, one.keys) for one in bench.messages] == [(one, ()) for one in ids]
    for unknown in ("others/a.jpg", "avatars", "avatars/"):
        with pytest.raises(Unusable, match="no alias of"):
            results_of(unknown, settings)


async def test_images_past_their_time_are_erased_by_retention(bench: Bench) -> None:
    over = bench.store(keep_until=10, completed_at=5, day="1970-01-01.0")
    bench.store(keep_until=11, completed_at=5, day="1970-01-01.0")
    bench.store(completed_at=5, day="1970-01-01.0")
    await bench.erasing().erase_images(past_their_time(bench.records, now=10), by="retention")
    assert [(one.image_id, one.by) for one in bench.messages] == [(over.image_id, "retention")]


async def test_the_record_decides_whether_the_time_of_an_image_is_over(bench: Bench) -> None:
    changed = bench.store(keep_until=10, completed_at=5, day="1970-01-01.0")
    find = bench.records.find

    async def stale(*arguments: Any, **named: Any) -> Any:
        found = await find(*arguments, **named)
        later = changed.model_copy(update={"keep_until": 20})
        bench.records.records[changed.image_id] = later
        return found

    bench.records.find = stale  # type: ignore[method-assign]
    assert [one async for one in past_their_time(bench.records, now=10)] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Give image ids, or one of --user, --object, --again and --expired."),
        (["--user", "key:a", "--again", "--since", "2026-11-28"], "Give image ids, or one of"),
        (["x"], "ID: must be an image id of 26 characters; found 'x'"),
        (["--user", "alice"], "--user: must be one user id"),
        (["--again"], "--since: needed with --again"),
        (["--user", "key:a", "--since", "2026-11-28"], "--since: needed with --again"),
        (["--again", "--since", "monday"], "--since: must be a date or a time"),
        (["--user", "key:a"], "SAFELIGHT_CLEANUP_QUEUE_URL: not set"),
    ],
)
def test_options_that_cannot_be_used_are_refused(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["erase", *words])
    assert done.exit_code == ExitCode.UNUSABLE
    assert said in done.output


def test_ids_are_read_in_any_case_and_times_without_a_zone_are_utc() -> None:
    image_id = keys.new_image_id()
    assert Wanted.of([image_id.lower()]).image_ids == (image_id,)
    assert moment("2026-11-28") == moment("2026-11-28T00:00:00Z") == 1_795_824_000
    assert moment("2026-11-28T01:00:00+01:00") == moment("2026-11-28")
