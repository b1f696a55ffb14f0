"""`safelight explain --report`: how many URLs of another system would be answered, and how.

Reads a log as a stream. What grows with it is a set of hashes, one for each different URL.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from rich.text import Text

from api.dialects.own import Own
from api.dialects.table import DIALECTS, Dialects
from api.settings import DeliverySettings
from ops.access_log import open_log, urls_in
from ops.exit_codes import ExitCode
from ops.reach import Reach
from ops.tables import make_table, print_table
from ops.url_reading import Reading, dialects_as, reading_of
from safelight.settings import variable

_REMEMBERED = 65_536
"""URLs whose reading is kept, because a few URLs have most of the requests."""
_NUMBERS = ("requests", "URLs")
_SHOWN_PLACES = 20
"""The most places of sources that a table shows; JSON has all."""

Name = TypeVar("Name", str, tuple[str, str])


@dataclass(slots=True)
class Tally:
    """Counts of requests, and of the different URLs among them."""

    requests: int = 0
    urls: int = 0
    example: str | None = None
    """The first URL."""
    why: str = ""
    """The text that explains the first URL."""

    def add(self, url: str, *, new: bool, why: str = "") -> None:
        """Count a request."""
        if self.example is None:
            self.example, self.why = url, why
        self.requests += 1
        self.urls += new

    def counts(self) -> dict[str, object]:
        """Return the counts, with an example if there is one."""
        counts: dict[str, object] = {"requests": self.requests, "urls": self.urls}
        return counts | ({"example": self.example} if self.example else {})


Options = dict[tuple[str, str], Tally]
"""Tallies by dialect and option."""


@dataclass(slots=True)
class UrlReport:
    """The counts of a log."""

    read: Callable[[str], Reading]
    """Reads a URL."""
    checked: bool
    """Whether there are keys to check signatures with."""
    aliases_known: bool
    """Whether there are aliases to look for sources in."""
    all: Tally = field(default_factory=Tally)
    understood: Tally = field(default_factory=Tally)
    differing: Tally = field(default_factory=Tally)
    """URLs that are understood, and give a picture that differs as the tables say."""
    refused: Tally = field(default_factory=Tally)
    elsewhere: Tally = field(default_factory=Tally)
    """URLs that no dialect reads."""
    wrong_signature: Tally = field(default_factory=Tally)
    unsigned: Tally = field(default_factory=Tally)
    without_alias: Tally = field(default_factory=Tally)
    """URLs that are understood, but no alias includes their source or a watermark."""
    lines_without_url: int = 0
    refusals: Options = field(default_factory=dict)
    differences: Options = field(default_factory=dict)
    places: dict[str, Tally] = field(default_factory=dict)
    """Where the sources of URLs that are understood are."""
    _seen: set[int] = field(default_factory=set)

    def add(self, urls: Iterable[str | None]) -> None:
        """Count URLs; None is a line without one."""
        for url in urls:
            if url is None:
                self.lines_without_url += 1
            else:
                self._add(url, self.read(url))

    def _add(self, url: str, reading: Reading) -> None:
        known = hash(url)
        new = known not in self._seen
        self._seen.add(known)
        for tally in self._tallies(reading):
            tally.add(url, new=new)
        if reading.refused is not None:
            key = (reading.dialect or "", reading.refused)
            self.refusals.setdefault(key, Tally()).add(url, new=new, why=reading.why)
        elif reading.place:
            self.places.setdefault(reading.place, Tally()).add(url, new=new)
        for option, how in reading.differs:
            key = (reading.dialect or "", option)
            self.differences.setdefault(key, Tally()).add(url, new=new, why=how)

    def _tallies(self, reading: Reading) -> Iterator[Tally]:
        """List the counts that a URL belongs to."""
        yield self.all
        if reading.dialect is None:
            yield self.elsewhere
            return
        if reading.signature == "wrong":
            yield self.wrong_signature
        elif reading.signature == "missing":
            yield self.unsigned
        if reading.refused is not None:
            yield self.refused
            return
        yield self.understood
        if reading.differs:
            yield self.differing
        if reading.without_alias:
            yield self.without_alias

    @property
    def exit_code(self) -> ExitCode:
        """`REFUSED` if Safelight would refuse a URL, as for a single one."""
        unsigned = self.unsigned.requests if self.checked else 0
        refused = (self.refused, self.wrong_signature, self.without_alias)
        if unsigned or any(tally.requests for tally in refused):
            return ExitCode.REFUSED
        return ExitCode.DONE

    def as_json(self) -> dict[str, object]:
        """Return all counts."""
        return {
            "all": self.all.counts(),
            "understood": self.understood.counts(),
            "differing": self.differing.counts(),
            "refused": self.refused.counts(),
            "elsewhere": self.elsewhere.counts(),
            "signatures": {
                "checked": self.checked,
                "wrong": self.wrong_signature.counts(),
                "missing": self.unsigned.counts(),
            },
            "aliases": {
                "checked": self.aliases_known,
                "missing": self.without_alias.counts(),
            },
            "linesWithoutUrl": self.lines_without_url,
            "refusals": _listed(self.refusals),
            "differences": _listed(self.differences),
            "sources": [
                {"place": place, **tally.counts()} for place, tally in _most_first(self.places)
            ],
        }


async def report(path: Path, *, dialect: str | None, as_json: bool) -> ExitCode:
    """Print a report of the URLs in a file. Returns an exit code.

    Raises `InvalidConfiguration`.
    """
    settings = DeliverySettings.load()
    reach = Reach.of(settings)
    try:
        dialects = dialects_as(settings, dialect)
    except ValueError as error:
        print(error, file=sys.stderr)
        return ExitCode.UNUSABLE
    counted = UrlReport(
        read=lru_cache(_REMEMBERED)(partial(reading_of, dialects=dialects, reach=reach)),
        checked=any(each.keys for each in dialects.known),
        aliases_known=reach.aliases is not None,
    )
    try:
        with open_log(path) as lines:
            counted.add(urls_in(lines))
    except (OSError, EOFError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        print(f"{path}: cannot be read: {why}", file=sys.stderr)
        return ExitCode.UNUSABLE
    if as_json:
        print(json.dumps(counted.as_json(), indent=2))
    else:
        _print(counted)
    if not dialects.root and counted.all.urls and counted.elsewhere.urls == counted.all.urls:
        print(_of_no_prefix(dialects), file=sys.stderr)
        return ExitCode.REFUSED
    return counted.exit_code


def _of_no_prefix(dialects: Dialects) -> str:
    """Say how to read a log in which no URL has a prefix, as URLs of other systems have none."""
    others = [name for name in DIALECTS if name != Own.NAME]
    known = [dialect.NAME for dialect in dialects.known if dialect.NAME in others]
    options = " or ".join(f"--as {name}" for name in known or others)
    return (
        f"No URL begins with {' or '.join(dialects.prefixes)}. For URLs of the old system add "
        f"{options} or set {variable('root_dialect')}"
    )


def _most_first(tallies: Mapping[Name, Tally]) -> list[tuple[Name, Tally]]:
    return sorted(tallies.items(), key=lambda each: -each[1].requests)


def _listed(options: Options) -> list[dict[str, object]]:
    return [
        {"dialect": dialect, "option": option, "why": tally.why, **tally.counts()}
        for (dialect, option), tally in _most_first(options)
    ]


def _print(counted: UrlReport) -> None:
    table = make_table("", *_NUMBERS, "example", numbers=_NUMBERS)
    unchecked = "" if counted.checked else " (not checked: no key)"
    rows = {
        "all": counted.all,
        "understood": counted.understood,
        "- differing as documented": counted.differing,
        "refused": counted.refused,
        "of no dialect": counted.elsewhere,
        f"wrong signature{unchecked}": counted.wrong_signature,
        "without signature": counted.unsigned,
    }
    if counted.aliases_known:
        rows["without an alias"] = counted.without_alias
    for name, tally in rows.items():
        table.add_row(name, *_numbers(tally), Text(tally.example or ""))
    print_table(table)
    if counted.lines_without_url:
        print(f"{counted.lines_without_url:,} lines without a GET or HEAD request")
    for title, options in (
        ("refused option", counted.refusals),
        ("option that differs", counted.differences),
    ):
        if options:
            table = make_table(title, *_NUMBERS, "why", "example", numbers=_NUMBERS)
            for (dialect, option), tally in _most_first(options):
                named = Text(f"{dialect}: {option}")
                table.add_row(named, *_numbers(tally), Text(tally.why), Text(tally.example or ""))
            print_table(table)

    if counted.places:
        table = make_table("sources in", *_NUMBERS, "example", numbers=_NUMBERS)
        for place, tally in _most_first(counted.places)[:_SHOWN_PLACES]:
            table.add_row(Text(place), *_numbers(tally), Text(tally.example or ""))
        print_table(table)


def _numbers(tally: Tally) -> tuple[str, str]:
    return f"{tally.requests:,}", f"{tally.urls:,}"
