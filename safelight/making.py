"""Renders sources and stores the results: fetch, probe, plan, admit, render, put.

Workers, delivery and `safelight render` all use this one pipeline. It knows no storage: anything
with the methods of `Sources` and `Assets` will do, be it S3 or a folder.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self

from safelight import keys
from safelight.errors import Reason, Refused, Rejection, Superseded, UnusableWatermark
from safelight.face_settings import NO_FACES
from safelight.faces import Faces
from safelight.files import open_result
from safelight.formats import BY_NAME
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan, plan_of, recipe_of
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering
from safelight.imaging.spool import Spool
from safelight.looking import FaceFinder
from safelight.record import Record
from safelight.wish.wish import Wish


class Fetched(Protocol):
    """Facts about a source that was fetched."""

    @property
    def size_bytes(self) -> int:
        """Return its size."""
        ...

    @property
    def sha256(self) -> str:
        """Return its digest in hexadecimal."""
        ...


class Sources(Protocol):
    """A store that sources are fetched from."""

    async def fetch(
        self, *, key: str, version_id: str | None, etag: str | None, to: Path, max_bytes: int,
        upload_tokens: Collection[str | None] | None,
    ) -> Fetched:  # fmt: skip
        """Write one version of a source to a file.

        Raises `StaleUpload` if there are `upload_tokens`, and the source has none of them.
        """
        ...


class Assets(Protocol):
    """A store for results."""

    async def put(self, *, key: str, path: Path, media_type: str, sha256: str) -> None:
        """Store a file under a key."""
        ...


class Renderer(Protocol):
    """Reads and renders pictures, in other processes because a picture may crash its decoder."""

    async def probe(self, path: Path) -> Probe:
        """Read a picture's type and size from its header."""
        ...

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        """Write the variants of a plan to files in a directory."""
        ...


class StageObserver(Protocol):
    """Measures the stages of the pipeline."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time the block as one stage."""
        ...

    def rendered(self, rendering: Rendering) -> None:
        """Record measurements of a finished render."""
        ...


class _Unobserved:
    """Measures nothing."""

    def stage(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    def rendered(self, _: Rendering) -> None:
        pass


UNOBSERVED = _Unobserved()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One version of a picture, and the store that has it."""

    bucket: Sources
    key: str
    version_id: str | None = None
    etag: str | None = None
    sha256: str | None = None
    """The expected digest in hexadecimal, if it is known."""
    upload_tokens: Collection[str | None] | None = None
    """The tokens of which an upload must have one. None if every version counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """One result to make."""

    key: str
    """The result's key in the asset bucket. It identifies the source and all that is done to it."""
    source: Source
    plan: Callable[..., Plan]
    """Returns, for a probe, a plan with one recipe in the format of the key. If there are
    `pictures`, it also takes the argument `pictures`: their keys and files."""
    pictures: Mapping[str, Source] = field(default_factory=dict)
    """Other pictures that the plan needs, by key: watermarks."""
    needs_faces: bool = False
    """Whether the plan frames faces."""
    faces: Faces | None = None
    """The faces of the source, if its record has them."""
    stored: bool = True
    """Whether the result is stored, or only returned."""

    @classmethod
    def of_preset(
        cls,
        name: str,
        wish: Wish,
        source: Source,
        *,
        image_id: str,
        revision: str,
        extension: str | None = None,
        faces: Faces | None = None,
    ) -> Self:
        """Request a preset's variant under the key that a worker gives it for an upload.

        The extension is the format's by default. For the format `auto` it is required.
        """
        return cls(
            key=keys.asset_key(
                image_id=image_id,
                revision=revision,
                preset=name,
                fingerprint=wish.fingerprint,
                extension=extension or BY_NAME[wish.format].extension,
            ),
            source=source,
            plan=partial(_alone, name, wish),
            needs_faces=wish.needs_faces,
            faces=faces,
        )


def _alone(name: str, wish: Wish, probe: Probe) -> Plan:
    """Plan one preset, without the appearance: the record has it since the upload."""
    return plan_of(probe, probe, recipe_of(probe, wish, name=name), None)


def source_of(record: Record, bucket: Sources) -> Source:
    """Return the source of the revision in a record."""
    return Source(
        bucket=bucket,
        key=record.original_key,
        version_id=record.version_id,
        sha256=record.sha256,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one run of the pipeline produced."""

    fetched: Fetched
    probe: Probe
    rendering: Rendering


class Pipeline:
    """Makes the results of one source, from the fetch to the stored results."""

    def __init__(
        self,
        *,
        assets: Assets,
        renderer: Renderer,
        admission: Admission,
        max_source_bytes: int,
        max_result_bytes: int | None = None,
        face_finder: FaceFinder | None = None,
    ) -> None:
        self._assets = assets
        self._renderer = renderer
        self._admission = admission
        self._max_source_bytes = max_source_bytes
        self._max_result_bytes = max_result_bytes
        self._face_finder = face_finder

    @property
    def finds_faces(self) -> bool:
        """Whether it can find the faces of a source."""
        return self._face_finder is not None

    async def run(
        self,
        source: Source,
        plan: Callable[..., Plan],
        *,
        key_of: Callable[[RenderedVariant], str] | None,
        directory: Path,
        pictures: Mapping[str, Source] = MappingProxyType({}),
        needs_faces: bool = False,
        faces: Faces | None = None,
        observer: StageObserver = UNOBSERVED,
    ) -> Made:
        """Fetch, probe, plan, admit, render, put. Files are written to the directory.

        If the plan needs faces and they are unknown, they are found before it. Without `key_of`,
        nothing is put. Raises `Rejection` if the source is at fault, `Superseded` if it was
        replaced.
        """
        path = directory / "source"
        with observer.stage("fetch"):
            fetched = await self._fetch(source, path)
            files = await self._fetch_pictures(pictures, directory)
        with observer.stage("probe"):
            probe = await self._renderer.probe(path)
        if needs_faces and faces is None:
            with observer.stage("faces"):
                faces = await self._find_faces(path, probe, directory)
        probe = replace(probe, faces=faces)
        planned = plan(probe, pictures=files) if files else plan(probe)
        async with self._admission.admit(planned.predicted_bytes):
            with observer.stage("render"):
                rendering = await self._renderer.render(planned, path, directory)
        observer.rendered(rendering)
        self._refuse_large(rendering)
        if key_of is not None:
            with observer.stage("put"):
                await self._put(rendering.variants, key_of)
        return Made(fetched=fetched, probe=probe, rendering=rendering)

    async def _find_faces(self, path: Path, probe: Probe, directory: Path) -> Faces:
        if self._face_finder is None:
            # Not `Misconfigured`: that would hold all other messages of a worker too.
            raise Refused("face detection", NO_FACES)
        return await self._face_finder.find(path, probe, directory)

    async def _fetch(self, source: Source, to: Path) -> Fetched:
        fetched = await source.bucket.fetch(
            key=source.key,
            version_id=source.version_id,
            etag=source.etag,
            to=to,
            max_bytes=self._max_source_bytes,
            upload_tokens=source.upload_tokens,
        )
        if source.sha256 is not None and fetched.sha256 != source.sha256:
            raise Superseded(f"{source.key} was replaced")
        return fetched

    async def _fetch_pictures(
        self, pictures: Mapping[str, Source], directory: Path
    ) -> dict[str, Path]:
        """Fetch the other pictures. The source is not at fault if one of them is missing."""
        files: dict[str, Path] = {}
        for number, (key, source) in enumerate(pictures.items()):
            files[key] = directory / f"picture-{number}"
            try:
                await self._fetch(source, files[key])
            except Rejection as rejection:
                raise UnusableWatermark(key, rejection.detail) from rejection
        return files

    def _refuse_large(self, rendering: Rendering) -> None:
        for variant in rendering.variants:
            if self._max_result_bytes is not None and variant.size_bytes > self._max_result_bytes:
                detail = f"the result has {variant.size_bytes} bytes"
                raise Rejection(Reason.TOO_MANY_BYTES, detail)

    async def _put(
        self, variants: Iterable[RenderedVariant], key_of: Callable[[RenderedVariant], str]
    ) -> None:
        """Put all variants at once; wait for every one, also when another fails."""
        puts = (
            self._assets.put(
                key=key_of(variant),
                path=variant.path,
                media_type=variant.media_type,
                sha256=variant.sha256,
            )
            for variant in variants
        )
        for outcome in await asyncio.gather(*puts, return_exceptions=True):
            if outcome is not None:
                raise outcome


class Maker:
    """Makes one result and returns it, for delivery and for demands."""

    def __init__(self, *, pipeline: Pipeline, spool: Spool) -> None:
        self._pipeline = pipeline
        self._spool = spool

    async def make(self, request: RenderRequest) -> tuple[RenderedVariant, bytes]:
        """Run the pipeline for one result; return the variant and its bytes.

        Raises `Rejection` if the source is at fault, `Superseded` if it was replaced,
        `UnusableWatermark` if another picture that the plan needs cannot be used.
        """
        with self._spool.directory() as directory:
            made = await self._pipeline.run(
                request.source,
                request.plan,
                key_of=(lambda _: request.key) if request.stored else None,
                directory=directory,
                pictures=request.pictures,
                needs_faces=request.needs_faces,
                faces=request.faces,
            )
            (variant,) = made.rendering.variants
            with open_result(variant.path) as file:
                return variant, file.read(variant.size_bytes)
