"""Default pictures, shown in place of missing ones: read once, when the API starts."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from aiohttp import web

from api.delivery.ask import UrlPreset
from api.delivery.negotiation import accept_of, wants_picture
from api.delivery.responses import Freshness, Waiting, picture
from api.problems import Problem, Refusal, json_answer
from safelight.aws.objects import Asset
from safelight.formats import HEADER_BYTES, recognise
from safelight.presets import InvalidPresets, Preset
from safelight.record import Record

MAX_BYTES = 1024**2
"""The most bytes of one default picture, which is kept in memory."""
FRESH_SECONDS = 5
"""Seconds for which a default picture may be cached in place of the one that may still come."""
PENDING_SECONDS = 1
"""Seconds after which to ask again for a picture that is being processed."""
DESTINATION = "Sec-Fetch-Dest"
"""The header in which browsers say how they use a response: only images get a default picture."""
REPLACED = frozenset({Problem.UNKNOWN_IMAGE, Problem.IMAGE_ERASED, Problem.NOT_RENDERED})
"""Problems in place of which the default picture is shown."""


class Defaults:
    """The default pictures of presets, by the preset's name."""

    def __init__(self, pictures: Mapping[str, Asset]) -> None:
        self._pictures = pictures

    def replace(self, preset: Preset | UrlPreset, problem: Problem) -> bool:
        """Return whether a client that shows pictures gets the default one for this problem."""
        return preset.name in self._pictures and problem in REPLACED

    def in_place_of(
        self, refusal: Refusal, request: web.Request, preset: Preset | UrlPreset
    ) -> web.Response | None:
        """Return a response with the default picture, or None if the client gets the problem."""
        if not self.replace(preset, refusal.problem):
            return None
        if not wants_picture(accept_of(request), request.headers.get(DESTINATION)):
            return None
        return self._picture(request, preset, status=refusal.problem.status)

    def pending(
        self, record: Record, request: web.Request, preset: Preset | UrlPreset
    ) -> web.Response:
        """Return a 202 for an unprocessed image: in JSON, or with the default picture."""
        headers = {"Retry-After": str(PENDING_SECONDS)}
        if preset.policy.pending == "default" and preset.name in self._pictures:
            return self._picture(request, preset, status=202, headers=headers)
        waiting = Waiting(image_id=record.image_id, status=record.status)
        return json_answer(waiting, status=202, headers=headers)

    def _picture(
        self,
        request: web.Request,
        preset: Preset | UrlPreset,
        *,
        status: int,
        headers: Mapping[str, str] = {},
    ) -> web.Response:
        freshness = Freshness(seconds=FRESH_SECONDS, private=preset.policy.access == "private")
        return picture(
            request,
            self._pictures[preset.name],
            {"Cache-Control": str(freshness), **headers},
            status=status,
        )


def load_defaults(presets: Iterable[Preset], directory: Path) -> Defaults:
    """Read the default picture of every preset that names one, or raise `InvalidPresets`."""
    found: dict[str, Asset] = {}
    faults: list[str] = []
    for preset in presets:
        if preset.policy.default is None:
            continue
        try:
            found[preset.name] = _read(directory / preset.policy.default)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            faults.append(f"[{preset.name}] default: {preset.policy.default!r}: {why}")
    if faults:
        raise InvalidPresets(faults)
    return Defaults(found)


def _read(path: Path) -> Asset:
    with path.open("rb") as file:
        body = file.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise ValueError(f"has more than {MAX_BYTES} bytes")
    format = recognise(body[:HEADER_BYTES])
    if format is None or not format.shown_by_browsers:
        raise ValueError("is no picture that browsers show")
    return Asset(
        media_type=format.media_type,
        size_bytes=len(body),
        sha256=sha256(body).hexdigest(),
        body=body,
    )
