"""Lists the objects of one image in both buckets, for operators. It reads no picture."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.aws.dependency import Dependency
from safelight.keys import UPLOADS_PREFIX, assets_prefix

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAsset:
    """An asset in its bucket."""

    key: str
    size_bytes: int
    modified_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceVersion:
    """A version of a source, or a delete marker, which has no size."""

    version_id: str
    size_bytes: int | None
    modified_at: float
    """Seconds since 1970."""
    latest: bool


class Inventory:
    """Lists the uploads bucket and the assets bucket."""

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

    async def assets(self, image_id: str) -> tuple[StoredAsset, ...]:
        """List all assets of an image by key, of every revision."""
        found: list[StoredAsset] = []
        where: dict[str, Any] = {"Bucket": self._assets_bucket, "Prefix": assets_prefix(image_id)}
        while True:
            async with self._dependency.call("ListObjectsV2", self._assets_bucket):
                page = await self._client.list_objects_v2(**where)
            found += [
                StoredAsset(
                    key=one["Key"],
                    size_bytes=one["Size"],
                    modified_at=one["LastModified"].timestamp(),
                )
                for one in page.get("Contents", ())
            ]
            if not page.get("IsTruncated"):
                return tuple(found)
            where["ContinuationToken"] = page["NextContinuationToken"]

    async def versions(self, key: str) -> tuple[SourceVersion, ...]:
        """List the versions of a source and its delete markers, the latest first."""
        found: list[SourceVersion] = []
        where: dict[str, Any] = {"Bucket": self._uploads_bucket, "Prefix": key}
        while True:
            async with self._dependency.call("ListObjectVersions", self._uploads_bucket):
                page = await self._client.list_object_versions(**where)
            listed: list[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            found += [_version(one) for one in listed if one["Key"] == key]
            # Keys come in order, so other keys that begin with this one follow all its versions.
            if not page.get("IsTruncated") or page.get("NextKeyMarker") != key:
                return tuple(sorted(found, key=lambda one: (not one.latest, -one.modified_at)))
            where |= {"KeyMarker": key, "VersionIdMarker": page["NextVersionIdMarker"]}

    async def source_keys(self) -> AsyncIterator[str]:
        """Yield the key of every source that has or had a version, in order, each once.

        It lists all versions, so that deleted sources are there too: their images have records.
        """
        async for key, _ in self.keys_below(UPLOADS_PREFIX):
            yield key

    async def keys_below(self, prefix: str) -> AsyncIterator[tuple[str, float]]:
        """Yield each key of the uploads bucket that begins so, and when it was stored last.

        Times are seconds since 1970. Keys of which only a delete marker is left are included.
        """
        where: dict[str, Any] = {"Bucket": self._uploads_bucket, "Prefix": prefix}
        while True:
            async with self._dependency.call("ListObjectVersions", self._uploads_bucket):
                page = await self._client.list_object_versions(**where)
            listed: list[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            newest = {one["Key"]: one["LastModified"] for one in listed if one["IsLatest"]}
            for key in sorted(newest):
                yield key, newest[key].timestamp()
            if not page.get("IsTruncated"):
                return
            where |= {"KeyMarker": page["NextKeyMarker"]}
            if "NextVersionIdMarker" in page:
                where |= {"VersionIdMarker": page["NextVersionIdMarker"]}


def _version(listed: Mapping[str, Any]) -> SourceVersion:
    return SourceVersion(
        version_id=listed["VersionId"],
        size_bytes=listed.get("Size"),
        modified_at=listed["LastModified"].timestamp(),
        latest=listed["IsLatest"],
    )
