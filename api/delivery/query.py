"""Reads the query of a delivery URL. Unknown parameters and other spellings are refused. Pure."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, urlencode

from aiohttp import web

from api.delivery.signing import PARAMETERS, UNESCAPED
from api.problems import Problem, Refusal
from safelight.formats import WRITABLE_WORDS

OWN = frozenset({"format", "download"})
"""Query parameters of a preset's URL, beside those of the signature."""
OF_ALIASES = frozenset({"preset"})
"""Further query parameters of an alias's URL."""
OF_ASSETS = frozenset({"download"})
"""Query parameters of an asset key's URL, beside those of the signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a URL asks for by its extension and its query."""

    format: str | None = None
    """The only acceptable format; None if the client's `Accept` decides."""
    download: bool = False
    """Whether browsers save the picture instead of showing it."""
    file_name: str | None = None
    """The file name to save it under, perhaps without extension; None for one made from image id
    and preset."""

    @classmethod
    def read(
        cls,
        query: Mapping[str, str],
        *,
        known: AbstractSet[str] = OWN,
        extension: str | None = None,
    ) -> "Query":
        """Read the known parameters. Others are refused, so that caches do not fill with copies."""
        if len(query) != len(set(query)):
            raise invalid("A query parameter is given twice.")
        for name in query:
            if name not in known | PARAMETERS:
                raise invalid(f"There is no query parameter {name[:40]!r} here.")
        formats = {_format(word) for word in (extension, query.get("format")) if word is not None}
        if len(formats) > 1:
            raise invalid("The extension and `format` name different formats.")
        if query.get("download", "1") != "1":
            raise invalid("`download` must be 1 or absent.")
        return cls(format=next(iter(formats), None), download="download" in query)


def redirect_other_spellings(request: web.Request) -> None:
    """Redirect a URL that is escaped otherwise, so that caches keep each picture once."""
    url = request.rel_url
    path = quote(request.path, safe=UNESCAPED, errors="surrogateescape")
    query = urlencode(list(request.query.items()), errors="surrogateescape")
    if not {".", ".."}.isdisjoint(path.split("/")):  # clients would resolve them to another path
        raise invalid("The path cannot be the key of a picture.")
    if {"%", "+"}.intersection(query):  # no value needs escapes; clients and proxies change them
        raise invalid("Query parameters have only letters, digits, `_`, `.`, `-` and `~`.")
    if (path, query) != (url.raw_path, url.raw_query_string):
        redirect(request, request.path)


def redirect(request: web.Request, path: str) -> NoReturn:
    """Redirect to another decoded path, with the query as it should be escaped."""
    escaped = quote(path, safe=UNESCAPED, errors="surrogateescape")
    query = urlencode(list(request.query.items()), errors="surrogateescape")
    raise web.HTTPPermanentRedirect(f"{escaped}?{query}" if query else escaped)


def invalid(why: str) -> Refusal:
    """Return the refusal of a URL that asks for something impossible."""
    return Refusal(Problem.INVALID_URL, why)


def listed(names: Iterable[str]) -> str:
    """Join names for a sentence."""
    return ", ".join(names)


def _format(word: str) -> str:
    if word not in WRITABLE_WORDS:
        raise invalid(f"{word[:40]!r} is not a format. Formats are {listed(WRITABLE_WORDS)}.")
    return WRITABLE_WORDS[word]
