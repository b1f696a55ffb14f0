"""`safelight export`: the files that it writes, and what a repetition does."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ops.export import prepare
from ops.exporting import Exporting, Sums
from ops.folders import Unusable
from safelight import keys
from safelight.errors import Misconfigured, Reason, Unavailable
from safelight.record import Record, Status, Variant
from tests.support.fakes import FakeObjects, FakeRecords

USER = "key:alice"


class Bench:
    """A table and a bucket with images of Alice, and a folder to export them to."""

    def __init__(self, out: Path) -> None:
        self.records, self.objects, self.out = FakeRecords(), FakeObjects(), out
        prepare(out, USER)

    def store(self, body: bytes | None = b"a picture", **changes: Any) -> Record:
        """Store an image of Alice, and its source if it has a body."""
        image_id = keys.new_image_id()
        key = keys.source_key(user_id=USER, image_id=image_id)
        version = self.objects.upload(key, body) if body is not None else None
        usual = {
            "image_id": image_id,
            "user_id": USER,
            "uploaded_at": 1_700_000_000_000 + len(self.records.records),
            "original_key": key,
            "status": Status.COMPLETED,
            "media_type": "image/jpeg",
            "filename": "cat.jpg",
            "sha256": sha256(body or b"").hexdigest(),
            "version_id": version and version.version_id,
            "revision": "the-secret-revision",
        }
        record = Record(**usual | changes)
        self.records.records[image_id] = record
        return record

    async def run(self) -> Sums:
        exporting = Exporting(self.records, self.objects, user_id=USER, out=self.out, quiet=True)
        return await exporting.run()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "images.jsonl").read_text().splitlines()]

    def files(self) -> dict[str, bytes]:
        """Return all files by their path in the folder, but for the manifest."""
        files = (path for path in self.out.rglob("*") if path.is_file())
        found = {str(path.relative_to(self.out)): path.read_bytes() for path in files}
        del found["export.json"]
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "out")


async def test_each_image_has_a_line_and_its_original(bench: Bench) -> None:
    first = bench.store(b"one", tags=("sea",))
    second = bench.store(b"two", media_type="image/png")
    sums = await bench.run()
    assert (sums.images, sums.originals, sums.fetched, sums.size_bytes) == (2, 2, 2, 6)
    assert [line["imageId"] for line in bench.lines()] == [first.image_id, second.image_id]
    assert bench.lines()[0]["tags"] == ["sea"]
    assert bench.lines()[0]["filename"] == "cat.jpg"
    files = bench.files()
    del files["images.jsonl"]
    expected = (f"originals/{first.image_id}.jpg", f"originals/{second.image_id}.png")
    assert tuple(line["file"] for line in bench.lines()) == expected
    assert files == dict(zip(expected, (b"one", b"two"), strict=True))


async def test_more_images_than_one_query_reads_are_exported(bench: Bench) -> None:
    for _ in range(1003):
        bench.store(b"x")
    assert (await bench.run()).originals == 1003
    assert len(bench.lines()) == 1003


async def test_a_repetition_fetches_only_missing_and_damaged_originals(bench: Bench) -> None:
    kept, lost, damaged = bench.store(b"kept"), bench.store(b"lost"), bench.store(b"damaged")
    await bench.run()
    before = bench.files()
    (bench.out / "originals" / f"{lost.image_id}.jpg").unlink()
    (bench.out / "originals" / f"{damaged.image_id}.jpg").write_bytes(b"damag")
    inode = (bench.out / "originals" / f"{kept.image_id}.jpg").stat().st_ino
    sums = await bench.run()
    assert (sums.originals, sums.fetched) == (3, 2)
    assert bench.files() == before
    assert (bench.out / "originals" / f"{kept.image_id}.jpg").stat().st_ino == inode


async def test_a_lost_source_is_a_fault_and_the_others_are_exported(bench: Bench) -> None:
    gone, other = bench.store(None), bench.store(b"other")
    sums = await bench.run()
    assert list(sums.faults) == [gone.image_id]
    assert (sums.images, sums.originals) == (2, 1)
    assert ["file" in line for line in bench.lines()] == [False, True]
    assert bench.lines()[1]["imageId"] == other.image_id


async def test_an_outage_during_one_fetch_is_a_fault_of_that_image(bench: Bench) -> None:
    bench.store(b"one"), bench.store(b"two")
    bench.objects.fail_next["fetch"] = [Unavailable("s3", "slow down")]
    assert len((await bench.run()).faults) == 1
    assert not (await bench.run()).faults


async def test_a_missing_permission_ends_the_export(bench: Bench) -> None:
    bench.store()
    bench.objects.fail_next["fetch"] = [Misconfigured("s3", "access denied")]
    with pytest.raises(Misconfigured):
        await bench.run()


async def test_an_upload_that_never_arrived_and_a_source_gone_before_are_no_faults(
    bench: Bench,
) -> None:
    bench.store(None, status=Status.PENDING, sha256=None)
    bench.store(None, status=Status.REJECTED, reason=Reason.SOURCE_GONE, sha256=None)
    sums = await bench.run()
    assert (sums.images, sums.originals, sums.faults) == (2, 0, {})
    assert [line["status"] for line in bench.lines()] == ["pending", "rejected"]


async def test_a_rejected_upload_is_exported(bench: Bench) -> None:
    record = bench.store(
        b"%PDF", status=Status.REJECTED, reason=Reason.UNSUPPORTED, sha256=None, media_type=None
    )
    await bench.run()
    assert bench.files()[f"originals/{record.image_id}.bin"] == b"%PDF"


async def test_an_image_that_was_erased_meanwhile_is_left_out(bench: Bench) -> None:
    record = bench.store()
    listed = bench.records.find

    async def find_then_erase(*arguments: Any, **named: Any) -> Any:
        found = await listed(*arguments, **named)
        erased = record.model_copy(update={"status": Status.ERASED})
        bench.records.records[record.image_id] = erased
        return found

    bench.records.find = find_then_erase  # type: ignore[method-assign]
    assert (await bench.run()).images == 0
    assert bench.files() == {"images.jsonl": b""}


async def test_the_version_of_the_record_is_exported_not_the_latest(bench: Bench) -> None:
    record = bench.store(b"moderated")
    bench.objects.upload(record.original_key, b"exchanged")
    await bench.run()
    assert bench.files()[f"originals/{record.image_id}.jpg"] == b"moderated"


async def test_a_source_that_was_replaced_in_a_bucket_without_versions_is_a_fault(
    bench: Bench,
) -> None:
    record = bench.store(b"before", version_id=None)
    bench.objects.upload(record.original_key, b"after")
    sums = await bench.run()
    assert "replaced" in sums.faults[record.image_id]
    assert list(bench.files()) == ["images.jsonl"]


@pytest.mark.parametrize("hostile", ["../../escaped", "image/../../escaped", "/etc/x", "a\0b"])
async def test_no_text_of_the_user_is_part_of_a_path(bench: Bench, hostile: str) -> None:
    record = bench.store(media_type=hostile, filename=hostile, tags=(hostile,))
    await bench.run()
    assert sorted(bench.files()) == ["images.jsonl", f"originals/{record.image_id}.bin"]
    assert sorted(path.name for path in bench.out.parent.iterdir()) == ["out"]


async def test_the_lines_have_no_key_and_no_version_id(bench: Bench) -> None:
    variant = Variant(
        key="images/ab/secret/small.webp", media_type="image/webp", width=1, height=1, size=1,
        sha256="0" * 64,
    )  # fmt: skip
    record = bench.store(request_hash="the-hash", variants={"small": variant})
    assert record.version_id == "v1"
    await bench.run()
    text = (bench.out / "images.jsonl").read_text()
    for secret in (record.original_key, "the-secret-revision", variant.key, "the-hash", "v1"):
        assert secret not in text
    assert "variants" not in bench.lines()[0]


async def test_an_export_that_stops_keeps_the_list_of_the_one_before(bench: Bench) -> None:
    bench.store(b"one")
    await bench.run()
    before = bench.files()["images.jsonl"]
    bench.store(b"two")
    bench.records.fail_next["get"] = [None, Misconfigured("dynamodb", "denied")]
    with pytest.raises(Misconfigured):
        await bench.run()
    assert bench.files()["images.jsonl"] == before


def test_a_folder_with_the_images_of_another_user_is_refused(bench: Bench) -> None:
    with pytest.raises(Unusable, match="the images of another user, key:alice"):
        prepare(bench.out, "key:bob")
    prepare(bench.out, USER)
    assert json.loads((bench.out / "export.json").read_text())["complete"] is False


@pytest.mark.parametrize("content", ["", "[]", "{}", '"text"'])
def test_a_folder_with_a_file_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "export.json").write_text(content)
    with pytest.raises(Unusable, match="not the manifest"):
        prepare(tmp_path, USER)
    assert (tmp_path / "export.json").read_text() == content
