"""A demand: a result that a viewer asked for and whose render is left to the workers.

Delivery puts it into the workers' queue and shows something cheaper meanwhile. It says everything
that the result is: whoever reads it need not know the preset, nor be of the same version.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ValidationError

from safelight.errors import Unreadable
from safelight.presets import Preset
from safelight.record import Stored


class Demand(Stored):
    """One variant of one revision of an image."""

    type: Literal["safelight.demand"] = "safelight.demand"
    image_id: str
    revision: str
    preset: Preset

    def to_json(self) -> str:
        """Write it as a message's body."""
        return self.model_dump_json(by_alias=True, exclude_none=True)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self | None:
        """Read a message's body; None if it is something else, `Unreadable` if it is damaged."""
        if document.get("type") != cls.model_fields["type"].default:
            return None
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise Unreadable("the message is a demand, but lacks what one says") from error
