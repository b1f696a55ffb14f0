"""The contract of sources and assets, on every backend."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
import pytest_asyncio

from safelight.aws.objects import CACHE_CONTROL, PART_BYTES
from safelight.errors import Reason, Rejection, SafelightError, StaleUpload, Superseded
from safelight.keys import asset_key, new_image_id
from tests.contract.conftest import Place
from tests.support.fakes import FakeObjects

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_LIMIT = 1 << 30


@dataclass(frozen=True)
class Version:
    version_id: str
    etag: str


@dataclass(frozen=True)
class Asset:
    body: bytes
    media_type: str
    cache_control: str


class Store(Protocol):
    """The edge under test, and access to what it stores."""

    edge: Any
    """The edge of a worker."""
    reader: Any
    """The edge of delivery."""

    async def upload(self, key: str, body: bytes, *, token: str | None = None) -> Version: ...
    async def remove(self, key: str) -> str: ...
    async def asset(self, key: str) -> Asset: ...


class FakeStore:
    def __init__(self):
        self.edge = self.reader = FakeObjects()

    async def upload(self, key, body, *, token=None):
        version = self.edge.upload(key, body, token=token)
        return Version(version.version_id, version.etag)

    async def remove(self, key):
        return self.edge.upload(key, None).version_id

    async def asset(self, key):
        asset = self.edge.assets[key]
        return Asset(asset.body, asset.media_type, asset.cache_control)


class AwsStore:
    def __init__(self, place: Place, edge, reader):
        self.edge, self.reader = edge, reader
        self._s3, self._settings = place.clients["s3"], place.settings

    async def upload(self, key, body, *, token=None):
        bucket = self._settings.uploads_bucket
        metadata = {"upload-token": token} if token else {}
        answer = await self._s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)
        return Version(answer["VersionId"], answer["ETag"].strip('"'))

    async def remove(self, key):
        answer = await self._s3.delete_object(Bucket=self._settings.uploads_bucket, Key=key)
        return answer["VersionId"]

    async def asset(self, key):
        answer = await self._s3.get_object(Bucket=self._settings.assets_bucket, Key=key)
        body = await answer["Body"].read()
        return Asset(body, answer["ContentType"], answer["CacheControl"])


async def _store_of(place: Place) -> AwsStore:
    return AwsStore(place, await place.as_worker.objects(), await place.as_delivery.objects())


@pytest_asyncio.fixture(loop_scope="session")
async def store(place) -> Store:
    return FakeStore() if place is None else await _store_of(place)


@pytest.fixture
def key() -> str:
    return f"uploads/{uuid4()}/a b+\u00fc(1)&=#%25.jpg"


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "source"


async def fetch(
    store, key, target, *, version_id=None, etag=None, max_bytes=NO_LIMIT, upload_tokens=None
):
    return await store.edge.fetch(
        key=key, version_id=version_id, etag=etag, to=target, max_bytes=max_bytes,
        upload_tokens=upload_tokens,
    )  # fmt: skip


async def test_a_link_to_another_file_is_not_stored(store, key, target):
    target.write_bytes(b"of another picture")
    link = target.with_name("link")
    link.symlink_to(target)
    digest = hashlib.sha256(b"of another picture").hexdigest()
    with pytest.raises(Rejection, match="link is not a regular file"):
        await store.edge.put(key=key, path=link, media_type="image/webp", sha256=digest)


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 3 * 1024 * 1024 + 17])
async def test_a_fetched_source_is_written_whole_with_its_size_and_hash(store, key, target, size):
    body = bytes(index * 31 % 251 for index in range(1000)) * (size // 1000 + 1)
    body = body[:size]
    version = await store.upload(key, body)
    fetched = await fetch(store, key, target, version_id=version.version_id, etag=version.etag)
    assert target.read_bytes() == body
    assert fetched.size_bytes == size
    assert fetched.sha256 == hashlib.sha256(body).hexdigest()


async def test_an_old_version_is_fetched_after_a_new_one_came(store, key, target):
    first = await store.upload(key, b"first")
    await store.upload(key, b"second")
    await fetch(store, key, target, version_id=first.version_id, etag=first.etag)
    assert target.read_bytes() == b"first"


async def test_without_a_version_the_etag_names_what_is_fetched(store, key, target):
    version = await store.upload(key, b"only")
    await fetch(store, key, target, etag=version.etag)
    assert target.read_bytes() == b"only"


async def test_without_version_and_etag_the_newest_is_fetched(store, key, target):
    await store.upload(key, b"old")
    await store.upload(key, b"new")
    await fetch(store, key, target)
    assert target.read_bytes() == b"new"


async def test_a_source_that_was_replaced_meanwhile_is_superseded(store, key, target):
    first = await store.upload(key, b"first")
    await store.upload(key, b"second")
    with pytest.raises(Superseded):
        await fetch(store, key, target, etag=first.etag)


@pytest.mark.parametrize("token", ["a.token-1", None])
async def test_a_source_is_fetched_only_with_a_token_that_its_image_accepts(
    store, key, target, token
):
    await store.upload(key, b"of this token", token=token)
    for accepted in (None, {token}, {token, "other"}):
        target.write_bytes(b"")
        await fetch(store, key, target, upload_tokens=accepted)
        assert target.read_bytes() == b"of this token"
    target.unlink()
    for refused in (set(), {"other"}, {"other", "a.token-2"}):
        with pytest.raises(StaleUpload):
            await fetch(store, key, target, upload_tokens=refused, max_bytes=1)
    assert not target.exists()


async def test_a_source_that_never_was_is_gone(store, key, target):
    with pytest.raises(Rejection) as caught:
        await fetch(store, key, target)
    assert caught.value.reason is Reason.SOURCE_GONE


async def test_a_removed_source_is_gone(store, key, target):
    await store.upload(key, b"x")
    await store.remove(key)
    with pytest.raises(Rejection) as caught:
        await fetch(store, key, target)
    assert caught.value.reason is Reason.SOURCE_GONE


async def test_a_version_that_is_a_removal_is_gone(store, key, target):
    await store.upload(key, b"x")
    removal = await store.remove(key)
    with pytest.raises(Rejection) as caught:
        await fetch(store, key, target, version_id=removal)
    assert caught.value.reason is Reason.SOURCE_GONE


async def test_a_source_over_the_limit_is_rejected(store, key, target):
    version = await store.upload(key, b"x" * 1001)
    with pytest.raises(Rejection) as caught:
        await fetch(store, key, target, version_id=version.version_id, max_bytes=1000)
    assert caught.value.reason is Reason.TOO_MANY_BYTES


async def test_a_source_as_large_as_the_limit_is_fetched(store, key, target):
    version = await store.upload(key, b"x" * 1000)
    fetched = await fetch(store, key, target, version_id=version.version_id, max_bytes=1000)
    assert fetched.size_bytes == 1000


@pytest.mark.parametrize("size", [1, 2 * 1024 * 1024 + 3])
async def test_a_put_asset_has_its_bytes_and_may_be_cached_for_ever(store, tmp_path, size):
    key, path = f"images/{uuid4()}/v1/small-abc.webp", tmp_path / "asset"
    path.write_bytes(b"x" * size)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    await store.edge.put(key=key, path=path, media_type="image/webp", sha256=digest)
    assert await store.asset(key) == Asset(b"x" * size, "image/webp", CACHE_CONTROL)


def asset_key_of(image_id: str) -> str:
    words = {"revision": "v1", "preset": "small", "fingerprint": "0123456789ab"}
    return asset_key(image_id=image_id, extension="webp", **words)


async def put(store, tmp_path, body: bytes) -> tuple[str, str]:
    key, path = asset_key_of(new_image_id()), tmp_path / "asset"
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    await store.edge.put(key=key, path=path, media_type="image/webp", sha256=digest)
    return key, digest


async def test_a_stored_asset_is_read_back_with_what_is_known_of_it(store, tmp_path):
    key, digest = await put(store, tmp_path, b"picture")
    asset = await store.reader.read(key, max_bytes=7)
    assert (asset.body, asset.media_type, asset.size_bytes) == (b"picture", "image/webp", 7)
    assert asset.sha256 == digest
    assert await store.reader.look(key) == replace(asset, body=None)


async def test_a_large_asset_is_read_in_parts(store, tmp_path):
    body = bytes(range(256)) * (PART_BYTES // 256) + b"rest"
    key, digest = await put(store, tmp_path, body)
    start = await store.reader.read(key, max_bytes=len(body))
    rest = await store.reader.read(key, max_bytes=len(body), first=PART_BYTES)
    assert start.body + rest.body == body
    assert start == replace(rest, body=start.body)
    assert (rest.size_bytes, rest.sha256) == (len(body), digest)
    assert await store.reader.read(key, max_bytes=len(body), first=len(body)) is None
    with pytest.raises(Rejection):
        await store.reader.read(key, max_bytes=len(body) - 1)


async def test_an_asset_that_is_not_stored_is_none(store):
    key = asset_key_of(new_image_id())
    assert await store.reader.read(key, max_bytes=1) is None
    assert await store.reader.look(key) is None


async def test_an_empty_asset_is_as_if_it_were_not_there(store, tmp_path):
    key, _ = await put(store, tmp_path, b"")
    assert await store.reader.read(key, max_bytes=1) is None


async def test_the_version_that_stands_is_told(store, key):
    assert await store.reader.current_version(key) is None
    await store.upload(key, b"old")
    version = await store.upload(key, b"newer")
    current = await store.reader.current_version(key)
    assert (current.version_id, current.etag) == (version.version_id, version.etag)
    assert (current.size_bytes, current.media_type.endswith("octet-stream")) == (5, True)
    await store.remove(key)
    assert await store.reader.current_version(key) is None


@pytest.mark.parametrize(
    ("name", "another"),
    [
        ("a//b.jpg", "a/b.jpg"),
        ("/b.jpg", "b.jpg"),
        ("a[1]|b.jpg", "a%5B1%5D%7Cb.jpg"),
        ("caf\u00e9.jpg", "cafe\u0301.jpg"),
        ("at 9.41\u202fAM.png", "at 9.41 AM.png"),
    ],
)
async def test_a_name_is_no_other_name_that_looks_like_it(store, key, target, name, another):
    folder = key.rpartition("/")[0]
    await store.upload(f"{folder}/{name}", b"picture")
    assert await store.reader.current_version(f"{folder}/{another}") is None
    current = await store.reader.current_version(f"{folder}/{name}")
    await fetch(store, f"{folder}/{name}", target, etag=current.etag)
    assert target.read_bytes() == b"picture"


async def test_an_asset_over_the_limit_is_not_read(store, tmp_path):
    key, _ = await put(store, tmp_path, b"picture")
    with pytest.raises(Rejection):
        await store.reader.read(key, max_bytes=6)


async def test_putting_an_asset_again_changes_nothing(store, tmp_path):
    key, path = f"images/{uuid4()}/v1/small-abc.webp", tmp_path / "asset"
    path.write_bytes(b"the same")
    digest = hashlib.sha256(b"the same").hexdigest()
    for _ in range(2):
        await store.edge.put(key=key, path=path, media_type="image/webp", sha256=digest)
    assert (await store.asset(key)).body == b"the same"


async def test_a_put_whose_bytes_are_not_what_was_said_is_refused(store, tmp_path):
    key, path = f"images/{uuid4()}/v1/small-abc.webp", tmp_path / "asset"
    path.write_bytes(b"damaged on the way")
    digest = hashlib.sha256(b"as it was").hexdigest()
    with pytest.raises(SafelightError):
        await store.edge.put(key=key, path=path, media_type="image/webp", sha256=digest)
