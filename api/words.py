"""The texts that clients give an image: its file name and its tags."""

from typing import Annotated, Final

from pydantic import Field

from safelight.refused_values import Matches

MOST_TAGS: Final = 10
MOST_TAG_CHARACTERS: Final = 64
# C0, DEL and C1. The separator of tag entries is one of them.
_NO_CONTROLS = Matches(r"^[^\x00-\x1f\x7f-\x9f]*$", "must have no control characters")

Filename = Annotated[str, Field(min_length=1, max_length=255), _NO_CONTROLS]
Tag = Annotated[str, Field(min_length=1, max_length=MOST_TAG_CHARACTERS), _NO_CONTROLS]
Tags = Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS)]
