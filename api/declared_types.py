"""Reads the media type that a client declares for an upload.

The type is a claim: browsers and phones guess it from a file name, misspell it or leave it out. The
content decides what a picture is, so a claim is refused only if it is about something else.
"""

from itertools import chain

from safelight.formats import READABLE, SVG

UNKNOWN_TYPE = "application/octet-stream"
"""The type that an upload has if the client does not know a better one."""
ACCEPTED = r"^(image(/(?!svg)[a-z0-9*.+-]+)?|application/octet-stream|binary/octet-stream|)$"
"""The accepted types as a pattern of JSON Schema. Case, spaces around the type and parameters
behind it, such as `image/png; charset=binary`, do not matter."""
FORM = f"a picture's type such as image/jpeg, or {UNKNOWN_TYPE} if you do not know it"

_KNOWN = {
    name: name
    for name in chain.from_iterable((one.media_type, *one.also_declared) for one in READABLE)
} | {name: one.media_type for one in READABLE for name in one.misspelt}
_UNKNOWN = frozenset({"", "image", UNKNOWN_TYPE, "binary/octet-stream"})
_SVG = frozenset({SVG.media_type, *SVG.misspelt})


def type_to_send(declared: str, *, accept_svg: bool) -> str | None:
    """Return the media type that an upload must have for a declared one; None to refuse it.

    A drawing (SVG) gets `application/octet-stream`, so that no browser runs the stored source.
    """
    name = declared.partition(";")[0].strip().lower()
    if name in _SVG:
        return UNKNOWN_TYPE if accept_svg else None
    if name in _UNKNOWN or name.startswith("image/"):
        return _KNOWN.get(name, UNKNOWN_TYPE)
    return None
