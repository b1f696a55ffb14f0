"""Follows a picture through Safelight as its owner would: upload, wait, download the variants."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from ops.client import Client, ClientFailed, Refused, printable, why_failed
from ops.exit_codes import INCOMPLETE
from safelight.formats import WRITABLE

if TYPE_CHECKING:
    from ops.local.completions import Completions

UPLOADS_AT_ONCE = 8
_EXTENSIONS = {format.media_type: format.extension for format in WRITABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """One variant; `file` is its path relative to OUT, None if not saved."""

    file: str | None
    media_type: str
    width: int
    height: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one picture."""

    source: Path
    place: Path | None = None
    """The path of the source below PHOTOS; None for its name alone."""
    original_size: int
    status: str = "pending"
    """As in records; `failed` if the upload or the download of variants failed."""
    image_id: str | None = None
    reason: str | None = None
    detail: str | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    placeholder: str | None = None
    dominant_colour: str | None = None
    perceptual_hash: str | None = None
    variants: Mapping[str, Saved] = field(default_factory=dict)
    failed_variants: Mapping[str, str] = field(default_factory=dict)
    savings_percent: float | None = None
    seconds_to_completion: float | None = None
    renders_seconds: float | None = None

    @classmethod
    def of(cls, picture: Path, *, photos: Path) -> "Outcome":
        """Start with an unknown outcome."""
        place = picture.relative_to(photos)
        return cls(source=picture, place=place, original_size=picture.stat().st_size)

    @property
    def folder(self) -> Path:
        """The folder of its variants below OUT: the picture's path below PHOTOS."""
        return self.place or Path(self.source.name)

    @property
    def file(self) -> str:
        """The picture's path below PHOTOS, in valid UTF-8."""
        return printable(self.folder)

    @property
    def result(self) -> str:
        """The status, or `INCOMPLETE` for a completed picture that lacks a variant."""
        return INCOMPLETE if self.failed_variants else self.status

    @property
    def settled(self) -> bool:
        """Whether Safelight completed or rejected it."""
        return self.status in ("completed", "rejected")

    def refused(self, refused: Refused) -> "Outcome":
        """Record that the API refused it."""
        return replace(self, status="rejected", reason=refused.reason, detail=str(refused))

    def with_completion(self, record: Mapping[str, Any], *, seconds: float) -> "Outcome":
        """Add the facts of a completion, received `seconds` after the upload."""
        milliseconds = record.get("renderTimeMs")
        return replace(
            self,
            status=record["status"],
            reason=record.get("reason"),
            detail=record.get("detail"),
            media_type=record.get("mediaType"),
            width=record.get("width"),
            height=record.get("height"),
            sha256=record.get("sha256"),
            placeholder=record.get("placeholder"),
            dominant_colour=record.get("dominantColour"),
            perceptual_hash=record.get("perceptualHash"),
            variants={
                preset: Saved(
                    file=None,
                    media_type=variant["mediaType"],
                    width=variant["width"],
                    height=variant["height"],
                    size=variant["size"],
                    sha256=variant["sha256"],
                )
                for preset, variant in sorted(
                    record.get("variants", {}).items(), key=_largest_first
                )
            },
            failed_variants=record.get("failedVariants", {}),
            savings_percent=record.get("savingsPercent"),
            seconds_to_completion=round(seconds, 3),
            renders_seconds=None if milliseconds is None else milliseconds / 1000,
        )


def _largest_first(variant: tuple[str, Mapping[str, Any]]) -> tuple[int, str]:
    preset, facts = variant
    return -facts["width"] * facts["height"], preset


class Journey:
    """Uploads pictures and follows each to its completion."""

    def __init__(
        self, *, client: Client, completions: "Completions", photos: Path, out: Path | None
    ) -> None:
        """Follow pictures below `photos`. Save every variant below `out`, if given."""
        self._photos = photos
        self._client = client
        self._completions = completions
        self._out = out
        self.outcomes: dict[Path, Outcome] = {}
        """The outcome of each picture so far."""
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._awaited: dict[str, asyncio.Future[tuple[Mapping[str, Any], float]]] = {}

    async def receive(self) -> None:
        """Pass completions to the pictures that wait for them, until cancelled."""
        while True:
            for completion in await self._completions.receive():
                record = completion["data"]
                awaited = self._awaited.get(record["imageId"])
                if awaited is not None and not awaited.done():
                    awaited.set_result((record, time.perf_counter()))

    async def follow(self, picture: Path) -> Outcome:
        """Upload one picture, wait for its completion, save its variants."""
        outcome = Outcome.of(picture, photos=self._photos)
        try:
            async for step in self._steps(outcome):
                outcome = step
                self.outcomes[picture] = outcome
        except Refused as refused:
            outcome = outcome.refused(refused)
        except (ClientFailed, aiohttp.ClientError, OSError) as error:
            outcome = replace(outcome, status="failed", detail=why_failed(error))
        self.outcomes[picture] = outcome
        return outcome

    def give_up(self, why: str) -> None:
        """Add to every pending picture the reason for waiting no longer."""
        for picture, outcome in self.outcomes.items():
            if outcome.status == "pending":
                self.outcomes[picture] = replace(outcome, detail=why)

    async def _steps(self, outcome: Outcome) -> AsyncIterator[Outcome]:
        yield outcome
        async with self._uploads:
            ticket = await self._client.announce(outcome.source)
            yield (outcome := replace(outcome, image_id=ticket.image_id))
            completion = self._awaited[ticket.image_id] = asyncio.Future()
            await self._client.send(ticket, outcome.source)
        accepted = time.perf_counter()
        record, received = await completion
        yield (outcome := outcome.with_completion(record, seconds=max(0.0, received - accepted)))
        if self._out and outcome.variants:
            yield await self._save(outcome, self._out / outcome.folder)

    async def _save(self, outcome: Outcome, folder: Path) -> Outcome:
        """Download every variant to OUT/<picture's path below PHOTOS>/<preset>.<extension>."""
        record = await self._client.image(outcome.image_id or "")
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - one local call
        saved = {}
        for preset, variant in outcome.variants.items():
            to = folder / f"{preset}.{_EXTENSIONS[variant.media_type]}"
            url = record["variants"][preset]["url"]
            await self._client.download(url, to, sha256_hex=variant.sha256)
            saved[preset] = replace(variant, file=f"{outcome.file}/{to.name}")
        return replace(outcome, variants=saved)
