"""Sources and assets, as S3 keeps them. Bytes go between S3 and files, large ones in chunks."""

import hashlib
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from safelight.aws.dependency import Dependency, Meanings
from safelight.errors import Archived, Reason, Rejection, SafelightError, Superseded, Unavailable
from safelight.files import open_result
from safelight.keys import read_asset_key

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

CHUNK_BYTES = 1024 * 1024
PART_BYTES = 512 * 1024
"""The most of an asset that is read at once: most are smaller, and a slow viewer holds no more."""
TRANSFER_SECONDS = 60
"""The longest that one object may take. A body that stalls fails sooner, by the read time-out."""
CACHE_CONTROL = "public, max-age=31536000, immutable"
"""An asset's key never changes its meaning (see `safelight.keys`)."""

_TAGS, _SHA256 = "cache-tag", "sha256"
"""Metadata of an asset: what caches may forget it by, and its digest, which no S3 ETag tells."""

_gone = partial(Rejection, Reason.SOURCE_GONE)
_FETCH_MEANINGS: Meanings = {
    "NoSuchKey": _gone,
    "NoSuchVersion": _gone,
    "MethodNotAllowed": _gone,  # the version is a delete marker
    "InvalidObjectState": partial(Archived, "s3"),
    "PreconditionFailed": Superseded,  # asked for without a version: another one stands there now
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was fetched."""

    size_bytes: int
    sha256: str
    """In hexadecimal."""


class _NotStored(SafelightError):
    """There is no asset of this key."""


_READ_MEANINGS: Meanings = {
    "NoSuchKey": _NotStored,
    "404": _NotStored,
    "InvalidRange": _NotStored,  # it is empty, or ends before: nothing of it is there
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A stored asset."""

    media_type: str
    size_bytes: int
    sha256: str
    """In hexadecimal; of assets that do not say theirs, what stands for it: S3's ETag."""
    body: bytes | None
    """A part of it, `PART_BYTES` at most; None where only the rest was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """Which version of a source stands, and what its bucket says of it."""

    version_id: str | None
    etag: str
    size_bytes: int
    media_type: str
    modified_at: float
    """Seconds since 1970."""


class Objects:
    """The uploads bucket to read from and the assets bucket to write to."""

    def __init__(
        self,
        client: "S3Client",
        dependency: Dependency,
        *,
        uploads_bucket: str,
        assets_bucket: str,
    ) -> None:
        self._client = client
        self._dependency = dependency
        self._uploads_bucket = uploads_bucket
        self._assets_bucket = assets_bucket

    async def fetch(
        self, *, key: str, version_id: str | None, etag: str | None, to: Path, max_bytes: int
    ) -> Fetched:
        """Write one version of a source to a file.

        Without a version id it is the version that the ETag tells, or `Superseded` if that no
        longer stands. Raises `Rejection` for a source that is gone or has too many bytes.
        """
        which: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        if etag and not version_id:
            which["IfMatch"] = _quoted(etag)
        async with self._dependency.call(
            "GetObject",
            f"{self._uploads_bucket}/{key}",
            seconds=TRANSFER_SECONDS,
            meanings=_FETCH_MEANINGS,
        ):
            answer = await self._client.get_object(Bucket=self._uploads_bucket, Key=key, **which)
            body = answer["Body"]
            async with body:  # which gives the connection back, or closes it if bytes are left
                announced = answer["ContentLength"]
                _check_size(announced, max_bytes)
                if etag and answer["ETag"] != _quoted(etag):
                    raise Unavailable("s3", f"{key} has not the ETag that its event tells")
                fetched = await _save(body, to, max_bytes)
        if fetched.size_bytes != announced:
            raise Unavailable("s3", f"{key} ended after {fetched.size_bytes} of {announced} bytes")
        return fetched

    async def put(self, *, key: str, path: Path, media_type: str, sha256: str) -> None:
        """Store a file as an asset. S3 refuses it if the bytes have not this SHA-256 (in hex)."""
        async with self._dependency.call(
            "PutObject", f"{self._assets_bucket}/{key}", seconds=TRANSFER_SECONDS
        ):
            with open_result(path) as file:
                await self._client.put_object(
                    Bucket=self._assets_bucket,
                    Key=key,
                    Body=_body(file),
                    ContentType=media_type,
                    CacheControl=CACHE_CONTROL,
                    Metadata=_metadata(key, sha256),
                    ChecksumSHA256=b64encode(bytes.fromhex(sha256)).decode(),
                )

    async def read(self, key: str, *, max_bytes: int, first: int = 0) -> Asset | None:
        """Read a part of an asset, from its `first` byte on; None if it is not stored.

        Raises a `Rejection` of one that has too many bytes in all.
        """
        try:
            async with self._dependency.call(
                "GetObject",
                f"{self._assets_bucket}/{key}",
                seconds=TRANSFER_SECONDS,
                meanings=_READ_MEANINGS,
            ):
                answer = await self._client.get_object(
                    Bucket=self._assets_bucket,
                    Key=key,
                    Range=f"bytes={first}-{first + PART_BYTES - 1}",
                )
                async with answer["Body"] as body:
                    size_bytes = int(answer["ContentRange"].rpartition("/")[2])
                    _check_size(size_bytes, max_bytes)
                    return _asset(answer, size_bytes, await body.read())
        except _NotStored:
            return None

    async def stand(self, key: str) -> ObjectVersion | None:
        """Tell which version of a source stands; None if there is none."""
        try:
            async with self._dependency.call(
                "HeadObject", f"{self._uploads_bucket}/{key}", meanings=_READ_MEANINGS
            ):
                answer = await self._client.head_object(Bucket=self._uploads_bucket, Key=key)
        except _NotStored:
            return None
        version_id = answer.get("VersionId")
        return ObjectVersion(
            version_id=None if version_id == "null" else version_id,
            etag=answer["ETag"].strip('"'),
            size_bytes=answer["ContentLength"],
            media_type=answer["ContentType"],
            modified_at=answer["LastModified"].timestamp(),
        )

    async def look(self, key: str) -> Asset | None:
        """Read what is known of an asset, without its bytes; None if it is not stored."""
        try:
            async with self._dependency.call(
                "HeadObject", f"{self._assets_bucket}/{key}", meanings=_READ_MEANINGS
            ):
                answer = await self._client.head_object(Bucket=self._assets_bucket, Key=key)
                return _asset(answer, answer["ContentLength"], None)
        except _NotStored:
            return None


def _metadata(key: str, sha256: str) -> dict[str, str]:
    name = read_asset_key(key)
    return {_SHA256: sha256} | ({_TAGS: name.cache_tags} if name else {})


def _asset(answer: Mapping[str, Any], size_bytes: int, body: bytes | None) -> Asset:
    return Asset(
        media_type=answer["ContentType"],
        size_bytes=size_bytes,
        sha256=answer["Metadata"].get(_SHA256) or answer["ETag"].strip('"'),
        body=body,
    )


async def _save(body: Any, to: Path, max_bytes: int) -> Fetched:
    """Write a body to a file as it comes.

    Written in the loop's own thread: the page cache takes a chunk in a fraction of a millisecond,
    less than the way to another thread and back costs a small picture.
    """
    digest, size = hashlib.sha256(), 0
    with to.open("wb", buffering=0) as file:
        async for chunk in body.iter_chunks(CHUNK_BYTES):
            size += len(chunk)
            _check_size(size, max_bytes)
            digest.update(chunk)
            file.write(chunk)
    return Fetched(size_bytes=size, sha256=digest.hexdigest())


def _body(file: BinaryIO) -> bytes | BinaryIO:
    """Give a small file whole: of an open file aiohttp reads every chunk in another thread."""
    return file.read() if os.fstat(file.fileno()).st_size <= CHUNK_BYTES else file


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise Rejection(
            Reason.TOO_MANY_BYTES, f"{size_bytes} bytes or more; the limit is {max_bytes}"
        )


def _quoted(etag: str) -> str:
    return '"' + etag.strip('"') + '"'
