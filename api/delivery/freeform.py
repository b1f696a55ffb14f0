"""Free-form URLs: what a dialect read of one, in delivery's own terms.

Every one of them is signed. Sources and watermarks are images, or objects that an alias leads to;
no URL reaches anything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from api.delivery.aliases import Alias
from api.delivery.query import Query
from api.delivery.signing import Grant
from api.delivery.sources import Bucket, Records, SourceImage, find_image, find_object
from api.dialects.errors import URL_ERRORS, BadSignature, Expired, UnknownPath, UrlError
from api.dialects.image_url import ImageUrl, SourceName
from api.dialects.table import Dialects, read
from api.problems import Problem, Refusal
from safelight import keys
from safelight.formats import BY_NAME, WRITABLE_NAMES
from safelight.image_ids import ImageIds
from safelight.imaging.plan_options import plan_options
from safelight.making import RenderRequest, Source, Sources
from safelight.presets import Policy, Preset
from safelight.wish.canonical import fingerprint
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options
from safelight.wish.wish import Wish

_PROBLEMS: Mapping[type[Exception], Problem] = {
    UnknownPath: Problem.UNKNOWN_PATH,
    BadSignature: Problem.INVALID_SIGNATURE,
    Expired: Problem.URL_EXPIRED,
    InvalidOption: Problem.INVALID_URL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wished(SourceImage):
    """A picture of which something is wished free-form."""

    options: Options
    marks: Mapping[str, Source]
    """Watermarks' keys -> where they are."""

    def wanted(self, name: str, wish: Wish) -> RenderRequest:
        """Name what becomes of it in the format of a wish, of which nothing else counts."""
        options = self.options.in_format(wish.format)
        return RenderRequest(
            key=keys.asset_key(
                image_id=self.image_id,
                revision=self.revision,
                preset=name,
                fingerprint=fingerprint(options),
                extension=BY_NAME[wish.format].extension,
            ),
            source=self.source,
            plan=partial(plan_options, options=options),
            pictures=self.marks,
        )


class FreeForm:
    """Reads free-form URLs and finds what they name."""

    def __init__(
        self,
        *,
        dialects: Dialects,
        aliases: Mapping[str, tuple[Alias, Bucket]],
        records: Records,
        objects: Sources,
        ids: ImageIds,
        max_age_seconds: int,
    ) -> None:
        self.prefixes = dialects.prefixes
        """What paths begin with; the last one is the root's, if a dialect answers there."""
        self._dialects = dialects
        self._aliases = aliases
        self._records = records
        self._objects = objects
        self._ids = ids
        self._max_age_seconds = max_age_seconds

    def read(self, request: web.Request, *, now: float) -> ImageUrl:
        """Read a request's URL as it was sent. Raises a `Refusal`."""
        path, _, query = request.raw_path.partition("?")
        try:
            return read(path, query, self._dialects, now=datetime.fromtimestamp(now, UTC))
        except URL_ERRORS as error:
            raise refusal_of(error) from error

    def preset(self, asked: ImageUrl, presets: Mapping[str, Preset]) -> Preset | None:
        """Return the preset that the URL names, if it names one. Raises a `Refusal`."""
        if asked.preset is None:
            return None
        if asked.preset not in presets:
            why = f"preset: there is no {asked.preset[:40]!r}"
            raise Refusal(Problem.INVALID_URL, why)
        return presets[asked.preset]

    def policy(self, asked: ImageUrl) -> Policy:
        """Return the policy of a URL that names no preset."""
        seconds = asked.max_age_seconds
        return Policy(
            formats=WRITABLE_NAMES,
            access="public",
            max_age=min(self._max_age_seconds if seconds is None else seconds, 31_536_000),
        )

    async def find(self, asked: ImageUrl, grant: Grant) -> SourceImage:
        """Find what a URL names. Raises `NotThereYet` or a `Refusal`."""
        image = await self._find(asked.source, grant)
        if asked.preset is not None:
            return image
        marks = {key: await self._mark(key, grant) for key in asked.options.watermarks}
        return Wished(
            image_id=image.image_id,
            revision=image.revision,
            source=image.source,
            transparent=image.transparent,
            pixels=image.pixels,
            options=asked.options,
            marks=marks,
        )

    async def _find(self, named: SourceName, grant: Grant) -> SourceImage:
        if named.bucket is None and keys.is_image_id(named.key):
            return await find_image(named.key, grant, records=self._records, bucket=self._objects)
        for alias, bucket in self._aliases.values():
            path = _path_below(alias, named)
            if path is not None:
                return await find_object(path, grant, alias=alias, bucket=bucket, ids=self._ids)
        raise Refusal(Problem.UNKNOWN_IMAGE, "There is no picture of this name.")

    async def _mark(self, key: str, grant: Grant) -> Source:
        """Find a watermark; a tenant's key opens none, lest it shows others' pictures."""
        bucket, _, path = key.partition("/")
        try:
            image = await self._find(SourceName(bucket=bucket, key=path), grant)
        except Refusal as refusal:
            why = f"watermark: there is no picture {key[:80]!r} for this key"
            raise Refusal(Problem.INVALID_URL, why) from refusal
        return image.source


def asked_of(request: ImageUrl) -> Query:
    """Say what an answer needs to know beside the pixels."""
    return Query(
        format=request.options.format,
        download=request.download is not None,
        file_name=request.download or None,
    )


def grant_of(request: ImageUrl) -> Grant:
    """Say what a URL that was read entitles to."""
    expires = request.expires
    return Grant(
        key_id=request.key_id,
        user_id=request.user_id,
        expires_at=None if expires is None else int(expires.timestamp()),
    )


def refusal_of(error: UrlError | InvalidOption) -> Refusal:
    """Say in HTTP's terms why a URL is not answered."""
    return Refusal(_PROBLEMS[type(error)], str(error))


def _path_below(alias: Alias, named: SourceName) -> str | None:
    """Find what an alias would call an object; None if it does not lead there."""
    if named.bucket is None:
        name, _, path = named.key.partition("/")
        return path if name == alias.name else None
    if named.bucket == alias.name:
        return named.key
    below = named.bucket == alias.bucket and named.key.startswith(alias.prefix)
    return named.key[len(alias.prefix) :] if below else None
