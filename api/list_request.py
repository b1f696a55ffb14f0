"""The parameters of a list of images: one model for requests and for the operator's command."""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.words import Tag
from safelight import keys, users
from safelight.record import Status
from safelight.search import EVERYONE, LISTED, Range, Search

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _image_id(text: str) -> str:
    found = keys.read_image_id(text)
    if found is None:
        raise ValueError("must be an image id")
    return found


def _user_id(text: str) -> str:
    if text != EVERYONE and not users.is_user_id(text):
        raise ValueError(f"must be one user id: {users.FORM}; or {EVERYONE} for all users")
    return text


def _rfc3339(text: str) -> str:
    # pydantic reads numbers as seconds since 1970, and dates without a time.
    if not _RFC3339.fullmatch(text):
        raise ValueError("must be a time with a time zone, such as 2026-11-29T08:00:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
Pixels = Annotated[int | None, Field(default=None, ge=1, le=10**9)]


class ListRequest(BaseModel):
    """The parameters of a list. All conditions must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    user: Annotated[str, AfterValidator(_user_id)] | None = Field(
        default=None,
        description="For admins: the user whose images to list, or * for all users. Lists of "
        "all users have settled images only, and their times are those of the settlement.",
    )
    status: tuple[Status, ...] = Field(
        default=(), description="Any of them. By default all but erased images."
    )
    media_type: tuple[str, ...] = Field(
        default=(), max_length=20, description="The media type of the source; any of them."
    )
    since: Moment | None = Field(
        default=None, description="The earliest time of the upload, included (RFC 3339)."
    )
    until: Moment | None = Field(
        default=None, description="The latest time of the upload, included."
    )
    min_width: Pixels
    max_width: Pixels
    min_height: Pixels
    max_height: Pixels
    filename: str = Field(
        default="", max_length=255, description="The beginning of the file name, in exact case."
    )
    like: Annotated[str, AfterValidator(_image_id)] | None = Field(
        default=None,
        description="The id of an image of the same user: only pictures that look like it.",
    )
    distance: int = Field(
        default=8,
        ge=0,
        le=16,
        description="The most bits of the perceptual hash that differ from the image of `like`.",
    )
    tag: tuple[Tag, ...] = Field(
        default=(), max_length=5, description="A tag, in exact case; all of up to five."
    )
    sort: Literal["-uploadedAt", "uploadedAt"] = Field(
        default="-uploadedAt", description="By the time of the upload; with `-`, the newest first."
    )
    limit: int = Field(default=50, ge=1, le=100, description="The most images of a page.")
    cursor: str | None = Field(
        default=None, max_length=200, description="`next` of the page before, for its next page."
    )

    @property
    def contradictions(self) -> Mapping[str, str]:
        """Parameters that cannot be used together or leave nothing to find: by name, why."""
        faults = {}
        if self.until and self.until.timestamp() < 0:
            faults["until"] = "must not be before 1970"
        elif self.since and self.until and self.until < self.since:
            faults["until"] = "must not be before since"
        if self.user == EVERYONE:
            of_one = "is for the images of one user; name the user"
            faults |= dict.fromkeys(
                [name for name in ("tag", "like") if getattr(self, name)], of_one
            )
            if set(self.status) - {Status.COMPLETED, Status.REJECTED}:
                faults["status"] = "must be completed or rejected in a list of all users"
        if (self.max_width or math.inf) < (self.min_width or 0):
            faults["maxWidth"] = "must not be less than minWidth"
        if (self.max_height or math.inf) < (self.min_height or 0):
            faults["maxHeight"] = "must not be less than minHeight"
        return faults

    def search(self, user_id: str) -> Search:
        """Return the search among a user's images."""
        return Search(
            user_id=user_id,
            uploaded=Range(least=_milliseconds(self.since), most=_milliseconds(self.until)),
            statuses=tuple(dict.fromkeys(self.status)) or LISTED,
            media_types=tuple(dict.fromkeys(self.media_type)),
            width=Range(least=self.min_width, most=self.max_width),
            height=Range(least=self.min_height, most=self.max_height),
            filename=self.filename,
            tags=tuple(dict.fromkeys(self.tag)),
            newest_first=self.sort == "-uploadedAt",
        )

    def list_of(self, user_id: str) -> str:
        """Describe the list of a user that a cursor belongs to."""
        return user_id + self.model_dump_json(exclude={"user", "limit", "cursor"})


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
