"""Small JSON documents beside the sources: the ledger of erasures, and their counts."""

from typing import TYPE_CHECKING

from safelight.aws.dependency import Dependency, Meanings
from safelight.errors import SafelightError

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

MEDIA_TYPE = "application/json"


class _Exists(SafelightError):
    """There is a document with this key."""


class _NotStored(SafelightError):
    """There is no document with this key."""


_PUT_MEANINGS: Meanings = {"PreconditionFailed": _Exists, "412": _Exists}
_READ_MEANINGS: Meanings = {"NoSuchKey": _NotStored, "404": _NotStored}
_READ_WITHOUT_LISTING: Meanings = {**_READ_MEANINGS, "AccessDenied": _NotStored}


class Documents:
    """Documents in the uploads bucket. No event announces them."""

    def __init__(self, client: "S3Client", dependency: Dependency, *, uploads_bucket: str) -> None:
        self._client = client
        self._dependency = dependency
        self._bucket = uploads_bucket

    async def add(self, key: str, text: str) -> bool:
        """Store a document unless one with this key exists; return whether it was stored."""
        try:
            async with self._dependency.call(
                "PutObject", f"{self._bucket}/{key}", meanings=_PUT_MEANINGS
            ):
                await self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=text.encode(),
                    ContentType=MEDIA_TYPE,
                    IfNoneMatch="*",
                )
        except _Exists:
            return False
        return True

    async def put(self, key: str, text: str) -> None:
        """Store a document, in place of the one with this key."""
        async with self._dependency.call("PutObject", f"{self._bucket}/{key}"):
            await self._client.put_object(
                Bucket=self._bucket, Key=key, Body=text.encode(), ContentType=MEDIA_TYPE
            )

    async def read(self, key: str, *, lists: bool = True) -> str | None:
        """Return a document; None if there is none.

        A caller that may not list the bucket says so: S3 answers it with 403 for a missing one.
        """
        meanings = _READ_MEANINGS if lists else _READ_WITHOUT_LISTING
        try:
            async with self._dependency.call(
                "GetObject", f"{self._bucket}/{key}", meanings=meanings
            ):
                answer = await self._client.get_object(Bucket=self._bucket, Key=key)
                async with answer["Body"] as body:
                    return (await body.read()).decode()
        except _NotStored:
            return None
