"""Reads one URL of another system as Safelight would, whether or not its signature holds."""

from dataclasses import dataclass, replace

from api.dialects.dialect import Dialect
from api.dialects.errors import BadSignature, UrlError
from api.dialects.image_url import SourceName
from api.dialects.signatures import Signed, verify
from api.dialects.table import DIALECTS, Dialects, DialectSettings, check_spelling
from ops.reach import Reach
from safelight.keys import is_image_id
from safelight.wish.errors import InvalidOption

_UNSIGNED = frozenset({"insecure", "unsafe", "_"})
"""What unsigned URLs of other systems have in the place of a signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one URL is to Safelight."""

    dialect: str | None = None
    """None if no dialect reads the path."""
    signature: str = "unchecked"
    """`valid`, `wrong`, `missing`, or `unchecked` if the dialect has no key."""
    refused: str | None = None
    """The option or the preset that is refused."""
    why: str = ""
    place: str = ""
    """Where its source is: `s3://BUCKET`, the first folder, `image ids`, or `no folder`."""
    without_alias: bool = False
    """Whether no alias includes its source or a watermark, as far as this machine knows."""
    differs: tuple[tuple[str, str], ...] = ()
    """Options with which the picture differs from the other system's, each with how."""


def dialects_as(settings: DialectSettings, name: str | None) -> Dialects:
    """Return the dialects to read with: those with keys, or the named one at the root.

    Raises `ValueError` if there is none.
    """
    if name is None:
        if not settings.dialects.known:
            raise ValueError("no dialect has keys; name the one of the URLs, as in --as imgproxy")
        return settings.dialects
    if name not in DIALECTS:
        raise ValueError(f"expected one of {', '.join(DIALECTS)}; found {name!r}")
    return replace(settings.dialects, known=(DIALECTS[name].from_settings(settings),), root=name)


def reading_of(url: str, dialects: Dialects, reach: Reach) -> Reading:
    """Read a path and query, whether or not its signature holds. Times of expiry are ignored.

    `reach` knows which pictures and presets delivery has.
    """
    path, _, query = url.partition("?")
    try:
        check_spelling(path, query)
        dialect, rest = dialects.find(path)
        signed, signature = _signed(dialect, rest, query)
    except UrlError:
        return Reading()
    try:
        image_url = dialects.read(dialect, signed)
    except InvalidOption as error:
        return Reading(
            dialect=dialect.NAME, signature=signature, refused=error.option, why=error.message
        )
    except UrlError:
        return Reading()
    if why := reach.refused_by_preset(image_url):
        preset = f"preset {(image_url.preset or '')[:40]}"
        return Reading(dialect=dialect.NAME, signature=signature, refused=preset, why=why)
    return Reading(
        dialect=dialect.NAME,
        signature=signature,
        without_alias=reach.without_alias(image_url) is not None,
        place=_place_of(image_url.source),
        differs=image_url.differs,
    )


def _place_of(source: SourceName) -> str:
    if source.bucket:
        return f"s3://{source.bucket}"
    folder, slash, _ = source.key.partition("/")
    if slash:
        return f"{folder}/"
    return "image ids" if is_image_id(source.key) else "no folder"


def _signed(dialect: Dialect, path: str, query: str) -> tuple[Signed, str]:
    """Split a URL, and say what its signature is."""
    try:
        signed = dialect.split(path, query)
    except BadSignature:
        return dialect.unsigned(f"{path}?{query}" if query else path), "missing"
    if signed.given in _UNSIGNED:
        return signed, "missing"
    if not dialect.keys:
        return signed, "unchecked"
    try:
        verify(dialect, signed)
    except BadSignature:
        return signed, "wrong"
    return signed, "valid"
