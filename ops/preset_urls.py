"""Signs and explains the URLs of presets, aliases and assets, with the code that delivers them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode

from api.delivery.aliases import Alias, load_aliases
from api.delivery.ask import check_policy
from api.delivery.query import OF_ALIASES, OF_ASSETS, OWN, Query, invalid
from api.delivery.signing import PARAMETERS, UNESCAPED, Grant, SigningKeys, canonical
from api.problems import Problem, Refusal
from api.settings import DeliverySettings
from ops.presets import presets_of
from safelight.keys import read_asset_key, read_image_id
from safelight.presets import Preset
from safelight.settings import variable

NAME = "preset"
"""The word for these URLs in `--as`, beside the names of dialects."""
UNCHECKED = "whether the picture exists and can be rendered: --ask requests it"
_KEYS = variable("signing_keys")
_PRESETS = variable("presets")
_WORD = re.compile(r"[a-z][a-z0-9_-]*")
"""What could be the name of a preset; options of free-form URLs have `=` or are `_`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a path names: a preset and a source."""

    preset: Preset
    source: str
    query: Query


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetUrls:
    """The presets, aliases and keys of a deployment."""

    file: str
    """The name of the file of presets."""
    presets: Mapping[str, Preset]
    aliases: Mapping[str, Alias]
    signing: SigningKeys

    @classmethod
    def of(cls, settings: DeliverySettings) -> Self:
        """Read the files that settings name. Raises `InvalidConfiguration`.

        Without the preset file, which may be elsewhere, no preset and no alias is known.
        """
        path = presets_of(settings)
        presets = settings.load_presets(path) if path.exists() else ()
        named = {preset.name: preset for preset in presets}
        aliases = load_aliases(settings.aliases, presets=named) if named else {}
        return cls(file=path.name, presets=named, aliases=aliases, signing=settings.signing)

    def has(self, path: str) -> bool:
        """Return whether a path, with or without its first slash, begins like one of these URLs."""
        first = path.lstrip("/").partition("/")[0]
        return first == "images" or first in self.presets or first in self.aliases

    def unknown(self, path: str) -> str | None:
        """Return that there is no such preset, if a path is like the URL of one: NAME/IMAGE_ID."""
        first, _, rest = path.lstrip("/").partition("?")[0].partition("/")
        if not self.presets or not _WORD.fullmatch(first) or self.has(path):
            return None
        if read_image_id(rest.partition(".")[0]) is None:
            return None
        names = ", ".join(sorted(self.presets))
        return f"{self.file} ({_PRESETS}) has no preset {first}; it has {names}."

    def sign(self, wanted: str, *, expires_at: int | None) -> tuple[str, str]:
        """Sign a path and query with the first key; return the URL and the text that is signed.

        Raises a `Refusal` for a URL that would not be delivered, `ValueError` without a key.
        """
        path, query = _split(wanted)
        if given := sorted(PARAMETERS.intersection(query)):
            raise invalid(f"{', '.join(given)} comes from the signature: leave it out.")
        named = self._read(path, query)
        check_policy(named.preset, named.query, Grant(expires_at=expires_at))
        if not len(self.signing):
            raise ValueError(f"{_KEYS} has no key")
        url = self.signing.sign(path, query, expires_at=expires_at)
        return url, canonical(*_split(url))

    def facts(self, url: str) -> dict[str, object]:
        """List what is known about a URL; `refused` is why it would not be delivered, if so."""
        facts: dict[str, object] = {"dialect": NAME}
        refusals: list[str] = []
        try:
            path, query = _split(url)
            named = self._read(path, query)
        except Refusal as refusal:
            return facts | {"refused": refusal.detail}
        facts |= {
            "preset": named.preset.name,
            "source": named.source,
            "access": named.preset.policy.access,
            "formats": named.query.format or ", ".join(named.preset.deliverable),
            "maxAgeSeconds": named.preset.policy.max_age,
        }
        if named.preset.policy.access != "public" or PARAMETERS.intersection(query):
            facts["signed"] = canonical(path, query)
        try:
            grant = self.signing.grant(named.preset.policy.access, path, query)
            facts |= _facts_of(grant)
            check_policy(named.preset, named.query, grant)
        except Refusal as refusal:
            refusals.append(self._without_keys() or refusal.detail)
        spelt = _spelt(path, query)
        if spelt != "/" + url.lstrip("/"):
            facts["redirectedTo"] = spelt
        if refusals:
            return facts | {"refused": refusals[0]}
        return facts | {"unchecked": [UNCHECKED]}

    def _without_keys(self) -> str | None:
        return None if len(self.signing) else f"The URL must be signed, but {_KEYS} has no key."

    def _read(self, path: str, query: Mapping[str, str]) -> Named:
        """Find what a path names. Raises a `Refusal`."""
        first, _, rest = path.lstrip("/").partition("/")
        if first in self.presets:
            return self._of_image(self.presets[first], rest, query)
        if first in self.aliases:
            return self._of_alias(self.aliases[first], rest, query)
        name = read_asset_key(path.lstrip("/"))
        if name is None or name.preset not in self.presets:
            known = ", ".join((*self.presets, *self.aliases))
            raise Refusal(Problem.UNKNOWN_PATH, f"The path begins with none of {known}, images.")
        read = Query.read(query, known=OF_ASSETS)
        return Named(preset=self.presets[name.preset], source=name.image_id, query=read)

    def _of_image(self, preset: Preset, rest: str, query: Mapping[str, str]) -> Named:
        stem, dot, extension = rest.partition(".")
        image_id = read_image_id(stem)
        if image_id is None:
            raise Refusal(Problem.UNKNOWN_IMAGE, f"{stem[:40]!r} is not an image id.")
        read = Query.read(query, known=OWN, extension=extension.lower() if dot else None)
        return Named(preset=preset, source=image_id, query=read)

    def _of_alias(self, alias: Alias, rest: str, query: Mapping[str, str]) -> Named:
        name = query.get("preset", alias.presets[0])
        if name not in alias.presets:
            allowed = ", ".join(alias.presets)
            raise invalid(f"{alias.name!r} allows only the presets {allowed}.")
        read = Query.read(query, known=OWN | OF_ALIASES)
        source = f"s3://{alias.bucket}/{alias.prefix}{rest}"
        return Named(preset=self.presets[name], source=source, query=read)


def _facts_of(grant: Grant) -> dict[str, object]:
    if grant.key_id is None:
        return {"signature": "none is needed"}
    facts: dict[str, object] = {"signature": f"holds, by key {grant.key_id}"}
    if grant.user_id is not None:
        facts["user"] = grant.user_id
    if grant.expires_at is not None:
        facts["expires"] = datetime.fromtimestamp(grant.expires_at, UTC).isoformat()
    return facts


def _split(url: str) -> tuple[str, dict[str, str]]:
    """Split a URL into its decoded path and its query. Raises a `Refusal` for a repeated name."""
    path, _, text = url.partition("?")
    pairs = parse_qsl(text, keep_blank_values=True)
    if len(pairs) != len(dict(pairs)):
        raise invalid("A query parameter is given twice.")
    return "/" + unquote(path).lstrip("/"), dict(pairs)


def _spelt(path: str, query: Mapping[str, str]) -> str:
    """Write a URL in the one spelling that is delivered. Others are redirected to it."""
    text = urlencode(list(query.items()))
    return quote(path, safe=UNESCAPED) + (f"?{text}" if text else "")
