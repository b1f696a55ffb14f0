"""What a viewer would get for a valid free-form URL: by aliases and presets, and by asking."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import aiohttp
from yarl import URL

from api.delivery.aliases import Alias, load_aliases
from api.delivery.ask import check_policy
from api.delivery.freeform import grant_of, path_below, query_of
from api.dialects.image_url import ImageUrl, SourceName
from api.problems import Refusal
from api.settings import DeliverySettings
from ops.preset_urls import UNCHECKED
from safelight.keys import is_image_id
from safelight.presets import Preset, load_presets
from safelight.settings import variable

_ACCEPT = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
"""Accept of a browser that shows a picture."""
_MOST_BYTES = 4096
"""The most bytes of a problem that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The pictures and presets that delivery has, as far as this machine knows its files."""

    aliases: Mapping[str, Alias] | None
    """None if the setting names no file here."""
    presets: Mapping[str, Preset] | None
    """None if the file is not on this machine."""

    @classmethod
    def of(cls, settings: DeliverySettings) -> Self:
        """Read the files that the settings name. Raises `InvalidPresets` or `InvalidAliases`."""
        presets = load_presets(settings.presets) if settings.presets.exists() else None
        named = None if presets is None else {preset.name: preset for preset in presets}
        aliases = None
        if settings.aliases is not None and named is not None:
            aliases = load_aliases(settings.aliases, presets=named)
        return cls(aliases=aliases, presets=named)

    def refusal_of(self, url: ImageUrl) -> str | None:
        """Return why delivery refuses a valid URL; None if it does not, or cannot be known here."""
        return self.without_alias(url) or self.refused_by_preset(url)

    def without_alias(self, url: ImageUrl) -> str | None:
        """Return which source or watermark no alias includes, or is not one that its key opens."""
        names = [("source", url.source)]
        for key in url.options.watermarks if url.preset is None else ():
            bucket, _, path = key.partition("/")
            names.append(("watermark", SourceName(bucket=bucket, key=path)))
        for what, name in names:
            if not self._includes(name):
                return f"{what}: no alias includes {str(name)[:80]!r}, so viewers get an error"
            if url.user_id is not None and not _is_image(name):
                return f"{what}: the key of a tenant opens only images of that user"
        return None

    def unchecked(self, url: ImageUrl) -> tuple[str, ...]:
        """List what cannot be known here and may make delivery answer with an error."""
        found = [UNCHECKED]
        if self.aliases is None and not _is_image(url.source):
            found.append(f"whether an alias includes the source: {variable('aliases')} is not set")
        if self.presets is None and url.preset is not None:
            found.append(f"whether there is such a preset: {variable('presets')} is not here")
        return tuple(found)

    def _includes(self, name: SourceName) -> bool:
        if self.aliases is None or _is_image(name):
            return True
        return _below(self.aliases.values(), name)

    def refused_by_preset(self, url: ImageUrl) -> str | None:
        """Return why a preset refuses a URL that names one, such as that there is none so named."""
        if url.preset is None or self.presets is None:
            return None
        preset = self.presets.get(url.preset)
        if preset is None:
            return f"preset: there is no {url.preset[:40]!r}"
        try:
            check_policy(preset, query_of(url), grant_of(url))
        except Refusal as refusal:
            return refusal.detail
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a viewer got."""

    status: int | None
    """None if there was no answer."""
    text: str

    @property
    def good(self) -> bool:
        """Whether it is a picture, or one that is being processed."""
        return self.status is not None and self.status < 400

    def __str__(self) -> str:
        return self.text if self.status is None else f"{self.status}: {self.text}"


async def answer_of(url: str) -> Answer:
    """Request a URL as a browser does that shows the picture."""
    try:
        async with (
            aiohttp.ClientSession(headers={"Accept": _ACCEPT}) as http,
            http.get(URL(url, encoded=True)) as response,
        ):
            if response.status < 400:
                return Answer(status=response.status, text=response.content_type)
            body = (await response.content.read(_MOST_BYTES)).decode("utf-8", "replace")
            return Answer(status=response.status, text=body.strip() or response.reason or "")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return Answer(status=None, text=f"no answer: {error or type(error).__name__}")


def _is_image(name: SourceName) -> bool:
    return name.bucket is None and is_image_id(name.key)


def _below(aliases: Iterable[Alias], name: SourceName) -> bool:
    return any(path_below(alias, name) for alias in aliases)
