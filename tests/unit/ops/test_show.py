"""`safelight show`: which assets it calls what, what viewers get, and when it fails."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from api.delivery.signing import SigningKeys
from ops.__main__ import app
from ops.exit_codes import ExitCode
from ops.image_state import Origin, ViewState
from ops.preset_urls import PresetUrls
from ops.show import ImageState, _print, as_document, state_of
from safelight import keys
from safelight.erasures import Erasure, Found
from safelight.errors import Reason
from safelight.presets import Preset
from safelight.record import Record, Status, Variant
from safelight.tags import entries_of
from tests.support.fakes import FakeAsset, FakeInventory, FakeObjects, FakeRecords

IMAGE = "01M7YB1NC8XE9XQ3H3PCRZFKK6"
SMALL = Preset.model_validate(
    {"name": "small", "format": "jpeg", "formats": ["webp"], "access": "public"}
)
BEST = Preset.model_validate({"name": "best", "format": "auto", "access": "private"})
SECRET = "s" * 32


def asset_key(preset: str, fingerprint: str, extension: str, *, revision: str = "v1") -> str:
    return keys.asset_key(
        image_id=IMAGE, revision=revision, preset=preset, fingerprint=fingerprint,
        extension=extension,
    )  # fmt: skip


def variant(key: str, media_type: str) -> Variant:
    return Variant(key=key, media_type=media_type, width=4, height=3, size=2, sha256="aa")


JPEG = asset_key("small", SMALL.wish.fingerprint, "jpg")
WEBP = asset_key("small", SMALL.wish.in_format("webp").fingerprint, "webp")
AUTO = asset_key("best", BEST.wish.fingerprint, "webp")
OLDER = asset_key("small", SMALL.wish.fingerprint, "jpg", revision="v0")


def a_record(**changes: Any) -> Record:
    usual = {
        "image_id": IMAGE,
        "user_id": "key:alice",
        "uploaded_at": 1_700_000_000_000,
        "original_key": "uploads/key%3Aalice/x",
        "status": Status.COMPLETED,
        "filename": "cat.jpg",
        "tags": ("sea",),
        "revision": "v1",
        "version_id": "v1",
        "variants": {
            "small": variant(JPEG, "image/jpeg"),
            "best": variant(AUTO, "image/webp"),
        },
    }
    return Record(**usual | changes)


async def shown(
    record: Record,
    *,
    stored: tuple[str, ...] = (JPEG, AUTO),
    tagged: bool = True,
    signing: str = f"web:{SECRET}",
) -> ImageState:
    records, objects = FakeRecords(record), FakeObjects()
    if tagged:
        for entry in entries_of(record):
            await records.put_tag(entry)
    for key in stored:
        objects.assets[key] = FakeAsset(body=b"ab", media_type="image/x", sha256="aa")
    objects.upload(record.original_key, b"abc")
    objects.upload(record.original_key, None)
    urls = PresetUrls(
        file="presets.toml",
        presets={"small": SMALL, "best": BEST},
        aliases={},
        signing=SigningKeys.read(signing),
    )
    return await state_of(record, records, FakeInventory(objects), urls)


async def test_assets_are_told_apart_by_their_origin() -> None:
    state = await shown(a_record(), stored=(JPEG, WEBP, OLDER))
    assert {one.key: one.origin for one in state.assets} == {
        AUTO: Origin.MISSING,
        JPEG: Origin.VARIANT,
        WEBP: Origin.ON_DEMAND,
        OLDER: Origin.ORPHAN,
    }
    assert state.code is ExitCode.FAILED
    assert state.faults == ("1 asset of the record not in the bucket",)


async def test_a_healthy_image_has_no_fault() -> None:
    state = await shown(a_record())
    assert (state.faults, state.code, state.tags) == ((), ExitCode.DONE, {"sea": True})
    assert [(one.size_bytes, one.latest) for one in state.versions] == [(None, True), (3, False)]


async def test_an_erased_image_has_its_receipt_and_no_fault(
    capsys: pytest.CaptureFixture[str],
) -> None:
    erasure = Erasure(state="removed", requested_at=5, confirmed_at=9, found=Found(versions=2))
    tombstone = a_record(
        status=Status.ERASED, variants={}, erased_at=5, erased_by="owner", erasure=erasure
    )
    state = await shown(tombstone, stored=(), tagged=False)
    assert (state.faults, state.code) == ((), ExitCode.REFUSED)
    receipt = json.loads(as_document(state))["receipt"]
    assert (receipt["state"], receipt["sources"]["versions"]) == ("removed", 2)
    _print(state)
    output = " ".join(capsys.readouterr().out.split())
    assert "receipt: state" in output
    assert "versions 2" in output
    assert json.loads(as_document(await shown(a_record())))["receipt"] is None


@pytest.mark.parametrize("status", [Status.PENDING, Status.ERASED, Status.REJECTED])
async def test_assets_of_an_image_without_pictures_are_orphans(status: Status) -> None:
    state = await shown(a_record(status=status, variants={}), stored=(JPEG,))
    assert [one.origin for one in state.assets] == [Origin.ORPHAN]


async def test_viewers_get_stored_pictures_and_those_that_are_rendered_on_request() -> None:
    small, best = (await shown(a_record())).views
    assert small.url == f"/small/{IMAGE}"
    assert small.formats == {"webp": ViewState.RENDERED, "jpeg": ViewState.STORED}
    assert best.formats["webp"] is ViewState.STORED
    assert set(best.formats.values()) == {ViewState.STORED, ViewState.RENDERED}
    (small, _) = (await shown(a_record(), stored=(JPEG, WEBP))).views
    assert set(small.formats.values()) == {ViewState.STORED}


async def test_the_urls_of_private_presets_are_signed_by_a_key_of_the_user() -> None:
    assert "signature=" in ((await shown(a_record())).views[1].url or "")
    for signing in ("", f"bobs:{SECRET}:key:bob"):
        small, best = (await shown(a_record(), signing=signing)).views
        assert (small.url, best.url) == (f"/small/{IMAGE}", None)


@pytest.mark.parametrize(
    ("changes", "state", "code"),
    [
        ({"status": Status.PENDING}, ViewState.PROCESSING, ExitCode.DONE),
        ({"status": Status.ERASED}, ViewState.ERASED, ExitCode.REFUSED),
        (
            {"status": Status.REJECTED, "reason": Reason.CORRUPT},
            ViewState.NOT_RENDERED,
            ExitCode.REFUSED,
        ),
        (
            {"status": Status.REJECTED, "reason": Reason.SOURCE_GONE},
            ViewState.GONE,
            ExitCode.REFUSED,
        ),
    ],
)
async def test_viewers_get_an_answer_that_says_why_there_is_no_picture(
    changes: Any, state: ViewState, code: ExitCode
) -> None:
    found = await shown(a_record(variants={}, **changes))
    assert {one for view in found.views for one in view.formats.values()} == {state}
    assert found.code is code


async def test_a_variant_that_could_not_be_rendered_is_an_exit_code() -> None:
    assert (await shown(a_record(failed_variants={"wide": "x"}))).code is ExitCode.REFUSED


async def test_a_tag_without_an_entry_is_a_fault_unless_the_image_is_pending() -> None:
    state = await shown(a_record(), tagged=False)
    assert state.faults == ("no search finds the image by its tag 'sea'",)
    assert state.code is ExitCode.FAILED
    pending = await shown(a_record(status=Status.PENDING, variants={}), tagged=False)
    assert (pending.faults, pending.tags) == ((), {})


async def test_the_document_has_keys_and_the_tables_have_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    state = await shown(a_record(filename="a\x1b[31mb"), stored=(JPEG, AUTO, OLDER))
    document = json.loads(as_document(state))
    assert document["record"]["imageId"] == IMAGE
    assert [one["origin"] for one in document["assets"]].count("orphan") == 1
    assert [one["current"] for one in document["versions"]] == [False, True]
    assert document["views"][0]["formats"] == {"webp": "rendered on request", "jpeg": "stored"}
    _print(state)
    told = capsys.readouterr().out
    assert "cat.jpg" not in told
    assert "\x1b" not in told
    secret = JPEG.split("/")[3]
    assert secret in as_document(state)
    assert secret not in told
    assert all(len(line) <= 80 for line in told.splitlines())


def test_a_text_that_is_no_image_id_is_refused() -> None:
    done = CliRunner().invoke(app, ["show", "cat.jpg"])
    assert done.exit_code == ExitCode.UNUSABLE
    assert "IMAGE_ID: must be an image id of 26 characters; found 'cat.jpg'" in done.output
