"""The pipeline: its steps, their order, and whose fault a failure is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from safelight.errors import (
    Reason,
    Refused,
    Rejection,
    Superseded,
    Unavailable,
    UnusableWatermark,
)
from safelight.faces import Face
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan, plan
from safelight.imaging.probe import Probe
from safelight.imaging.render import Rendering
from safelight.looking import FaceFinder
from safelight.making import Made, Pipeline, Source
from safelight.presets import load_presets
from tests.support.fakes import FakeObjects
from tests.unit.worker.house import FakeRenderer

PRESETS = load_presets(Path(__file__).parents[2] / "presets.toml")


class Stages:
    """Remembers the stages in their order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.seen.append(name)
        yield

    def rendered(self, rendering: Rendering) -> None:
        self.seen.append(f"{len(rendering.variants)} rendered")


class Bench:
    """One source, and a pipeline among fakes."""

    def __init__(
        self,
        directory: Path,
        *,
        max_result_bytes: int | None = None,
        face_finder: FaceFinder | None = None,
    ) -> None:
        self.objects = FakeObjects()
        self.stages = Stages()
        self.directory = directory
        version = self.objects.upload("a source", b"picture")
        self.source = Source(bucket=self.objects, key="a source", version_id=version.version_id)
        self.pipeline = Pipeline(
            assets=self.objects,
            renderer=FakeRenderer(),
            admission=Admission(10**9),
            max_source_bytes=1000,
            max_result_bytes=max_result_bytes,
            face_finder=face_finder,
        )

    async def run(self, **changes: object) -> Made:
        return await self.pipeline.run(
            replace(self.source, **changes.pop("source", {})),
            self.planned,
            key_of=lambda variant: variant.preset,
            directory=self.directory,
            observer=self.stages,
            **changes,
        )

    def planned(self, probe: Probe, pictures: object = None) -> Plan:
        self.pictures, self.faces = pictures, probe.faces
        return plan(probe, PRESETS)


async def test_every_variant_is_stored_under_its_key_after_the_steps_in_their_order(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    made = await bench.run()
    assert bench.stages.seen == ["fetch", "probe", "render", f"{len(PRESETS)} rendered", "put"]
    assert set(bench.objects.assets) == {preset.name for preset in PRESETS}
    assert (made.fetched.size_bytes, made.probe.width) == (7, 800)


async def test_a_result_that_is_too_large_is_not_stored(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_result_bytes=5)
    with pytest.raises(Rejection) as rejected:
        await bench.run()
    assert rejected.value.reason is Reason.TOO_MANY_BYTES
    assert bench.objects.assets == {}


async def test_a_source_with_another_digest_was_replaced(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(Superseded):
        await bench.run(source={"sha256": "0" * 64})
    assert bench.stages.seen == ["fetch"]


FACES = (Face(left=0.1, top=0.2, width=0.3, height=0.4),)


class Finder:
    """Finds the same faces in every picture."""

    def __init__(self) -> None:
        self.pictures = 0

    async def find(self, source: Path, probe: Probe, directory: Path) -> tuple[Face, ...]:
        assert (source.read_bytes(), source.parent) == (b"picture", directory)
        self.pictures += 1
        return FACES


@pytest.mark.parametrize(
    ("asked", "pictures", "known"),
    [
        ({}, 0, None),
        ({"needs_faces": True}, 1, FACES),
        ({"needs_faces": True, "faces": ()}, 0, ()),
        ({"faces": FACES}, 0, FACES),
    ],
)
async def test_faces_are_found_only_if_they_are_needed_and_unknown(
    tmp_path: Path, asked: dict, pictures: int, known: object
) -> None:
    finder = Finder()
    bench = Bench(tmp_path, face_finder=finder)
    made = await bench.run(**asked)
    assert (finder.pictures, bench.faces, made.probe.faces) == (pictures, known, known)
    assert ("faces" in bench.stages.seen) is bool(pictures)


async def test_a_picture_is_not_made_without_the_faces_that_it_needs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(Refused, match="SAFELIGHT_FACES"):
        await bench.run(needs_faces=True)
    assert bench.objects.assets == {}
    assert (await bench.run(needs_faces=True, faces=FACES)).probe.faces == FACES


async def test_a_missing_watermark_is_not_the_sources_fault(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(UnusableWatermark, match="logos/x"):
        await bench.run(pictures={"logos/x": Source(bucket=bench.objects, key="no such key")})


async def test_other_pictures_are_given_to_the_plan_as_files(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.objects.upload("a mark", b"mark")
    await bench.run(pictures={"logos/x": Source(bucket=bench.objects, key="a mark")})
    assert {key: path.read_bytes() for key, path in bench.pictures.items()} == {"logos/x": b"mark"}


async def test_one_failing_put_is_raised_after_all_others_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.objects.fail_next["put"] = [Unavailable("s3", "slow down")]
    with pytest.raises(Unavailable):
        await bench.run()
    assert len(bench.objects.assets) == len(PRESETS) - 1
