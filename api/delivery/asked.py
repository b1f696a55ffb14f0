"""What a delivery URL asks for: read once, and refused where it is not understood. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from api.delivery.signing import PARAMETERS
from api.problems import Problem, Refusal
from safelight.formats import WRITABLE_WORDS
from safelight.presets import Preset

OWN = frozenset({"format", "download"})
OF_ALIASES = frozenset({"preset"})
"""Query parameters that a delivery URL may have beside its signature's; the last by alias only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
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
    ) -> "Asked":
        """Read the words that are known; any other is refused, lest caches fill with copies."""
        known = OWN | PARAMETERS | (OF_ALIASES if of_alias else set())
        if of_asset:
            known -= {"format"}
        if len(query) != len(set(query)):
            raise _refused("A query parameter is there twice.")
        for name in query:
            if name not in known:
                raise _refused(f"There is no query parameter {name[:40]!r} here.")
        named = query.get("format", extension)
        if named is not None and named not in WRITABLE_WORDS:
            raise _refused(f"{named[:40]!r} is no format; there are {_listed(WRITABLE_WORDS)}.")
        if query.get("download", "1") != "1":
            raise _refused("`download` is 1 or not there.")
        format = None if named is None else WRITABLE_WORDS[named]
        return cls(format=format, download="download" in query)

    def formats(self, preset: Preset) -> tuple[str, ...]:
        """List what may be answered with; the one that is named, if the preset allows it."""
        if self.format is None:
            return preset.deliverable
        if self.format not in preset.deliverable:
            allowed = _listed(preset.deliverable)
            raise _refused(f"{preset.name!r} is not delivered as {self.format}, but as {allowed}.")
        return (self.format,)


def _refused(why: str) -> Refusal:
    return Refusal(Problem.INVALID_URL, why)


def _listed(names: Mapping[str, str] | tuple[str, ...]) -> str:
    return ", ".join(names)
