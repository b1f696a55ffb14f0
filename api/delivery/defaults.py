"""Default pictures, shown in place of missing ones: read once, when the API starts."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from safelight.aws.objects import Asset
from safelight.formats import HEADER_BYTES, recognise
from safelight.presets import InvalidPresets, Preset

MAX_BYTES = 1024**2
"""The most bytes of one default picture, which is kept in memory."""


def load_defaults(presets: Iterable[Preset], directory: Path) -> Mapping[str, Asset]:
    """Read the default picture of every preset that names one, or raise `InvalidPresets`."""
    found: dict[str, Asset] = {}
    faults: list[str] = []
    for preset in presets:
        default = preset.policy.default
        if default is None:
            continue
        try:
            found[preset.name] = _read(directory / default)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            faults.append(f"[{preset.name}] default: {default!r}: {why}")
    if faults:
        raise InvalidPresets(faults)
    return found


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
