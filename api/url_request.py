"""What a request for URLs may ask for, and its answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from api.bodies import whole_number
from api.problems import Document
from safelight.wish.canonical import MAX_LENGTH

PREVIEW_SECONDS = 600
"""Seconds for which the URL of a preview is valid."""
MOST_SECONDS = 366 * 24 * 3600
"""The most seconds that a caller may ask for: a year. Without a number, a URL does not end."""


class UrlsRequest(BaseModel):
    """The body of a request for URLs: options or a preset, for one image."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel)

    image_id: str = Field(description="One of your images.")
    options: str | None = Field(
        default=None,
        max_length=MAX_LENGTH,
        description="Options as in docs/guide/dialects.md, such as `box=300x200,fit=cover`; `_` "
        "for none.",
    )
    preset: str | None = Field(default=None, description="The name of a preset, for its URL.")
    format: str | None = Field(
        default=None, description="The format; without it, the viewer's Accept header decides."
    )
    expires_in: Annotated[int, BeforeValidator(whole_number)] | None = Field(
        default=None,
        ge=1,
        le=MOST_SECONDS,
        description="Seconds until the URLs end. Without it they do not.",
    )
    preview: bool = Field(
        default=False,
        description="Whether to add a URL of a picture that is not stored; it is valid for "
        f"{PREVIEW_SECONDS} seconds.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.options is None) == (self.preset is None):
            raise ValueError("must have either options or a preset")
        if self.preview and self.options is None:
            raise ValueError("must have options for a preview")
        return self


class SignedUrl(Document):
    """A URL, or why there is none."""

    url: str | None = Field(default=None, description="The signed URL.")
    refused: str | None = Field(
        default=None, description="What the dialect cannot express. The URL would mean another."
    )
    option: str | None = Field(default=None, description="The option that is not expressible.")
    off: str | None = Field(default=None, description="The setting that is missing here.")


class UrlsIssued(Document):
    """URLs for one image."""

    image_id: str
    options: str | None = Field(default=None, description="The options in their canonical form.")
    expires_at: datetime | None = None
    urls: Mapping[str, SignedUrl] = Field(description="By dialect; or one for `preset`.")
    preview: SignedUrl | None = None
