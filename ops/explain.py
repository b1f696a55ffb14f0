"""`safelight explain`: what a URL of a preset or a free-form URL asks for, and why it is refused.

It reveals what a wrong signature covers, which no response may. So it runs only where the keys are.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from rich.text import Text

from api.dialects.dialect import Dialect
from api.dialects.errors import URL_ERRORS, BadSignature
from api.dialects.image_url import ImageUrl
from api.dialects.signatures import Signed, differences, verified
from api.dialects.table import Dialects, check_spelling, read
from api.settings import DeliverySettings
from ops.exit_codes import ExitCode
from ops.folders import Unusable
from ops.preset_urls import PresetUrls
from ops.reach import Reach, answer_of
from ops.tables import make_table, print_table
from ops.url_reading import dialects_as
from safelight.formats import BY_NAME
from safelight.keys import assets_prefix, is_image_id
from safelight.settings import variable
from safelight.wish.canonical import NAME, canonical, fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known about a URL. A fact is None if reading stopped before it."""

    refused: str | None
    """Why the URL would be refused."""
    dialect: str | None = None
    signed: str | None = None
    """The text that the signature must cover."""
    signature: str | None = None
    """Whether the signature is valid; if not, what it covers instead, if that is known."""
    changed: str | None = None
    """What proxies or clients changed in the path since it was signed, and was undone."""
    image_url: ImageUrl | None = None
    unchecked: tuple[str, ...] = ()
    """What may still make delivery answer with an error."""

    def facts(self) -> dict[str, object]:
        """List all known facts."""
        facts: dict[str, object] = {
            "dialect": self.dialect,
            "signed": self.signed,
            "signature": self.signature,
            "changed": self.changed or None,
        }
        if self.image_url:
            facts |= _facts_of(self.image_url)
        facts["refused"] = self.refused
        facts["unchecked"] = list(self.unchecked) or None
        return {name: fact for name, fact in facts.items() if fact is not None}


async def explain(url: str, *, dialect: str | None = None, ask: bool, as_json: bool) -> ExitCode:
    """Print what a URL asks for, as the named dialect reads it if there is one.

    Returns the exit code. Raises `Unusable` and `InvalidConfiguration`.
    """
    settings = DeliverySettings.load()
    urls = PresetUrls.of(settings)
    parts = urlsplit(url)
    if ask and parts.scheme not in ("http", "https"):
        raise Unusable("--ask needs the whole URL, with https:// and the host")
    if dialect is None and urls.has(unquote(parts.path)):
        facts = urls.facts(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    else:
        reach, now = Reach.of(settings), datetime.now(UTC)
        dialects = _named(settings, dialect) if dialect else settings.dialects
        found = explained(parts.path, parts.query, dialects, now=now, reach=reach)
        facts = found.facts()
        unknown = urls.unknown(unquote(parts.path))
        if unknown and found.dialect is None:
            facts["refused"] = unknown
    good = "refused" not in facts
    if ask:
        answer = await answer_of(url)
        good = good and answer.good
        facts = {name: facts[name] for name in facts if name != "unchecked"}
        facts["answer"] = str(answer)
    _print(facts, as_json=as_json)
    return ExitCode.DONE if good else ExitCode.REFUSED


def explained(
    path: str, query: str, dialects: Dialects, *, now: datetime, reach: Reach | None = None
) -> Explanation:
    """Find all facts about a URL, even if it would be refused.

    `reach` knows which pictures and presets delivery has.
    """
    unchecked: tuple[str, ...] = ()
    try:
        image_url = _read(path, query, dialects, now=now)
        refused = reach.refusal_of(image_url) if reach else None
        unchecked = reach.unchecked(image_url) if reach and not refused else ()
    except URL_ERRORS as error:
        refused = str(error)
    try:
        dialect, rest = dialects.find(path)
        signed = dialect.split(rest, query)
    except URL_ERRORS:
        return Explanation(refused=refused)
    about = _signature(dialect, signed)
    return Explanation(
        refused=refused,
        dialect=dialect.NAME,
        signed=about["signed"],
        signature=about["signature"],
        changed=about.get("changed"),
        image_url=_image_url(dialects, dialect, signed),
        unchecked=unchecked,
    )


def _named(settings: DeliverySettings, name: str) -> Dialects:
    try:
        return dialects_as(settings, name)
    except ValueError as error:
        raise Unusable(f"--as: {error}") from error


def _read(path: str, query: str, dialects: Dialects, *, now: datetime) -> ImageUrl:
    """Read a URL as delivery does; without verifying it if its dialect has no key."""
    dialect, rest = dialects.find(path)
    if dialect.keys:
        return read(path, query, dialects, now=now)
    check_spelling(path, query)
    return dialects.read(dialect, dialect.split(rest, query))


def _image_url(dialects: Dialects, dialect: Dialect, signed: Signed) -> ImageUrl | None:
    try:
        return dialects.read(dialect, signed)
    except URL_ERRORS:
        return None


def _signature(dialect: Dialect, signed: Signed) -> dict[str, str | None]:
    """Return the facts about the signature; the change that proxies made, if it was undone."""
    if not dialect.keys:
        unknown = f"not verified: {variable(dialect.KEYS)} has no key"
        return {"signed": signed.messages[0], "signature": unknown}
    try:
        number, which = verified(dialect, signed)
    except BadSignature:
        found = "; ".join(dict.fromkeys(differences(dialect, signed)))
        wrong = f"wrong: {found or 'another key made it, or the path was changed since'}"
        return {"signed": signed.messages[0], "signature": wrong}
    return {
        "signed": signed.messages[which],
        "signature": f"holds, by key {number + 1} of {len(dialect.keys)}",
        "changed": signed.notes[which] if signed.notes else None,
    }


def _facts_of(image_url: ImageUrl) -> Iterator[tuple[str, object]]:
    yield "source", str(image_url.source)
    if image_url.preset:
        yield "preset", image_url.preset
    else:
        yield "options", canonical(image_url.options)
        yield "fingerprint", fingerprint(image_url.options)
        yield "assetKey", _asset_key(image_url)
    yield "format", image_url.options.format or "as the client accepts"
    yield "expires", image_url.expires.isoformat() if image_url.expires else None
    yield "stored", None if image_url.stored else False
    yield "maxAgeSeconds", image_url.max_age_seconds
    yield "download", image_url.download or None
    yield "fileName", image_url.file_name
    yield "differs", dict(image_url.differs) or None


def _asset_key(image_url: ImageUrl) -> str | None:
    """Write the asset key, with unknown parts in braces.

    The secret is in the image's record. Without a format in the URL, the format is negotiated.
    """
    if not is_image_id(image_url.source.key):
        return None
    name = image_url.options.format
    made = fingerprint(image_url.options) if name else "{fingerprint}"
    extension = BY_NAME[name].extension if name else "{extension}"
    return f"{assets_prefix(image_url.source.key)}{{secret}}/{NAME}-{made}.{extension}"


def _print(facts: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    table = make_table("fact", "value", header=False)
    for name, fact in facts.items():
        table.add_row(name, Text(_in_words(fact)))
    print_table(table)


def _in_words(fact: object) -> str:
    if isinstance(fact, dict):
        return "; ".join(f"{name}: {text}" for name, text in fact.items())
    return "; ".join(fact) if isinstance(fact, list) else str(fact)
