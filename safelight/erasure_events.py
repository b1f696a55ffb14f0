"""The events of an erasure, as CloudEvents. Pure: knows nothing about SNS."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from safelight.erasures import By, Receipt
from safelight.record import Record
from safelight.stored import StoredModel
from safelight.user_erasures import UserErasure

Type = Literal["safelight.image.erased", "safelight.erasure.completed", "safelight.user.erased"]
_OUTCOMES: Mapping[Type, str] = {
    "safelight.image.erased": "erased",
    "safelight.erasure.completed": "erasure_completed",
    "safelight.user.erased": "user_erased",
}


class Erased(StoredModel):
    """The facts about an image that is not served any more."""

    image_id: str
    user_id: str
    erased_at: int = Field(description="In ms since 1970.")
    erased_by: By


class UserErased(StoredModel):
    """The facts about a user whose images are all erased."""

    user_id: str
    erasure_id: str
    images: int


class ErasureEvent(BaseModel):
    """An event about an erasure, a CloudEvent. A repeat has the same id."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: Literal["/safelight"] = "/safelight"
    type: Type
    subject: str = Field(description="The image id, or the id of the erasure of a user.")
    time: str = Field(json_schema_extra={"format": "date-time"})
    datacontenttype: Literal["application/json"] = "application/json"
    data: Erased | Receipt | UserErased
    user_id: str = Field(exclude=True)
    """The owner of the image, for filters of subscriptions."""

    @classmethod
    def erased(cls, tombstone: Record) -> Self:
        """Build the event that the objects of an image were deleted.

        An image that a backup brought back, and that is erased once more, has another id.
        """
        if tombstone.erased_at is None or tombstone.erased_by is None:
            raise ValueError(f"{tombstone.image_id} is not erased")
        return cls(
            id=f"{tombstone.image_id}:erased:{tombstone.erased_at}",
            type="safelight.image.erased",
            subject=tombstone.image_id,
            time=_rfc3339(tombstone.erased_at),
            data=Erased(
                image_id=tombstone.image_id,
                user_id=tombstone.user_id,
                erased_at=tombstone.erased_at,
                erased_by=tombstone.erased_by,
            ),
            user_id=tombstone.user_id,
        )

    @classmethod
    def completed(cls, tombstone: Record) -> Self:
        """Build the event that an erasure is complete, with its receipt.

        An image that is erased once more, because an object of it came back, has another id.
        """
        completed_at = tombstone.erasure.completed_at if tombstone.erasure else None
        if completed_at is None:
            raise ValueError(f"the erasure of {tombstone.image_id} is not complete")
        return cls(
            id=f"{tombstone.image_id}:erasure:{completed_at}",
            type="safelight.erasure.completed",
            subject=tombstone.image_id,
            time=_rfc3339(completed_at),
            data=Receipt.of(tombstone),
            user_id=tombstone.user_id,
        )

    @classmethod
    def of_user(cls, erasure: UserErasure, user_id: str) -> Self:
        """Build the event that all images of a user are erased."""
        if erasure.completed_at is None:
            raise ValueError(f"the erasure {erasure.erasure_id} is not complete")
        return cls(
            id=f"{erasure.erasure_id}:complete",
            type="safelight.user.erased",
            subject=erasure.erasure_id,
            time=_rfc3339(erasure.completed_at),
            data=UserErased(user_id=user_id, erasure_id=erasure.erasure_id, images=erasure.images),
            user_id=user_id,
        )

    @property
    def outcome(self) -> str:
        """What happened, for filters of subscriptions."""
        return _OUTCOMES[self.type]

    def to_json(self) -> str:
        """Return the event as JSON in plain ASCII."""
        document: dict[str, Any] = self.model_dump(by_alias=True, exclude_none=True, mode="json")
        return json.dumps(document, separators=(",", ":"))


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
