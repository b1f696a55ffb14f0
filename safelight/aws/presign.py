"""Presigned URLs: they let a client without credentials do one thing with one object, for a while.

Signing calls no service: it is a computation with our credentials, and the URL allows no more than
they do. URLs signed with temporary credentials end no later than these do, and say so.
"""

import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from safelight.aws.dependency import Dependency

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

CHECKSUM = "x-amz-checksum-sha256"
UPLOAD_TOKEN = "x-amz-meta-upload-token"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedPost:
    """A form to send as multipart/form-data: these fields, then the picture as `file`."""

    url: str
    fields: Mapping[str, str]
    expires_at: int
    """When the signature ends, in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedPut:
    """A PUT that must carry these headers, and the announced Content-Length.

    The length is not among the headers: HTTP clients send it themselves, and browsers let no page
    set it.
    """

    url: str
    headers: Mapping[str, str]
    expires_at: int
    """When the signature ends, in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedGet:
    """A URL that gets one object, or its headers."""

    url: str
    expires_at: int
    """When the signature ends, in seconds since 1970."""


class Credentials(Protocol):
    """The credentials that sign."""

    async def get_frozen_credentials(self) -> object:
        """Return the current credentials, renewed if they end soon."""
        ...


class Presigner:
    """Signs for the address of S3 that clients see."""

    def __init__(
        self,
        client: "S3Client",
        dependency: Dependency,
        *,
        credentials: Credentials | None,
        uploads_bucket: str,
        assets_bucket: str,
    ) -> None:
        """Sign with the client. `credentials` are its own; None if it has none."""
        self._client = client
        self._dependency = dependency
        self._credentials = credentials
        self._uploads_bucket = uploads_bucket
        self._assets_bucket = assets_bucket

    async def post(
        self,
        *,
        key: str,
        content_type: str,
        size_bytes: int,
        sha256: str | None = None,
        upload_token: str | None = None,
        expires_seconds: int,
    ) -> PresignedPost:
        """Allow a POST of one source: with this key and type, at most `size_bytes`, not empty.

        With a SHA-256 (in hex) only these exact bytes. The object gets the upload token. The form
        may be used again until it expires: workers settle the first upload with its token.
        """
        fields = {"Content-Type": content_type, "success_action_status": "201"}
        if sha256:
            fields[CHECKSUM] = _base64(sha256)
        if upload_token:
            fields[UPLOAD_TOKEN] = upload_token
        conditions: list[Any] = [{name: value} for name, value in fields.items()]
        conditions.append(["content-length-range", min(1, size_bytes), size_bytes])
        async with self._dependency.call("PresignPost", self._uploads_bucket):
            seconds, expires_at = await self._validity(expires_seconds)
            signed = await self._client.generate_presigned_post(
                Bucket=self._uploads_bucket,
                Key=key,
                Fields=fields,
                Conditions=conditions,
                ExpiresIn=seconds,
            )
        return PresignedPost(url=signed["url"], fields=signed["fields"], expires_at=expires_at)

    async def put(
        self,
        *,
        key: str,
        content_type: str,
        size_bytes: int,
        sha256: str | None = None,
        upload_token: str | None = None,
        expires_seconds: int,
    ) -> PresignedPut:
        """Allow a PUT of a source: with this key and type, exactly `size_bytes`.

        With a SHA-256 (in hex) only these exact bytes. The object gets the upload token. A client
        may repeat the PUT, since it cannot know whether one arrived whose answer was lost.
        """
        headers = {"Content-Type": content_type}
        signed: dict[str, Any] = {}
        if sha256:
            signed["ChecksumSHA256"] = headers[CHECKSUM] = _base64(sha256)
        if upload_token:
            signed["Metadata"] = {UPLOAD_TOKEN.removeprefix("x-amz-meta-"): upload_token}
            headers[UPLOAD_TOKEN] = upload_token
        url, expires_at = await self._url(
            "put_object",
            {
                "Bucket": self._uploads_bucket,
                "Key": key,
                "ContentType": content_type,
                "ContentLength": size_bytes,
                **signed,
            },
            expires_seconds,
        )
        return PresignedPut(url=url, headers=headers, expires_at=expires_at)

    async def get_asset(self, *, key: str, expires_seconds: int) -> PresignedGet:
        """Allow a GET of an asset."""
        url, expires_at = await self._url(
            "get_object", {"Bucket": self._assets_bucket, "Key": key}, expires_seconds
        )
        return PresignedGet(url=url, expires_at=expires_at)

    async def get_source(
        self,
        *,
        key: str,
        content_disposition: str,
        expires_seconds: int,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> PresignedGet:
        """Allow a GET of a source's latest version, answered with this Content-Disposition.

        S3 refuses other methods than the signed one, so a HEAD needs a URL of its own.
        """
        params = {
            "Bucket": self._uploads_bucket,
            "Key": key,
            "ResponseContentDisposition": content_disposition,
            "ResponseCacheControl": "private, no-store",
        }
        url, expires_at = await self._url(f"{method.lower()}_object", params, expires_seconds)
        return PresignedGet(url=url, expires_at=expires_at)

    async def _url(
        self, operation: str, params: dict[str, Any], expires_seconds: int
    ) -> tuple[str, int]:
        """Return a signed URL and when it ends."""
        async with self._dependency.call("PresignUrl", str(params["Bucket"])):
            seconds, expires_at = await self._validity(expires_seconds)
            url = await self._client.generate_presigned_url(
                operation, Params=params, ExpiresIn=seconds
            )
        return url, expires_at

    async def _validity(self, seconds: int) -> tuple[int, int]:
        """Return for how long a signature made now holds, and when it ends.

        A signature ends with the credentials that made it. botocore renews those that end soon, but
        keeps them while the renewal fails.
        """
        now = int(time.time())
        if self._credentials is not None:
            await self._credentials.get_frozen_credentials()
            ends: datetime | None = getattr(self._credentials, "_expiry_time", None)
            if ends is not None:
                seconds = max(1, min(seconds, int(ends.timestamp()) - now))
        return seconds, now + seconds


def _base64(sha256: str) -> str:
    return b64encode(bytes.fromhex(sha256)).decode()
