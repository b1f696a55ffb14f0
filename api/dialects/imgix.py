"""imgix's grammar: options in the query, signed by MD5.

imgix itself signs with MD5. A signature can be extended to that of a longer
message, but only with bytes that `table.py` accepts in no URL. Text after `s` is refused as well.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from urllib.parse import unquote

from pydantic import Field

from api.dialects.dialect import Dialect, OneDialect
from api.dialects.errors import BadSignature, UnknownPath
from api.dialects.image_url import ImageUrl, source_of
from api.dialects.imgix_draft import ImgixDraft
from api.dialects.imgix_options import OPTIONS
from api.dialects.imgix_writer import write
from api.dialects.key_settings import LEAST, Secrets, keys_in
from api.dialects.rows import Rows
from api.dialects.signatures import Signed, with_other_brackets
from api.dialects.values import query_words
from safelight.wish.arguments import read_base64
from safelight.wish.errors import InvalidOption


@dataclass(frozen=True, slots=True, kw_only=True)
class Imgix:
    """URLs of imgix.

        /imgix/{path}?w=400&h=300&s={signature}

    The signature is MD5(token + path + `?` + the query before `s`), and `s` comes last. Names that
    end in `64` have their value in base64.
    """

    NAME: ClassVar[str] = "imgix"
    TITLE: ClassVar[str] = "imgix"
    PREFIX: ClassVar[str] = "/imgix/"
    KEYS: ClassVar[str] = "imgix_keys"
    FACES: ClassVar[str] = "crop"
    ROWS: ClassVar[Rows[Any] | None] = OPTIONS
    keys: tuple[str, ...]

    @classmethod
    def from_settings(cls, settings: "ImgixSettings") -> Self:
        """Take the keys from the settings."""
        return cls(keys=keys_in(settings.imgix_keys))

    def split(self, path: str, query: str) -> Signed:
        """Split a URL. Raises `UnknownPath` or, if it is unsigned, `BadSignature`."""
        if len(path) < 2 or not path.startswith("/"):
            raise UnknownPath("expected /PATH?...&s=SIGNATURE")
        before, found, given = f"&{query}".rpartition("&s=")
        if not found or "&" in given:
            raise BadSignature("needs &s= at the end of its query")
        rest = before[1:]
        messages = with_other_brackets({f"{path}?{rest}" if rest else path: ""})
        return Signed(
            given=given,
            messages=tuple(messages),
            notes=tuple(messages.values()),
            target=path,
            query=rest,
        )

    def signature(self, key: str, message: str) -> str:
        """Sign a message."""
        return hashlib.md5(f"{key}{message}".encode(), usedforsecurity=False).hexdigest()

    def join(self, signature: str, target: str, query: str) -> str:
        """Build a URL."""
        return f"{target}?{f'{query}&' if query else ''}s={signature}"

    def unsigned(self, text: str) -> Signed:
        """Prepare a path and its query for signing."""
        path, _, query = text.partition("?")
        return self.split(f"/{path.lstrip('/')}", f"{query}{'&' if query else ''}s=_")

    def knows(self, parameter: str) -> bool:
        """Return whether imgix has an option of this name."""
        return OPTIONS.knows(parameter.removesuffix("64"))

    def read(self, signed: Signed) -> ImageUrl:
        """Read a verified URL."""
        draft = ImgixDraft()
        for name, text in _decoded(query_words(signed.query)).items():
            OPTIONS.read(draft, name, [text])
        source = source_of(unquote(signed.target))
        return draft.image_url(self.NAME, source, draft.finished())

    def write(self, url: ImageUrl) -> str:
        """Write a URL as `unsigned` takes it, without what has no option."""
        return write(url)


class ImgixSettings(OneDialect):
    """Keys of imgix's URLs."""

    DIALECT: ClassVar[type[Dialect]] = Imgix

    imgix_keys: Secrets = Field(
        default=None,
        description="Tokens of imgix's URLs, `/imgix/...`, separated by commas, "
        f"{LEAST}. Off without any.",
    )


def _decoded(words: dict[str, str]) -> dict[str, str]:
    """Decode the values of names that end in 64."""
    plain: dict[str, str] = {}
    for name, text in words.items():
        try:
            value = read_base64(text).decode() if name.endswith("64") else text
        except ValueError as error:
            raise InvalidOption(name[:40], f"expected base64; found {text[:40]!r}") from error
        plain[name.removesuffix("64")] = value
    if len(plain) != len(words):
        twice = next(name for name in words if name.endswith("64") and name[:-2] in words)
        raise InvalidOption("query", f"repeats a name; found {twice[:40]!r}")
    return plain
