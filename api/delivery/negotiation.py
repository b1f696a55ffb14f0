"""Chooses formats and sizes by the request's `Accept` header and client hints. Pure."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from safelight.formats import BY_NAME, FORMATS
from safelight.presets import Preset
from safelight.wish.wish import Wish

ANYWHERE = frozenset(format.name for format in FORMATS if format.shown_everywhere)
"""Formats that every client shows. Others must be named: clients without AVIF also send `*/*`."""
HINTS = ("Sec-CH-DPR", "Sec-CH-Width")
"""Client hints that are read."""
RATIOS = (1.0, 1.5, 2.0, 3.0)
"""Pixel ratios that boxes are scaled to. A ratio between two is rounded up."""
WIDTHS = (160, 240, 320, 480, 640, 960, 1280, 1920, 2560)
"""Widths in pixels that boxes are scaled to: few, to limit copies in caches."""


def in_order(accept: str | None, formats: Sequence[str], *, alpha: bool) -> tuple[str, ...]:
    """Order formats by the client's preference, then by their given order.

    Formats that the client does not accept are left out, but never all. With `alpha`, so are
    formats without transparency, unless no other is left. Among formats that every client shows,
    the given order counts: a client that names PNG alone has no wish for PNG of photographs.
    """
    ranges = _read(accept)
    qualities = {format: _quality(ranges, format) for format in formats}
    accepted = [format for format in formats if qualities[format] > 0]
    if not accepted:
        accepted = [format for format in formats if format in ANYWHERE] or [formats[-1]]
    keeping = [format for format in accepted if BY_NAME[format].keeps_alpha]
    if alpha and keeping:
        accepted = keeping
    least = 1.0
    for format in accepted:
        if format in ANYWHERE:
            least = qualities[format] = min(least, qualities[format])
    return tuple(sorted(accepted, key=lambda format: -qualities[format]))


def accept_of(request: web.Request) -> str | None:
    """Return the Accept header, its lines joined; None if there is none."""
    lines = request.headers.getall("Accept", [])
    return ", ".join(lines) if lines else None


def wants_picture(accept: str | None, destination: str | None) -> bool:
    """Return whether the client will show the response as a picture, whatever it is."""
    named = any(name.startswith("image/") for name in _read(accept))
    return destination == "image" or (destination is None and named)


def names(accept: str | None, media_type: str) -> bool:
    """Return whether the client names this media type; one that accepts everything does not."""
    return _read(accept).get(media_type, 0.0) > 0


def hinted(preset: Preset, headers: Mapping[str, str]) -> Wish:
    """Return the preset's wish, its box scaled in steps by the client hints if it allows them.

    `Sec-CH-Width` is in device pixels: the pixel ratio is already included.
    """
    wish = preset.wish
    if not preset.policy.hints or wish.box is None:
        return wish
    width = _number(headers.get("Sec-CH-Width"))
    if width:
        return wish.scaled(_step(width, WIDTHS) / wish.box[0], formats=preset.deliverable)
    ratio = _number(headers.get("Sec-CH-DPR"))
    return wish.scaled(_step(ratio, RATIOS), formats=preset.deliverable) if ratio else wish


def _read(accept: str | None) -> dict[str, float]:
    """Read an Accept header (RFC 9110, 12.5.1): media range -> q. Malformed ranges are ignored."""
    ranges: dict[str, float] = {}
    for item in (accept if accept is not None else "*/*").split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if "/" not in name:
            continue
        weights = [text.partition("=")[2] for text in parameters if text.startswith("q=")]
        weight = _number(weights[0]) if weights else 1.0
        if weight is not None:
            ranges[name] = min(weight, 1.0)
    return ranges


def _quality(ranges: Mapping[str, float], format: str) -> float:
    named = ranges.get(BY_NAME[format].media_type)
    if named is not None:
        return named
    return ranges.get("image/*", ranges.get("*/*", 0.0)) if format in ANYWHERE else 0.0


def _number(text: str | None) -> float | None:
    """Read a plain decimal number; return None for anything else."""
    if not text or len(text) > 10 or not text.isascii() or not text.replace(".", "", 1).isdigit():
        return None
    return float(text)


def _step(value: float, steps: Sequence[float]) -> float:
    return next((step for step in steps if step >= value), steps[-1])
