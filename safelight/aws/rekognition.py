"""Finds faces with Amazon Rekognition. Rekognition stores nothing of the pictures."""

from typing import Any

from safelight.aws.dependency import Dependency
from safelight.faces import Face, Faces, kept

DETECT_SECONDS = 10
"""The time limit in seconds, with botocore's retries. The picture occupies its slot meanwhile."""


class Rekognition:
    """Amazon Rekognition in the region of the deployment."""

    def __init__(self, client: Any, dependency: Dependency) -> None:
        self._client = client
        self._dependency = dependency

    async def detect(self, jpeg: bytes) -> Faces:
        """Return the faces of a JPEG of at most 5 MB, with sides of at least 80 pixels.

        Boxes may reach beyond the picture; they are clipped.
        """
        async with self._dependency.call("DetectFaces", "a picture", seconds=DETECT_SECONDS):
            answer = await self._client.detect_faces(Image={"Bytes": jpeg})
        return kept(_face(each["BoundingBox"]) for each in answer["FaceDetails"])


def _face(box: dict[str, float]) -> Face:
    return Face(left=box["Left"], top=box["Top"], width=box["Width"], height=box["Height"])
