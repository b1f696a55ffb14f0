"""Free-form URLs: translates what a dialect read from one into delivery's terms.

Every free-form URL is signed. Its source and its watermarks are images, or objects that an alias
names; nothing else can be reached.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from aiohttp import web

from api.delivery.aliases import Alias
from api.delivery.ask import UrlPreset
from api.delivery.query import Query, invalid
from api.delivery.signing import Grant
from api.delivery.single_flight import Busy
from api.delivery.sources import SourceImage, SourceImages, no_such_picture
from api.dialects.errors import URL_ERRORS, BadSignature, Expired, UnknownPath, UrlError
from api.dialects.image_url import ImageUrl, SourceName
from api.dialects.table import Dialects, read
from api.problems import Problem, Refusal
from safelight import keys
from safelight.making import Source
from safelight.presets import Policy, Preset
from safelight.wish.errors import InvalidOption

_PROBLEMS: Mapping[type[Exception], Problem] = {
    UnknownPath: Problem.UNKNOWN_PATH,
    BadSignature: Problem.INVALID_SIGNATURE,
    Expired: Problem.URL_EXPIRED,
    InvalidOption: Problem.INVALID_URL,
}
_LONGEST_MAX_AGE = 31_536_000
"""The most seconds for which a response may be cached: a year."""
_UNSTORED_MAX_AGE = 600
"""Seconds for which the client may keep a result that delivery does not store."""


class FreeForm:
    """Reads free-form URLs and finds the pictures that they name."""

    def __init__(
        self,
        *,
        dialects: Dialects,
        aliases: Collection[Alias],
        sources: SourceImages,
        max_age_seconds: int,
    ) -> None:
        self.prefixes = dialects.prefixes
        """The prefixes of their paths. The root, if a dialect uses it, is the last one."""
        self._dialects = dialects
        self._aliases = aliases
        self._sources = sources
        self._max_age_seconds = max_age_seconds

    def read(self, request: web.Request, *, now: float) -> ImageUrl:
        """Read the URL as it was sent. Raises a `Refusal`."""
        path, _, query = request.raw_path.partition("?")
        try:
            return read(path, query, self._dialects, now=datetime.fromtimestamp(now, UTC))
        except URL_ERRORS as error:
            raise refusal_of(error) from error

    def preset_of(self, url: ImageUrl, presets: Mapping[str, Preset]) -> Preset | UrlPreset:
        """Return the preset that the URL names, or one made of its options."""
        if url.preset is not None:
            if url.preset not in presets:
                raise invalid(f"preset: there is no {url.preset[:40]!r}")
            return presets[url.preset]
        seconds = self._max_age_seconds if url.max_age_seconds is None else url.max_age_seconds
        policy = Policy(access="public", max_age=min(seconds, _LONGEST_MAX_AGE))
        if not url.stored:
            policy = Policy(access="private", max_age=_UNSTORED_MAX_AGE)
        return UrlPreset(wish=url.options, policy=policy)

    async def find(self, url: ImageUrl, grant: Grant) -> SourceImage:
        """Find the source and the watermarks of a URL. Raises `NotReady` or a `Refusal`."""
        image = await self._find(url.source, grant)
        if url.preset is not None:
            return image
        watermarks = {key: await self._watermark(key, grant) for key in url.options.watermarks}
        return replace(image, watermarks=watermarks)

    async def _find(self, name: SourceName, grant: Grant) -> SourceImage:
        if name.bucket is None and keys.is_image_id(name.key):
            return await self._sources.by_id(name.key, grant)
        for alias in self._aliases:
            path = path_below(alias, name)
            if path is not None:
                return await self._sources.by_path(path, grant, alias=alias)
        raise no_such_picture()

    async def _watermark(self, key: str, grant: Grant) -> Source:
        """Find a watermark. The key of a tenant opens none: it could show others' pictures."""
        bucket, _, path = key.partition("/")
        try:
            return (await self._find(SourceName(bucket=bucket, key=path), grant)).source
        except Busy:
            raise
        except Refusal as refusal:
            raise invalid(f"watermark: there is no picture {key[:80]!r} for this key") from refusal


def query_of(url: ImageUrl) -> Query:
    """Return what a URL asks for beside the pixels."""
    return Query(
        format=url.options.format,
        download=url.download,
        file_name=url.file_name,
    )


def grant_of(url: ImageUrl) -> Grant:
    """Return the grant of a URL whose signature was checked."""
    return Grant(
        key_id=url.key_id,
        user_id=url.user_id,
        expires_at=None if url.expires is None else int(url.expires.timestamp()),
    )


def refusal_of(error: UrlError | InvalidOption) -> Refusal:
    """Return the refusal of a URL that a dialect does not accept."""
    return Refusal(_PROBLEMS[type(error)], str(error))


def path_below(alias: Alias, name: SourceName) -> str | None:
    """Return an object's path below an alias; None if the alias does not include it."""
    if name.bucket is None:
        first, _, path = name.key.partition("/")
        return path if first == alias.name else None
    if name.bucket == alias.name and not name.by_address:
        return name.key
    below = name.bucket == alias.bucket and name.key.startswith(alias.prefix)
    return name.key[len(alias.prefix) :] if below else None
