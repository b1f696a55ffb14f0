"""The role cleanup deletes single objects only if no record needs them."""

import pytest

from safelight.keys import source_key
from safelight.queued import DeleteAssets, DeleteVersion
from safelight.record import Record, Status, Variant
from tests.unit.worker.vault import AT, COMPLETED, IMAGE, KEY, Vault
from worker.verdict import Progress

PENDING = Record(image_id=IMAGE, user_id="key:alice", uploaded_at=AT, original_key=KEY)
SETTLED = COMPLETED.model_copy(update={"settled_token": "T1"})
KEY_OF_BOB = source_key(user_id="key:bob", image_id=IMAGE)
ERASED = COMPLETED.model_copy(update={"status": Status.ERASED, "version_id": None})


def versions_of(vault: Vault) -> list[str]:
    return [one.version_id for one in vault.objects.sources[KEY]]


@pytest.mark.parametrize(
    ("record", "key", "left"),
    [
        (SETTLED, KEY, ["v1"]),
        (SETTLED.model_copy(update={"status": Status.REJECTED}), KEY, ["v1"]),
        (SETTLED.model_copy(update={"revision": "v2", "version_id": "v2"}), KEY, ["v1", "v2"]),
        (SETTLED.model_copy(update={"revision": "v0", "version_id": "v0"}), KEY, ["v1", "v2"]),
        (COMPLETED, KEY, ["v1", "v2"]),
        (PENDING, KEY, ["v1", "v2"]),
        (PENDING.model_copy(update={"upload_token": "T2"}), KEY, ["v1"]),
        (ERASED, KEY, ["v1"]),
        (None, KEY, ["v1", "v2"]),
        (SETTLED, KEY[:-1] + "0", ["v1", "v2"]),
        (SETTLED.model_copy(update={"original_key": KEY_OF_BOB}), KEY, ["v1", "v2"]),
    ],
)
async def test_a_version_is_deleted_only_if_the_records_tokens_say_that_it_never_counts(
    record: Record | None, key: str, left: list[str]
) -> None:
    vault = Vault(record)
    for body in (b"1", b"2"):
        vault.objects.upload(KEY, body)
    message = DeleteVersion(image_id=IMAGE, key=key, version_id="v2")
    for _ in range(2):
        await vault.process(message.to_json())
    assert versions_of(vault) == left


def variant(key: str) -> Variant:
    return Variant(key=key, media_type="image/webp", width=1, height=1, size=7, sha256="0")


async def test_assets_of_an_object_without_a_record_are_deleted_and_then_invalidated() -> None:
    vault = Vault(None)
    for revision in ("v1", "v2"):
        vault.put_asset(revision)
    await vault.process(DeleteAssets(image_id=IMAGE, at=AT).to_json())
    assert vault.objects.assets == {}
    assert vault.cdn.invalidated == {}
    await vault.run()
    assert vault.cdn.invalidated == {f"{IMAGE}-assets-{AT}": f"#img-{IMAGE}"}
    assert vault.now == AT / 1000 + 20


async def test_results_that_viewers_have_rendered_again_do_not_put_off_the_invalidation() -> None:
    vault = Vault(None)
    vault.put_asset("v1")
    assert await vault.process(DeleteAssets(image_id=IMAGE, at=AT).to_json()) is Progress.STORED
    vault.put_asset("v1")
    await vault.step()
    assert vault.objects.assets == {}
    assert list(vault.cdn.invalidated) == [f"{IMAGE}-assets-{AT}"]
    assert not await vault.step()


async def test_a_deleted_version_is_work_that_closes_the_breaker() -> None:
    vault = Vault(ERASED)
    vault.objects.upload(KEY, b"1")
    message = DeleteVersion(image_id=IMAGE, key=KEY, version_id="v1").to_json()
    assert await vault.process(message) is Progress.STORED
    assert await Vault(None).process(message) is Progress.NONE


async def test_the_assets_of_an_image_are_not_deleted_without_their_names() -> None:
    vault = Vault()
    key = vault.put_asset("v1")
    await vault.process(DeleteAssets(image_id=IMAGE, at=AT).to_json())
    assert list(vault.objects.assets) == [key]
    assert vault.value("deletions_total", what="assets", outcome="kept") == 1


async def test_an_asset_that_the_record_names_stays_and_others_go() -> None:
    vault = Vault()
    kept, old, other = (vault.put_asset(revision) for revision in ("v3", "v1", "v2"))
    vault.records.records[IMAGE] = COMPLETED.model_copy(update={"variants": {"a": variant(kept)}})
    message = DeleteAssets(image_id=IMAGE, keys=(kept, old), at=AT)
    await vault.process(message.to_json())
    assert set(vault.objects.assets) == {kept, other}
