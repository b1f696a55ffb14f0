"""One result of one source: what it is, where it is kept, and how it is made if it is not there.

Whoever reads a URL or a demand makes a `Wanted` of it; from there on nobody asks what it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from safelight import keys
from safelight.errors import Reason, Rejection, Superseded
from safelight.files import open_result
from safelight.formats import BY_NAME
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan, plan_of, recipe_of
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering
from safelight.imaging.spool import Spool
from safelight.imaging.watermark import UnusableWatermark
from safelight.presets import Preset
from safelight.record import Record


class Fetched(Protocol):
    """What is known of a source once it is fetched."""

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        ...


class Sources(Protocol):
    """A bucket that sources are fetched from."""

    async def fetch(
        self, *, key: str, version_id: str | None, etag: str | None, to: Path, max_bytes: int
    ) -> Fetched:
        """Write one version of a source to a file."""
        ...


class Assets(Protocol):
    """Where results are kept."""

    async def put(self, *, key: str, path: Path, media_type: str, sha256: str) -> None:
        """Store a file as an asset."""
        ...


class Renderer(Protocol):
    """Who looks at pictures: in other processes, because a picture may kill."""

    async def probe(self, path: Path) -> Probe:
        """Read what the header says."""
        ...

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        """Make the plan's variants as files in a directory."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One version of a picture, and where it is."""

    bucket: Sources
    key: str
    version_id: str | None = None
    etag: str | None = None
    sha256: str | None = None
    """In hexadecimal: what must be fetched, if it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One result."""

    key: str
    """Where it is kept in the asset bucket; it stands for the source and everything done to it."""
    source: Source
    plan: Callable[..., Plan]
    """Works out, from a probe, how it is made: a plan with one recipe, in the format of the key.
    Where there are `pictures`, it takes their keys and files too."""
    pictures: Mapping[str, Source] = field(default_factory=dict)
    """The other pictures that it needs, by the keys that it knows them by."""

    @classmethod
    def of_preset(
        cls,
        preset: Preset,
        source: Source,
        *,
        image_id: str,
        revision: str,
        extension: str | None = None,
    ) -> Self:
        """Want a preset's variant: under the very key that a worker gives it.

        The extension is the format's; of `auto` it must be said.
        """
        return cls(
            key=keys.asset_key(
                image_id=image_id,
                revision=revision,
                preset=preset.name,
                fingerprint=preset.fingerprint,
                extension=extension or BY_NAME[preset.format].extension,
            ),
            source=source,
            plan=partial(_alone, preset),
        )


def _alone(preset: Preset, probe: Probe) -> Plan:
    """Plan a preset's variant and nothing else: an upload was looked at when it came."""
    return plan_of(probe, probe, recipe_of(probe, preset), None)


def source_of(record: Record, bucket: Sources) -> Source:
    """Name the source whose revision a record stands for."""
    return Source(
        bucket=bucket,
        key=record.original_key,
        version_id=record.version_id,
        sha256=record.sha256,
    )


class Maker:
    """Makes one result, as a worker makes all of an upload: with the same children and limits."""

    def __init__(
        self,
        *,
        assets: Assets,
        renderer: Renderer,
        admission: Admission,
        spool: Spool,
        max_source_bytes: int,
        max_result_bytes: int | None = None,
    ) -> None:
        self._assets = assets
        self._renderer = renderer
        self._admission = admission
        self._spool = spool
        self._max_source_bytes = max_source_bytes
        self._max_result_bytes = max_result_bytes

    async def make(self, wanted: Wanted) -> tuple[RenderedVariant, bytes]:
        """Fetch, probe, plan, admit, render, put; return what was made, and its bytes.

        Raises a `Rejection` if the source is at fault, `Superseded` if another one stands there.
        """
        with self._spool.directory() as directory:
            path = directory / "source"
            await self._fetch(wanted.source, path)
            pictures = await self._fetch_pictures(wanted, directory)
            probe = await self._renderer.probe(path)
            plan = wanted.plan(probe, pictures=pictures) if pictures else wanted.plan(probe)
            async with self._admission.admit(plan.predicted_bytes):
                rendering = await self._renderer.render(plan, path, directory)
            (made,) = rendering.variants
            if self._max_result_bytes is not None and made.size_bytes > self._max_result_bytes:
                detail = f"the result has {made.size_bytes} bytes"
                raise Rejection(Reason.TOO_MANY_BYTES, detail)
            await self._assets.put(
                key=wanted.key, path=made.path, media_type=made.media_type, sha256=made.sha256
            )
            with open_result(made.path) as file:
                return made, file.read(made.size_bytes)

    async def _fetch_pictures(self, wanted: Wanted, directory: Path) -> dict[str, Path]:
        """Fetch the other pictures; one that is not there is not the source's fault."""
        files: dict[str, Path] = {}
        for number, (key, source) in enumerate(wanted.pictures.items()):
            files[key] = directory / f"picture-{number}"
            try:
                await self._fetch(source, files[key])
            except Rejection as rejection:
                raise UnusableWatermark(key, rejection.detail) from rejection
        return files

    async def _fetch(self, source: Source, to: Path) -> None:
        fetched = await source.bucket.fetch(
            key=source.key,
            version_id=source.version_id,
            etag=source.etag,
            to=to,
            max_bytes=self._max_source_bytes,
        )
        if source.sha256 is not None and fetched.sha256 != source.sha256:
            raise Superseded(f"{source.key} was replaced")
