"""Writes a picture as an HTTP answer: freshness, 304, HEAD and ranges (RFC 9110 and 9111)."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import ETag, hdrs, web

from api.delivery.signing import Grant
from api.problems import Document, Problem, Refusal
from safelight.aws.objects import Asset
from safelight.keys import read_asset_key
from safelight.presets import Policy
from safelight.record import Status

FOR_EVER_SECONDS = 31_536_000
CACHE_TAG = "x-amz-meta-cache-tag"
"""As S3 names the metadata that assets carry, so that a distribution reads one header of both."""


class Waiting(Document):
    """An image that is not there yet."""

    image_id: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """For how long who may keep an answer."""

    seconds: int
    private: bool = False
    immutable: bool = False

    @classmethod
    def of(
        cls,
        policy: Policy,
        grant: Grant,
        now: float,
        *,
        at_most: int | None = None,
        immutable: bool = False,
    ) -> "Freshness":
        """Let a variant be kept as its preset says, but not beyond the end of its URL.

        At the URL of its key it never changes, and may be kept for as long as HTTP can say.
        """
        seconds = FOR_EVER_SECONDS if immutable else policy.max_age
        if at_most is not None:
            seconds = min(seconds, at_most)
        if grant.expires_at is not None:
            seconds = min(seconds, max(0, grant.expires_at - int(now)))
        private = policy.access == "private"
        return cls(seconds=seconds, private=private, immutable=immutable)

    def __str__(self) -> str:
        """Write it as Cache-Control."""
        words = ["private" if self.private else "public", f"max-age={self.seconds}"]
        return ", ".join([*words, *(["immutable"] if self.immutable else [])])


@dataclass(slots=True)
class Timings:
    """What a request waited for, in seconds, as Server-Timing tells it."""

    stages: dict[str, float] = field(default_factory=dict)
    outcome: str = "stored"

    def __str__(self) -> str:
        """Write the header."""
        times = (f"{name};dur={1000 * seconds:.1f}" for name, seconds in self.stages.items())
        return ", ".join([f'cache;desc="{self.outcome}"', *times])


def etag_of(asset: Asset) -> ETag:
    """Make the strong validator of an asset's bytes."""
    return ETag(asset.sha256[:32])


def is_known(request: web.Request, asset: Asset) -> bool:
    """Tell whether the client says that it has these bytes."""
    asked = request.if_none_match or ()
    return any(known.value in (asset.sha256[:32], "*") for known in asked)


def not_modified(asset: Asset, headers: Mapping[str, str]) -> web.Response:
    """Answer that what the client has still stands."""
    answer = web.Response(status=304, headers=headers)
    answer.etag = etag_of(asset)
    return answer


Parts = Callable[[Asset, int, int], AsyncIterator[bytes]]
"""Reads an asset from one byte to before another."""


def picture(
    request: web.Request,
    asset: Asset,
    headers: Mapping[str, str],
    *,
    status: int = 200,
    parts: Parts | None = None,
) -> web.Response:
    """Answer with a picture, or the part of it that was asked for; of HEAD, with its head.

    What of the picture is not at hand is read by `parts` while it is sent.
    """
    whole = status != 200 or request.method != "GET"
    first, beyond = (0, asset.size_bytes) if whole else _range(request, asset)
    answer = web.Response(status=status, headers={**headers, hdrs.ACCEPT_RANGES: "bytes"})
    answer.content_type = asset.media_type
    answer.etag = etag_of(asset)
    if (first, beyond) != (0, asset.size_bytes):
        answer.set_status(206)
        answer.headers[hdrs.CONTENT_RANGE] = f"bytes {first}-{beyond - 1}/{asset.size_bytes}"
    answer.headers[hdrs.CONTENT_LENGTH] = str(beyond - first)
    if asset.body is None or request.method == "HEAD":
        return answer
    if parts and beyond > len(asset.body):
        answer.body = parts(asset, first, beyond)
    else:
        answer.body = asset.body[first:beyond]
    return answer


def tags_of(key: str) -> dict[str, str]:
    """Name what caches may be told to forget this answer by."""
    name = read_asset_key(key)
    return {CACHE_TAG: name.cache_tags} if name else {}


def _range(request: web.Request, asset: Asset) -> tuple[int, int]:
    """Read which bytes are asked for; all of them where the range is of another version or odd."""
    size = asset.size_bytes
    if_range = request.headers.get(hdrs.IF_RANGE)
    if if_range is not None and if_range != f'"{asset.sha256[:32]}"':
        return 0, size
    try:
        asked = request.http_range
    except ValueError:
        return 0, size
    first, beyond, _ = asked.indices(size)
    if first < beyond:
        return first, beyond
    if hdrs.RANGE not in request.headers:  # of a picture without bytes
        return 0, size
    raise Refusal(
        Problem.RANGE_NOT_SATISFIABLE,
        f"The picture has {size} bytes.",
        headers={hdrs.CONTENT_RANGE: f"bytes */{size}"},
    )
