"""Our own grammar: signed URLs whose options are written as `canonical.py` prints them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote, unquote

from pydantic import AfterValidator, Field, SecretStr

from api.dialects.dialect import Dialect, OneDialect
from api.dialects.errors import UnknownPath
from api.dialects.image_url import ImageUrl, source_of
from api.dialects.key_settings import LEAST, check_keys, keys_in
from api.dialects.rows import Rows
from api.dialects.signatures import (
    Signed,
    base64url,
    digest,
    is_escaped_as_usual,
    refuse_query,
)
from api.dialects.values import format_called, moment, seconds_of
from safelight.keys import read_image_id
from safelight.named_keys import read_key, read_keys
from safelight.wish.canonical import NOTHING, canonical, read_options
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options

_EXPIRES, _STORE = "expires", "store"
_SAFE = "/,=:@~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Safelight's own signed URLs.

        /s/{signature}/{options}/{source}
        /s/.../box=300x200,fit=cover,gravity=attention,format=webp/01KAJ0000000000000000000AB

    Options are words separated by commas, or `_` for none. Colons separate a word's arguments.
    The signature is base64url without padding of HMAC-SHA256(secret, `/{options}/{source}`), with
    escapes decoded. Among the options, `expires=SECONDS` ends the URL at that time, in seconds
    since 1970; it is not part of the canonical string. Neither is `store=no`, which needs
    `expires`: for a preview that is not kept. `dpr=2` doubles sizes, pads and offsets.
    After an image id, an extension sets the format.

    The steps run in this order: rotate upright, trim, turn, crop, resize, flip, the operations as
    listed, encode. With `SAFELIGHT_OPTIONS_KEYS` set, `safelight sign` makes a URL:

        safelight sign box=300x200,fit=cover/01KAJ0000000000000000000AB.webp --expires-in 3600
    """

    NAME: ClassVar[str] = "own"
    TITLE: ClassVar[str] = "Our own"
    PREFIX: ClassVar[str] = "/s/"
    KEYS: ClassVar[str] = "options_keys"
    FACES: ClassVar[str] = "gravity"
    ROWS: ClassVar[Rows[Any] | None] = None
    keys: tuple[str, ...]
    """`id:secret`, or `id:secret:user` for a key that opens only the images of one user."""

    @classmethod
    def from_settings(cls, settings: "OwnSettings") -> Self:
        """Take the keys from the settings."""
        return cls(keys=keys_in(settings.options_keys))

    def split(self, path: str, query: str) -> Signed:
        """Split a URL. Raises `UnknownPath`."""
        signature, slash, rest = path.removeprefix("/").partition("/")
        if not slash:
            raise UnknownPath(f"expected {self.PREFIX}SIGNATURE/OPTIONS/SOURCE")
        return Signed(given=signature, messages=(f"/{unquote(rest)}",), target=rest, query=query)

    def signature(self, key: str, message: str) -> str:
        """Sign a message."""
        secret = read_key(key).secret
        return base64url(digest(secret.encode(), message.encode(), "sha256")).rstrip("=")

    def join(self, signature: str, target: str, query: str) -> str:
        """Build a URL. Our own URLs have no query."""
        del query
        return f"/{signature}/{quote(unquote(target), safe=_SAFE)}"

    def unsigned(self, text: str) -> Signed:
        """Prepare `OPTIONS/SOURCE` for signing."""
        return self.split(f"/_/{text.lstrip('/')}", "")

    def knows(self, parameter: str) -> bool:
        """Return False: the grammar has no query."""
        del parameter
        return False

    def read(self, signed: Signed) -> ImageUrl:
        """Read a verified URL."""
        refuse_query(signed)
        if not is_escaped_as_usual(signed.target):
            raise InvalidOption("path", "must not escape characters that need no escape")
        words, slash, source = unquote(signed.target).partition("/")
        if not slash or not words:
            message = f"expected OPTIONS/SOURCE; {NOTHING} for no options; found {words[:40]!r}"
            raise InvalidOption("options", message)
        words, aside = _split_aside(words)
        expires, stored = _expiry(aside), _is_stored(aside)
        options = read_options(words)
        stem, _, extension = source.rpartition(".")
        image_id = read_image_id(stem)
        if image_id is not None:
            options = _in_format_of(options, extension.lower())
            source = image_id
        return ImageUrl(
            dialect=self.NAME,
            source=source_of(source),
            options=options,
            expires=expires,
            stored=stored,
        )

    def write(self, url: ImageUrl) -> str:
        """Write a URL as `unsigned` takes it. Every wish has one."""
        words = [canonical(url.options)]
        if url.expires:
            words.append(f"{_EXPIRES}={seconds_of(url.expires)}")
        if not url.stored:
            words.append(f"{_STORE}=no")
        options = ",".join(word for word in words if word != NOTHING) or NOTHING
        return quote(f"{options}/{url.source.key}", safe=_SAFE)

    def holder(self, number: int) -> tuple[str, str | None]:
        """Give the id of a key, and the user whose images alone it opens, if it names one."""
        named = read_key(self.keys[number])
        return named.key_id, named.user_id


def _split_aside(words: str) -> tuple[str, dict[str, str]]:
    """Split off the words that are about the URL, and not about the picture."""
    rest: list[str] = []
    aside: dict[str, str] = {}
    for word in words.split(","):
        name, separator, text = word.partition("=")
        if not separator or name not in (_EXPIRES, _STORE):
            rest.append(word)
        elif name in aside:
            raise InvalidOption(name, "is given twice")
        else:
            aside[name] = text
    return ",".join(rest) or NOTHING, aside


def _expiry(aside: Mapping[str, str]) -> datetime | None:
    return moment(_EXPIRES, aside[_EXPIRES]) if _EXPIRES in aside else None


def _is_stored(aside: Mapping[str, str]) -> bool:
    if _STORE not in aside:
        return True
    if aside[_STORE] != "no":
        raise InvalidOption(_STORE, f"must be no; found {aside[_STORE][:40]!r}")
    if _EXPIRES not in aside:
        raise InvalidOption(_STORE, "needs expires: each request may render the picture again")
    return False


def _in_format_of(options: Options, extension: str) -> Options:
    name = format_called("extension", extension)
    if options.format not in (None, name):
        raise InvalidOption("format", f"is {options.format}, but the extension is that of {name}")
    return options.in_format(name)


def _check_named(given: SecretStr | None) -> SecretStr | None:
    if given is not None:
        read_keys(given.get_secret_value())
    return check_keys(given)


class OwnSettings(OneDialect):
    """Keys of our own URLs."""

    DIALECT: ClassVar[type[Dialect]] = Own

    options_keys: Annotated[SecretStr | None, AfterValidator(_check_named)] = Field(
        default=None,
        description="Keys of our own free-form URLs, `/s/...`, as `id:secret` or "
        f"`id:secret:user`, separated by commas, {LEAST}. A user is a user id, such as "
        "`key:alice`. Off without any.",
    )
