"""Writes pictures as HTTP responses: cache lifetime, 304, HEAD and ranges (RFC 9110 and 9111)."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import ETag, hdrs, web

from api.delivery.found import How
from api.delivery.query import Query
from api.delivery.signing import Grant
from api.dispositions import disposition
from api.problems import Document, Problem, Refusal
from safelight.aws.objects import Asset
from safelight.formats import WRITABLE_WORDS
from safelight.keys import read_asset_key
from safelight.presets import Policy
from safelight.record import Status

FOR_EVER_SECONDS = 31_536_000
"""Seconds for which a response that never changes may be cached: a year."""
STAND_IN_SECONDS = 30
"""The most seconds for which a stand-in may be cached."""
CACHE_TAG = "x-amz-meta-cache-tag"
"""The header with cache tags. S3 gives the metadata of assets the same name."""


class Waiting(Document):
    """An image that is not processed yet."""

    image_id: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """For how long, and by which caches, a response may be kept."""

    seconds: int
    private: bool = False
    immutable: bool = False

    @classmethod
    def of(
        cls, policy: Policy, grant: Grant, how: How, *, immutable: bool, now: float
    ) -> "Freshness":
        """Return the freshness of a picture: its preset's, but at most until its URL expires.

        With `immutable`, the URL is an asset key, and the picture never changes.
        """
        seconds = FOR_EVER_SECONDS if immutable else policy.max_age
        if how is How.STAND_IN:
            seconds = min(seconds, STAND_IN_SECONDS)
        if grant.expires_at is not None:
            seconds = min(seconds, max(0, grant.expires_at - int(now)))
        return cls(seconds=seconds, private=policy.access == "private", immutable=immutable)

    def __str__(self) -> str:
        """Write it as Cache-Control."""
        words = ["private" if self.private else "public", f"max-age={self.seconds}"]
        return ", ".join([*words, *(["immutable"] if self.immutable else [])])


class Timings:
    """A stopwatch for the stages of one request, for Server-Timing and the log."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        """Stage -> seconds."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0) + time.perf_counter() - started

    def header(self, outcome: str) -> str:
        """Write Server-Timing."""
        times = (f"{name};dur={1000 * seconds:.1f}" for name, seconds in self.stages.items())
        return ", ".join([f'cache;desc="{outcome}"', *times])


def etag_of(asset: Asset) -> ETag:
    """Return the strong validator of an asset's bytes."""
    return ETag(asset.sha256[:32])


def is_known(request: web.Request, asset: Asset) -> bool:
    """Return whether the client says in If-None-Match that it has these bytes."""
    asked = request.if_none_match or ()
    return any(known.value in (asset.sha256[:32], "*") for known in asked)


def not_modified(asset: Asset, headers: Mapping[str, str]) -> web.Response:
    """Return a 304: the client's copy is current."""
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
    """Return a response with a picture, or with the range of it that the client asks for.

    A HEAD request gets the same headers and no body. `parts` reads the bytes that `asset` lacks,
    while the response is sent.
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
    """Return the header with the tags by which a cache can drop the response."""
    name = read_asset_key(key)
    return {CACHE_TAG: name.cache_tags} if name else {}


def disposition_of(key: str, query: Query) -> str:
    """Return Content-Disposition. The uploader's own file name could identify the uploader."""
    name = read_asset_key(key)
    file = f"{name.image_id}-{name.preset}.{name.extension}" if name else "picture"
    if query.file_name is not None:
        file = _with_extension(query.file_name, name.extension if name else "")
    return disposition("attachment" if query.download else "inline", file)


def _with_extension(file: str, extension: str) -> str:
    """Add the extension of the format that is sent, unless the name has it."""
    sent = WRITABLE_WORDS.get(extension)
    same = tuple(f".{word}" for word, format in WRITABLE_WORDS.items() if format == sent)
    return file if not extension or file.lower().endswith(same) else f"{file}.{extension}"


def _range(request: web.Request, asset: Asset) -> tuple[int, int]:
    """Read the range asked for: the whole picture if it is malformed or of another version."""
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
    if hdrs.RANGE not in request.headers:  # the picture is empty
        return 0, size
    raise Refusal(
        Problem.RANGE_NOT_SATISFIABLE,
        f"The picture has {size} bytes.",
        headers={hdrs.CONTENT_RANGE: f"bytes */{size}"},
    )
