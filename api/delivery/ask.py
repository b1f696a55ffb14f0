"""What a request asks for, whichever of delivery's four kinds of URL it has."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from api.delivery.negotiation import HINTS, accept_of, hinted, in_order
from api.delivery.query import Query, invalid, listed
from api.delivery.signing import Grant
from api.delivery.sources import SourceImage
from api.problems import Problem, Refusal
from safelight.formats import BY_NAME, BY_SIZE
from safelight.presets import Policy, Preset
from safelight.wish.canonical import NAME
from safelight.wish.options import Options
from safelight.wish.wish import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPreset:
    """The options of a free-form URL, in the place of a declared preset."""

    wish: Options
    policy: Policy
    name: str = NAME
    deliverable: tuple[str, ...] = BY_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request that may be answered: its URL was read, and its signature holds.

    Raises a `Refusal` if the preset's policy forbids what is asked for.
    """

    request: web.Request
    preset: Preset | UrlPreset
    query: Query
    grant: Grant
    find: Callable[[Grant], Awaitable[SourceImage]]
    """Finds the source image that the URL names, if the grant includes it."""
    stored: bool = True
    """Whether a result that is rendered for it is kept."""
    key: str | None = None
    """The asset key, if the URL is one. Then nothing is negotiated."""
    wish: Wish | None = None
    """The wish that the key is for. None with a key: the preset has changed, so the asset cannot be
    rendered again."""

    def __post_init__(self) -> None:
        """Enforce the preset's policy."""
        check_policy(self.preset, self.query, self.grant)

    @property
    def varies(self) -> tuple[str, ...]:
        """The request headers that decide which picture is the answer."""
        if self.key is not None:
            return ()
        # A preset with one format may be given a second one while caches keep its answers.
        accept = ("Accept",) if self.query.format is None else ()
        return (*accept, *(HINTS if self.preset.policy.hints else ()))

    def wishes(self, image: SourceImage) -> Sequence[Wish | Options]:
        """List the acceptable wishes, best first."""
        if self.wish is not None:
            return (self.wish,)
        preset, request = self.preset, self.request
        formats = (self.query.format,) if self.query.format else preset.deliverable
        order = in_order(accept_of(request), formats, alpha=image.transparent)
        if not isinstance(preset, Preset):
            return tuple(preset.wish.in_format(format) for format in order)
        wish = hinted(preset, request.headers)
        chosen = image.chosen_for(preset.name, wish)
        if chosen and chosen.media_type in {BY_NAME[format].media_type for format in order}:
            return (wish,)
        return tuple(wish.in_format(format) for format in order)


def check_policy(preset: Preset | UrlPreset, query: Query, grant: Grant) -> None:
    """Raise a `Refusal` if a preset's policy forbids what a URL asks for."""
    format = query.format
    if preset.policy.access == "private" and grant.expires_at is None:
        raise Refusal(Problem.INVALID_SIGNATURE, "The URL must expire, and does not say when.")
    if format is not None and format not in preset.deliverable:
        allowed = listed(preset.deliverable)
        raise invalid(f"{preset.name!r} is not delivered as {format}, but as {allowed}.")
