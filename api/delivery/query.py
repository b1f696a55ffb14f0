"""What a delivery URL asks for: read once, and refused where it is not understood. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from aiohttp import web

from api.delivery.signing import PARAMETERS, UNESCAPED
from api.problems import Problem, Refusal
from safelight.formats import WRITABLE_WORDS
from safelight.presets import Preset

OWN = frozenset({"format", "download"})
OF_ALIASES = frozenset({"preset"})
"""Query parameters that a delivery URL may have beside its signature's; the last by alias only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the path's extension and the query say."""

    format: str | None
    """Named by the client, so that nothing is negotiated."""
    download: bool
    file_name: str | None = None
    """What to save it as, where the URL says so."""

    @classmethod
    def read(
        cls,
        query: Mapping[str, str],
        *,
        extension: str | None,
        of_alias: bool = False,
        of_asset: bool = False,
    ) -> "Query":
        """Read the words that are known; any other is refused, lest caches fill with copies."""
        known = OWN | PARAMETERS | (OF_ALIASES if of_alias else set())
        if of_asset:
            known -= {"format"}
        if len(query) != len(set(query)):
            raise _refused("A query parameter is there twice.")
        for name in query:
            if name not in known:
                raise _refused(f"There is no query parameter {name[:40]!r} here.")
        formats = {_format(word) for word in (extension, query.get("format")) if word is not None}
        if len(formats) > 1:
            raise _refused("The extension says one format, and `format` another.")
        if query.get("download", "1") != "1":
            raise _refused("`download` is 1 or not there.")
        return cls(format=next(iter(formats), None), download="download" in query)

    def formats(self, preset: Preset) -> tuple[str, ...]:
        """List what may be answered with; the one that is named, if the preset allows it."""
        if self.format is None:
            return preset.deliverable
        if self.format not in preset.deliverable:
            allowed = _listed(preset.deliverable)
            raise _refused(f"{preset.name!r} is not delivered as {self.format}, but as {allowed}.")
        return (self.format,)


def in_one_spelling(request: web.Request) -> None:
    """Send whoever escapes otherwise to the URL's one spelling, lest caches fill with copies."""
    url = request.rel_url
    path = quote(request.path, safe=UNESCAPED, errors="surrogateescape")
    query = urlencode(list(request.query.items()), errors="surrogateescape")
    if not {".", ".."}.isdisjoint(path.split("/")):  # a client would follow them elsewhere
        raise _refused("The path is no key that is looked for.")
    if {"%", "+"}.intersection(query):  # clients differ in how they escape it on their way there
        raise _refused("A query parameter says what none can say.")
    if (path, query) != (url.raw_path, url.raw_query_string):
        raise web.HTTPPermanentRedirect(f"{path}?{query}" if query else path)


def _format(word: str) -> str:
    if word not in WRITABLE_WORDS:
        raise _refused(f"{word[:40]!r} is no format; there are {_listed(WRITABLE_WORDS)}.")
    return WRITABLE_WORDS[word]


def _refused(why: str) -> Refusal:
    return Refusal(Problem.INVALID_URL, why)


def _listed(names: Mapping[str, str] | tuple[str, ...]) -> str:
    return ", ".join(names)
