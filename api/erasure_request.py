"""The body of a request that erases several images, or all images of a user."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from safelight import users

MOST_IMAGES = 100


def _user_id(text: str) -> str:
    if not users.is_user_id(text):
        raise ValueError(f"must be one user id: {users.FORM}")
    return text


class ErasureRequest(BaseModel):
    """Which images to erase: either those with these ids, or everything of a user."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel)

    image_ids: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
            Field(min_length=1, max_length=MOST_IMAGES),
        ]
        | None
    ) = Field(default=None, description="The ids of the images to erase.")
    everything: Literal[True] | None = Field(
        default=None, description="Erase all images that were uploaded up to now."
    )
    user: Annotated[str, AfterValidator(_user_id)] | None = Field(
        default=None,
        description="With `everything`, for admins: the user whose images to erase. "
        "By default yourself.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.image_ids is None) is (self.everything is None):
            raise ValueError("must have either imageIds or everything")
        if self.user is not None and self.everything is None:
            raise ValueError("must have user only with everything")
        return self
