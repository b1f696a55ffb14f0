"""Sources and assets in S3. Large objects are copied between S3 and files in chunks."""

import hashlib
import os
from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from safelight.aws.dependency import Dependency, Meanings
from safelight.errors import (
    Archived,
    Reason,
    Rejection,
    SafelightError,
    StaleUpload,
    Superseded,
    Unavailable,
)
from safelight.files import open_result
from safelight.keys import read_asset_key

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

CHUNK_BYTES = 1024 * 1024
PART_BYTES = 512 * 1024
"""The largest part of an asset in memory. Most assets are smaller; a slow viewer costs no more."""
TRANSFER_SECONDS = 60
"""The time limit for one object in seconds. A stalled body fails earlier, by the read time-out."""
CACHE_CONTROL = "public, max-age=31536000, immutable"
"""The bytes under an asset key never change (see `safelight.keys`)."""

_TAGS, _SHA256, _UPLOAD_TOKEN = "cache-tag", "sha256", "upload-token"
"""Metadata of an asset: tags to invalidate caches by, and its SHA-256 (S3's ETag is none). Metadata
of a source: the token of its upload."""

_gone = partial(Rejection, Reason.SOURCE_GONE)
_FETCH_MEANINGS: Meanings = {
    "NoSuchKey": _gone,
    "NoSuchVersion": _gone,
    "MethodNotAllowed": _gone,  # the version is a delete marker
    "InvalidObjectState": partial(Archived, "s3"),
    "PreconditionFailed": Superseded,  # requested without a version id, and replaced since
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The size and checksum of a fetched source."""

    size_bytes: int
    sha256: str
    """In hexadecimal."""


class _NotStored(SafelightError):
    """There is no asset with this key."""


_READ_MEANINGS: Meanings = {
    "NoSuchKey": _NotStored,
    "404": _NotStored,
    "InvalidRange": _NotStored,  # the object is empty or ends before the range
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A stored asset."""

    media_type: str
    size_bytes: int
    sha256: str
    """The SHA-256 in hexadecimal, or S3's ETag for assets without it in their metadata."""
    body: bytes | None
    """A part of the bytes, at most `PART_BYTES`; None if only metadata was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """The current version of a source, with the facts that its bucket has about it."""

    version_id: str | None
    etag: str
    size_bytes: int
    media_type: str
    modified_at: float
    """Seconds since 1970."""


class Objects:
    """The uploads bucket to read from, and the assets bucket to write to and read from."""

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
        self,
        *,
        key: str,
        version_id: str | None,
        etag: str | None,
        to: Path,
        max_bytes: int,
        seconds: float = TRANSFER_SECONDS,
        upload_tokens: Collection[str | None] | None = None,
    ) -> Fetched:
        """Write one version of a source to a file, in at most so many seconds.

        Without a version id it is the version with the ETag; raises `Superseded` if that was
        replaced, and `StaleUpload` if there are `upload_tokens` and it has none of them. Raises
        `Rejection` for a source that is gone or has too many bytes.
        """
        which: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        if etag and not version_id:
            which["IfMatch"] = _quoted(etag)
        async with self._dependency.call(
            "GetObject",
            f"{self._uploads_bucket}/{key}",
            seconds=seconds,
            meanings=_FETCH_MEANINGS,
        ):
            answer = await self._client.get_object(Bucket=self._uploads_bucket, Key=key, **which)
            body = answer["Body"]
            async with body:  # returns the connection to the pool, or closes it if bytes are left
                if not _counts(answer, upload_tokens):
                    raise StaleUpload(f"{key} has a token that its image does not wait for")
                announced = answer["ContentLength"]
                _check_size(announced, max_bytes)
                if etag and answer["ETag"] != _quoted(etag):
                    raise Unavailable("s3", f"{key} has another ETag than its event")
                fetched = await _save(body, to, max_bytes)
        if fetched.size_bytes != announced:
            raise Unavailable("s3", f"{key} ended after {fetched.size_bytes} of {announced} bytes")
        return fetched

    async def put(self, *, key: str, path: Path, media_type: str, sha256: str) -> None:
        """Store a file as an asset. S3 refuses it unless the bytes have this SHA-256 (in hex)."""
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
        """Read a part of an asset, from its byte `first` on; None if it is not stored.

        Raises a `Rejection` if the whole asset has more than `max_bytes`.
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

    async def current_version(self, key: str) -> ObjectVersion | None:
        """Return the current version of a source; None if there is none."""
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
        """Read the metadata of an asset, without its bytes; None if it is not stored."""
        try:
            async with self._dependency.call(
                "HeadObject", f"{self._assets_bucket}/{key}", meanings=_READ_MEANINGS
            ):
                answer = await self._client.head_object(Bucket=self._assets_bucket, Key=key)
                return _asset(answer, answer["ContentLength"], None)
        except _NotStored:
            return None


def _counts(answer: Mapping[str, Any], tokens: Collection[str | None] | None) -> bool:
    return tokens is None or answer["Metadata"].get(_UPLOAD_TOKEN) in tokens


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
    """Write a body to a file as its chunks arrive.

    This runs in the event loop's thread: the page cache takes a chunk in a fraction of a
    millisecond. For a small picture, switching to another thread and back would take longer.
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
    """Return a small file as bytes: aiohttp reads each chunk of an open file in another thread."""
    return file.read() if os.fstat(file.fileno()).st_size <= CHUNK_BYTES else file


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise Rejection(
            Reason.TOO_MANY_BYTES, f"{size_bytes} bytes or more; the limit is {max_bytes}"
        )


def _quoted(etag: str) -> str:
    return '"' + etag.strip('"') + '"'
