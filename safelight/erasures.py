"""The erasure of an image: its progress in the tombstone, and the receipt.

    requested --objects deleted--> removed --caches invalidated--> invalidated --> complete

A listing that finds an object in a later state returns the erasure to `requested`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from pydantic import Field

from safelight.errors import Unavailable
from safelight.stored import StoredModel

if TYPE_CHECKING:
    from safelight.record import Record, Status

State = Literal["requested", "removed", "invalidated", "complete"]
By = Literal["owner", "admin", "operator", "user", "worker", "retention"]
"""Who asked for an erasure. `user`: the erasure of all images of a user; `worker`: one that met a
tombstone."""
Caches = Literal["tag", "flush"]
"""How caches are invalidated: by the image's tag, or everything at once with other erasures."""
NONE_CONFIGURED = "none configured"
NOT_COVERED = (
    "browser caches, until the max-age of their copies ends",
    "point-in-time backups of the table, for 35 days",
    "logs, until they expire",
    "copies made by subscribers and other clients",
)
"""What an erasure does not remove, for the receipt."""
STUCK_MS = 3_600_000
"""How long an erasure may rest before its message counts as lost: far longer than any pause."""
TRIES = 5
"""How often a record is read again because it changed, before the caller has to try later."""
TOMBSTONE_SECONDS = 90 * 24 * 3600
"""How long a tombstone outlives its erasure: longer than any message or URL of the image."""


class Found(StoredModel):
    """Counts of what the first listing of an erasure found."""

    versions: int = 0
    delete_markers: int = 0
    source_bytes: int = 0
    objects: int = 0
    """Assets."""
    asset_bytes: int = 0
    tags: int = 0
    """Entries by which the image was found."""


class Erasure(StoredModel):
    """The progress of an erasure. Times are milliseconds since 1970."""

    state: State = "requested"
    step: int = 0
    """The number of writes since the tombstone's. Each is conditional on the one before."""
    requested_at: int
    was_pending: bool = False
    """Whether nothing was ever delivered, so that no cache can have a copy."""
    due_at: int = 0
    """When the next step may be taken."""
    tried_at: int = 0
    """When a step was last tried: an erasure whose message was lost is not tried any more."""
    retries: dict[str, int] = Field(default_factory=dict)
    """How often a refused step was sent to be tried again, by digests of the sources' keys."""
    found: Found | None = None
    """None until the first listing."""
    late_objects: int = 0
    """Objects that appeared after the others were deleted."""
    kept_assets: int = 0
    """Assets that S3 refused to delete when it was last tried."""
    confirmed_at: int | None = None
    """When a listing last found nothing."""
    caches: Caches = "tag"
    invalidations: int = 0
    """How many invalidations of caches were requested."""
    distribution: str | None = None
    invalidation: str | None = None
    """The id of the last invalidation."""
    invalidated_at: int | None = None
    """When the last invalidation was seen to be complete."""
    completed_at: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether S3 refused to delete an object, for example because it is locked."""
        return self.state == "requested" and self.due_at > 0

    def is_stuck(self, *, at: int) -> bool:
        """Return whether its message was lost. `at` is now, in milliseconds since 1970."""
        rests = at - max(self.requested_at, self.due_at, self.tried_at)
        return self.state != "complete" and rests > STUCK_MS

    def to_item(self) -> dict[str, Any]:
        """Return the stored attributes, without those that have no value."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> "Record | None":
        """Read the current record of an image."""
        ...


class Tombstones(Protocol):
    """Turns records into tombstones."""

    async def erase(
        self, image_id: str, *, before: "Status | None", by: By, requested_at: int, at: int
    ) -> "Record | None":
        """Write a tombstone in place of a record with this status; None if it has another."""
        ...


async def entomb(
    image_id: str, *, records: Records, tombstones: Tombstones, by: By, requested_at: int, at: int
) -> "Record":
    """Write the tombstone of an image, also of one without a record, and return it.

    Times are milliseconds since 1970. If there is a tombstone, return it unchanged. Raises
    `Unavailable` if the record changes again and again.
    """
    for _ in range(TRIES):
        read = await records.get(image_id)
        if read is not None and read.erasure is not None:
            return read
        made = await tombstones.erase(
            image_id,
            before=None if read is None else read.status,
            by=by,
            requested_at=requested_at,
            at=at,
        )
        if made is not None:
            return made
    raise Unavailable("dynamodb", f"the record of {image_id} changed {TRIES} times")


class Sources(StoredModel):
    """The part of a receipt about the versions of the source."""

    versions: int
    delete_markers: int
    bytes: int
    confirmed_at: str | None = None


class Assets(StoredModel):
    """The part of a receipt about the variants."""

    objects: int
    bytes: int
    late_objects: int
    confirmed_at: str | None = None


class Tags(StoredModel):
    """The part of a receipt about the entries by which the image was found."""

    entries: int
    confirmed_at: str | None = None


class Invalidated(StoredModel):
    """The part of a receipt about a distribution's caches."""

    distribution: str
    invalidation: str | None = None
    confirmed_at: str | None = None


class Receipt(StoredModel):
    """What was removed of an image, and when. Members without a value are left out."""

    image_id: str
    state: State
    requested_at: str = Field(json_schema_extra={"format": "date-time"})
    requested_by: By
    tombstoned_at: str = Field(
        description="Since when the image is not served.", json_schema_extra={"format": "date-time"}
    )
    sources: Sources | None = None
    assets: Assets | None = None
    tags: Tags | None = None
    caches: Invalidated | Literal["none configured"] | None = Field(
        default=None, description="Absent if nothing of the image was ever delivered."
    )
    completed_at: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    not_covered: tuple[str, ...] = NOT_COVERED

    @classmethod
    def of(cls, record: "Record") -> Self:
        """Return the receipt of a tombstone. Raises a `ValueError` for any other record."""
        erasure = record.erasure
        if erasure is None or record.erased_at is None or record.erased_by is None:
            raise ValueError(f"{record.image_id} is not erased")
        return cls(
            image_id=record.image_id,
            state=erasure.state,
            requested_at=_rfc3339(erasure.requested_at),
            requested_by=record.erased_by,
            tombstoned_at=_rfc3339(record.erased_at),
            **_parts(erasure),
            completed_at=_time(erasure.completed_at),
        )

    def to_document(self) -> dict[str, Any]:
        """Return the receipt as JSON has it."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


def _parts(erasure: Erasure) -> Mapping[str, Any]:
    found, confirmed_at = erasure.found, _time(erasure.confirmed_at)
    if found is None:
        return {}
    return {
        "sources": Sources(
            versions=found.versions,
            delete_markers=found.delete_markers,
            bytes=found.source_bytes,
            confirmed_at=confirmed_at,
        ),
        "assets": Assets(
            objects=found.objects,
            bytes=found.asset_bytes,
            late_objects=erasure.late_objects,
            confirmed_at=confirmed_at,
        ),
        "tags": Tags(entries=found.tags, confirmed_at=confirmed_at),
        "caches": _caches(erasure),
    }


def _caches(erasure: Erasure) -> Invalidated | str | None:
    if erasure.invalidation is None or erasure.distribution is None:
        done = erasure.state in ("invalidated", "complete")
        return NONE_CONFIGURED if done and erasure.invalidations else None
    return Invalidated(
        distribution=erasure.distribution,
        invalidation=erasure.invalidation,
        confirmed_at=_time(erasure.invalidated_at),
    )


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else _rfc3339(milliseconds)


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
