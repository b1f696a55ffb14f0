"""Looks for the faces of a picture, on a small copy of it.

The copy is rendered like any variant, in a child and under its limits. Then a detector looks at it:
the network in a child, or Amazon Rekognition.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from safelight.face_settings import LOCAL, OFF
from safelight.faces import Faces
from safelight.files import open_result
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan, plan_of, recipe_of
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering
from safelight.metrics import FaceMetrics
from safelight.wish.wish import Wish

_NAME = "_faces"
"""The name of the copy. No preset can have it."""
_QUALITY = 90


class Renderer(Protocol):
    """Renders pictures in other processes."""

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        """Write the variants of a plan to files in a directory."""
        ...


class Looker(Protocol):
    """Finds faces in a child."""

    async def find_faces(self, copy: Path) -> Faces:
        """Return the faces of a small upright JPEG."""
        ...


class FaceService(Protocol):
    """Finds faces elsewhere."""

    async def detect(self, jpeg: bytes) -> Faces:
        """Return the faces of a small upright JPEG."""
        ...


class Detector(Protocol):
    """Finds the faces of a small upright copy."""

    side: int
    """The longest side of the copy, in pixels."""
    least: int
    """The shortest side, in pixels, of a copy that it can look at."""
    most_bytes: int | None
    """The size of the copy that is not exceeded, by a lower quality; None for any size."""

    async def detect(self, copy: RenderedVariant) -> Faces:
        """Return the faces of the copy, in shares of its width and height."""
        ...


class LocalDetector:
    """Finds faces in a render child."""

    side = 640
    """The network finds faces of 10 to 300 pixels. A larger copy would take longer."""
    least = 16
    most_bytes: int | None = None

    def __init__(self, looker: Looker) -> None:
        self._looker = looker

    async def detect(self, copy: RenderedVariant) -> Faces:
        """Return the faces of the copy."""
        return await self._looker.find_faces(copy.path)


class RemoteDetector:
    """Sends the copy to a service."""

    side = 1280
    """Rekognition needs faces of 40 pixels."""
    least = 80
    most_bytes: int | None = 700_000
    """Less than a MiB in base64: aiohttp warns that a longer body could block the event loop."""

    def __init__(self, service: FaceService) -> None:
        self._service = service

    async def detect(self, copy: RenderedVariant) -> Faces:
        """Return the faces of the copy."""
        with open_result(copy.path) as file:
            jpeg = file.read(copy.size_bytes)
        return await self._service.detect(jpeg)


class FaceFinder:
    """Makes the copy of a picture and has a detector look at it."""

    def __init__(
        self,
        *,
        renderer: Renderer,
        admission: Admission,
        detector: Detector,
        metrics: FaceMetrics | None = None,
    ) -> None:
        self._renderer = renderer
        self._admission = admission
        self._detector = detector
        self._metrics = metrics

    async def find(self, source: Path, probe: Probe, directory: Path) -> Faces:
        """Return the faces of a picture. Files are written to the directory.

        Raises a `Rejection` if the picture cannot be decoded, or the errors of the service.
        """
        started = time.perf_counter()
        outcome = "failed"
        try:
            faces = await self._find(source, probe, directory)
            outcome = "found" if faces else "none"
            return faces
        finally:
            if self._metrics:
                self._metrics.looked(outcome, seconds=time.perf_counter() - started)

    async def _find(self, source: Path, probe: Probe, directory: Path) -> Faces:
        side = self._detector.side
        wish = Wish(format="jpeg", box=(side, side), quality=_QUALITY)
        recipe = recipe_of(probe, wish, name=_NAME)
        recipe = replace(recipe, max_bytes=self._detector.most_bytes)
        plan = plan_of(probe, probe, recipe, None)
        async with self._admission.admit(plan.predicted_bytes):
            (copy,) = (await self._renderer.render(plan, source, directory)).variants
        if min(copy.width, copy.height) < self._detector.least:
            return ()
        return await self._detector.detect(copy)


class Pool(Renderer, Looker, Protocol):
    """The render children."""


def finder_of(
    mode: str,
    *,
    pool: Pool,
    admission: Admission,
    service: FaceService | None = None,
    metrics: FaceMetrics | None = None,
) -> FaceFinder | None:
    """Return the finder of a mode of `SAFELIGHT_FACES`, or None. `rekognition` needs a service."""
    if mode == OFF:
        return None
    if mode == LOCAL:
        detector: Detector = LocalDetector(pool)
    elif service is None:
        raise ValueError(f"{mode} needs a service")
    else:
        detector = RemoteDetector(service)
    return FaceFinder(renderer=pool, admission=admission, detector=detector, metrics=metrics)
