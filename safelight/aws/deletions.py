"""Deletes objects in both buckets. Only the role `cleanup` has the permission for it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safelight.aws.dependency import Dependency
from safelight.errors import Refused

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

MOST_AT_ONCE = 1000
"""S3's limit on objects in one request."""


class Deletions:
    """Deletes versions of sources, and assets. A repeat deletes nothing."""

    def __init__(
        self, client: "S3Client", dependency: Dependency, *, uploads_bucket: str, assets_bucket: str
    ) -> None:
        self._client = client
        self._dependency = dependency
        self._uploads_bucket = uploads_bucket
        self._assets_bucket = assets_bucket

    async def versions(self, key: str, version_ids: Sequence[str]) -> None:
        """Delete versions of a source for ever, delete markers included.

        Raises `Refused` if S3 keeps one of them, for example because it is locked; the others are
        deleted.
        """
        objects = [{"Key": key, "VersionId": version_id} for version_id in version_ids]
        await self._delete(self._uploads_bucket, objects)

    async def assets(self, keys: Sequence[str]) -> None:
        """Delete assets. Raises `Refused` if S3 keeps one of them; the others are deleted."""
        await self._delete(self._assets_bucket, [{"Key": key} for key in keys])

    async def _delete(self, bucket: str, objects: Sequence[Mapping[str, str]]) -> None:
        errors: list[Any] = []
        for start in range(0, len(objects), MOST_AT_ONCE):
            batch: Any = list(objects[start : start + MOST_AT_ONCE])
            async with self._dependency.call("DeleteObjects", bucket):
                answer = await self._client.delete_objects(
                    Bucket=bucket, Delete={"Objects": batch, "Quiet": True}
                )
            errors += answer.get("Errors", ())
        if errors:
            first = errors[0]
            raise Refused(
                "s3",
                f"DeleteObjects of {bucket}: {len(errors)} of {len(objects)} objects stay; "
                f"{first.get('Key')}: {first.get('Code')}: {first.get('Message')}",
            )
