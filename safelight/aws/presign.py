"""Presigned URLs: they let a client without credentials do one thing with one object, for a while.

Signing calls no service: it is a computation with our credentials, and the URL allows no more than
they do. URLs signed with temporary credentials expire early, when these do.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.aws.dependency import Dependency

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

CHECKSUM = "x-amz-checksum-sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedPost:
    """A form to send as multipart/form-data: these fields, then the picture as `file`."""

    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedPut:
    """A PUT that must carry exactly these headers."""

    url: str
    headers: Mapping[str, str]


class Presigner:
    """Signs for the address of S3 that clients see."""

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

    async def post(
        self,
        *,
        key: str,
        content_type: str,
        size_bytes: int,
        sha256: str | None = None,
        expires_seconds: int,
    ) -> PresignedPost:
        """Allow a POST of one source: with this key and type, at most `size_bytes`, not empty.

        With a SHA-256 (in hex) only these exact bytes. The form may be used again until it expires.
        """
        fields = {"Content-Type": content_type, "success_action_status": "201"}
        if sha256:
            fields[CHECKSUM] = _base64(sha256)
        conditions: list[Any] = [{name: value} for name, value in fields.items()]
        conditions.append(["content-length-range", min(1, size_bytes), size_bytes])
        async with self._dependency.call("PresignPost", self._uploads_bucket):
            signed = await self._client.generate_presigned_post(
                Bucket=self._uploads_bucket,
                Key=key,
                Fields=fields,
                Conditions=conditions,
                ExpiresIn=expires_seconds,
            )
        return PresignedPost(url=signed["url"], fields=signed["fields"])

    async def put(
        self,
        *,
        key: str,
        content_type: str,
        size_bytes: int,
        sha256: str | None = None,
        expires_seconds: int,
    ) -> PresignedPut:
        """Allow one PUT of a source: with this key and type, exactly `size_bytes`.

        With a SHA-256 (in hex) only these exact bytes.
        """
        checksum = _base64(sha256) if sha256 else None
        url = await self._url(
            "put_object",
            {
                "Bucket": self._uploads_bucket,
                "Key": key,
                "ContentType": content_type,
                "ContentLength": size_bytes,
                "IfNoneMatch": "*",
                **({"ChecksumSHA256": checksum} if checksum else {}),
            },
            expires_seconds,
        )
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(size_bytes),
            "If-None-Match": "*",
            **({CHECKSUM: checksum} if checksum else {}),
        }
        return PresignedPut(url=url, headers=headers)

    async def get_asset(self, *, key: str, expires_seconds: int) -> str:
        """Allow a GET of an asset; return the URL."""
        return await self._url(
            "get_object", {"Bucket": self._assets_bucket, "Key": key}, expires_seconds
        )

    async def _url(self, operation: str, params: dict[str, Any], expires_seconds: int) -> str:
        async with self._dependency.call("PresignUrl", str(params["Bucket"])):
            return await self._client.generate_presigned_url(
                operation, Params=params, ExpiresIn=expires_seconds
            )


def _base64(sha256: str) -> str:
    return b64encode(bytes.fromhex(sha256)).decode()
