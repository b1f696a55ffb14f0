"""imgproxy's grammar."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import unquote

from pydantic import AfterValidator, Field, SecretStr

from api.dialects.dialect import Dialect, OneDialect
from api.dialects.errors import UnknownPath
from api.dialects.image_url import ImageUrl, source_of
from api.dialects.imgproxy_options import OPTIONS, ImgproxyDraft
from api.dialects.imgproxy_places import mirrored, mirrored_point
from api.dialects.imgproxy_writer import write
from api.dialects.key_settings import check_keys, keys_in
from api.dialects.rows import Rows
from api.dialects.signatures import (
    Signed,
    base64url,
    digest,
    refuse_query,
    with_other_brackets,
)
from api.dialects.values import format_called
from safelight.refused_values import Matches
from safelight.secret_length import LEAST_SECRET_LENGTH, check_length
from safelight.wish.arguments import read_base64
from safelight.wish.errors import InvalidOption
from safelight.wish.operations import Operation, operation
from safelight.wish.options import Crop, Options

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_ESCAPED_COLON = re.compile("%3a", re.IGNORECASE)
_ONE_SLASH = re.compile(r"((?:^|/)plain/[A-Za-z0-9]+):/(?!/)")
"""A plain source's scheme with one slash: proxies merge two slashes into one."""
_FILTER_ORDER = ("blur", "sharpen", "pixelate", "brightness", "contrast", "saturation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imgproxy:
    """URLs of imgproxy.

        /imgproxy/{signature}/{option}:{argument}.../plain/{source}[@{extension}]
        /imgproxy/{signature}/{option}:{argument}.../{source in base64}[.{extension}]

    The signature is base64url without padding of HMAC-SHA256(key, salt + path), where the path
    starts with the slash after the signature. A later option replaces an earlier one of its kind,
    and the steps run in imgproxy's own order. A source is `s3://bucket/key` or a key; encrypted
    sources are refused.

    Proxies turn `s3://` into `s3:/`, and some clients escape every `:` as `%3A`. Both are undone
    before the signature is verified.
    """

    NAME: ClassVar[str] = "imgproxy"
    TITLE: ClassVar[str] = "imgproxy"
    PREFIX: ClassVar[str] = "/imgproxy/"
    KEYS: ClassVar[str] = "imgproxy_keys"
    FACES: ClassVar[str] = "gravity"
    ROWS: ClassVar[Rows[Any] | None] = OPTIONS
    keys: tuple[str, ...]
    """Pairs `key:salt`, hexadecimal."""
    signature_size: int | None = None
    """Bytes that a signature is truncated to."""
    watermark: str | None = None
    """`bucket/key` of the picture that `wm` overlays."""

    @classmethod
    def from_settings(cls, settings: "ImgproxySettings") -> Self:
        """Take keys, size and watermark from the settings."""
        return cls(
            keys=keys_in(settings.imgproxy_keys),
            signature_size=settings.imgproxy_signature_size,
            watermark=settings.imgproxy_watermark,
        )

    def split(self, path: str, query: str) -> Signed:
        """Split a URL. Raises `UnknownPath`."""
        given, slash, rest = path.removeprefix("/").partition("/")
        if not slash or not rest:
            raise UnknownPath("expected /SIGNATURE/OPTIONS/SOURCE")
        spellings = with_other_brackets(
            {_with_both_slashes(text): note for text, note in _spellings(rest)}
        )
        return Signed(
            given=given,
            messages=tuple(f"/{text}" for text in spellings),
            notes=tuple(spellings.values()),
            target=next(iter(spellings)),
            query=query,
        )

    def signature(self, key: str, message: str) -> str:
        """Sign a message with a key and its salt."""
        secret, _, salt = key.partition(":")
        raw = digest(bytes.fromhex(secret), bytes.fromhex(salt) + message.encode(), "sha256")
        return base64url(raw[: self.signature_size]).rstrip("=")

    def join(self, signature: str, target: str, query: str) -> str:
        """Build a URL."""
        return f"/{signature}/{target}{f'?{query}' if query else ''}"

    def unsigned(self, text: str) -> Signed:
        """Prepare a path for signing."""
        return self.split(f"/_/{text.lstrip('/')}", "")

    def knows(self, parameter: str) -> bool:
        """Return False: the grammar has no query."""
        del parameter
        return False

    def read(self, signed: Signed) -> ImageUrl:
        """Read a verified URL."""
        refuse_query(signed)
        words, source, extension = _split_path(_with_both_slashes(_with_colons(signed.target)))
        if "?" in source:
            message = f"has a query or a version, which is not supported; found {source[:80]!r}"
            raise InvalidOption("source", message)
        draft = ImgproxyDraft(watermark=self.watermark)
        for word in words:
            name, *texts = map(unquote, word.split(":"))
            OPTIONS.read(draft, name, texts)
        if extension:
            draft.format = format_called("format", extension)
        if draft.download and not draft.file_name:
            draft.file_name = source.rpartition("/")[2].rpartition(".")[0]
        image_url = draft.image_url(self.NAME, source_of(source), _options(draft))
        if draft.preset is not None and len(words) > 1:
            raise InvalidOption("preset", "allows no other option")
        return image_url

    def write(self, url: ImageUrl) -> str:
        """Write a URL as `unsigned` takes it, without what has no option."""
        return write(url)


def _check_pairs(given: SecretStr | None) -> SecretStr | None:
    for pair in keys_in(check_keys(given)):
        secret, separator, salt = pair.partition(":")
        if not (separator and _HEX.fullmatch(secret) and _HEX.fullmatch(salt)):
            raise ValueError("must be hexadecimal pairs key:salt, salts not empty")
        check_length(bytes.fromhex(secret))
    return given


class ImgproxySettings(OneDialect):
    """Keys of imgproxy's URLs, how they are signed, and their watermark."""

    DIALECT: ClassVar[type[Dialect]] = Imgproxy

    imgproxy_keys: Annotated[SecretStr | None, AfterValidator(_check_pairs)] = Field(
        default=None,
        description="Pairs `key:salt` of imgproxy's URLs, `/imgproxy/...`: hexadecimal, separated "
        f"by commas, keys of at least {LEAST_SECRET_LENGTH} bytes. Off without any.",
    )
    imgproxy_signature_size: int | None = Field(
        default=None, ge=12, le=32, description="Bytes that imgproxy truncates a signature to."
    )
    imgproxy_watermark: (
        Annotated[str, Matches(r"^[^/]+/.+$", "must be a bucket and a key, as in bucket/key")]
        | None
    ) = Field(
        default=None,
        description="The picture that imgproxy's `wm` overlays, as `bucket/key`.",
    )


def _spellings(path: str) -> Iterator[tuple[str, str]]:
    """List the texts that may have been signed for a path, each with the change that it undoes."""
    one_slash = "one slash after the scheme of the source means two"
    merged = _ONE_SLASH.search(path) is not None
    yield path, one_slash if merged else ""
    if ":" not in path and len(set(_ESCAPED_COLON.findall(path))) == 1:
        plain = _with_colons(path)
        also = _ONE_SLASH.search(plain) is not None
        yield plain, f"%3A means a colon{f', and {one_slash}' if also else ''}"


def _with_both_slashes(path: str) -> str:
    return _ONE_SLASH.sub(r"\1://", path, count=1)


def _with_colons(text: str) -> str:
    """Undo the escapes of a text whose colons are all escaped."""
    return text if ":" in text else _ESCAPED_COLON.sub(":", text)


def _split_path(target: str) -> tuple[list[str], str, str]:
    """Split a path into options, source and extension."""
    before, plain, source = f"/{target}".partition("/plain/")
    if plain:
        words = [_with_colons(word) for word in before.split("/") if word]
        escaped, _, extension = source.partition("@")
        return words, unquote(escaped), unquote(extension)
    parts = target.split("/")
    words = list(takewhile(lambda word: ":" in word, map(_with_colons, parts)))
    at = len(words)
    encoded, _, extension = "".join(parts[at:]).partition(".")
    if encoded.startswith("enc") and parts[at] == "enc":
        raise InvalidOption("enc", "encrypted sources are not supported")
    try:
        return words, read_base64(encoded).decode(), extension
    except ValueError as error:
        message = "expected plain/KEY, or a key as URL-safe base64; an option may lack its colon;"
        raise InvalidOption("source", f"{message} found {'/'.join(parts[at:])[:60]!r}") from error


def _options(draft: ImgproxyDraft) -> Options:
    options = draft.options(
        crop=_crop(draft),
        width=_zoomed(draft.width, draft.zoom),
        height=_zoomed(draft.height, draft.zoom),
        gravity=mirrored(draft.gravity, draft.flip),
        focal=mirrored_point(draft.focal, draft.flip),
        operations=tuple(_operations(draft)),
    )
    if draft.fit == "force" and (draft.width is None) != (draft.height is None):
        raise InvalidOption("resizing_type", "force needs a width and a height")
    if draft.qualities and draft.format is None:
        raise InvalidOption("format_quality", "needs a format in the URL")
    return _dense(options, draft.dpr)


def _dense(options: Options, dpr: float) -> Options:
    """Apply `dpr`. imgproxy lowers it for a source that would have to be enlarged."""
    if options.enlarge and not options.box and dpr != 1:
        raise InvalidOption("dpr", "needs a width or a height with enlarge")
    try:
        scaled = options.scaled(dpr)
    except InvalidOption as error:
        raise InvalidOption(
            "padding" if error.option == "pad" else error.option, error.message
        ) from error
    return replace(options, density=round(dpr, 4)) if dpr > 1 else scaled


def _operations(draft: ImgproxyDraft) -> Iterator[Operation]:
    """List the operations after resizing, in imgproxy's order."""
    yield from sorted(draft.operations, key=lambda each: _FILTER_ORDER.index(each.name))
    behind = draft.fill or "transparent"
    if draft.extend:
        if not draft.width or not draft.height:
            raise InvalidOption("extend", "needs a width and a height")
        wide, high = _zoomed(draft.width, draft.zoom), _zoomed(draft.height, draft.zoom)
        gravity = draft.extend_gravity
        yield operation("extend", wide or 0, high or 0, behind, gravity, draft.extend)
    if any(draft.pads):
        try:
            yield operation("pad", *draft.pads, behind)
        except InvalidOption as error:
            raise InvalidOption("padding", error.message) from error
    if draft.fill:
        yield operation("flatten", draft.fill)
    if draft.marked:
        yield draft.marked


def _zoomed(side: int | None, zoom: float) -> int | None:
    return None if side is None else max(1, round(side * zoom))


def _crop(draft: ImgproxyDraft) -> Crop | None:
    if draft.crop is None or draft.crop_has_gravity:
        return draft.crop
    return replace(draft.crop, gravity=draft.gravity, focal=draft.focal)
