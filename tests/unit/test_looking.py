"""Looking for faces: on which copy, by whom, and how it is measured."""

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from safelight.errors import Unavailable
from safelight.face_settings import LIBRARY, FaceSettings
from safelight.faces import Face
from safelight.imaging.admission import Admission
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering
from safelight.imaging.settings import RenderSettings
from safelight.looking import FaceFinder, LocalDetector, RemoteDetector, finder_of
from safelight.metrics import FaceMetrics
from safelight.presets import InvalidPresets
from safelight.settings import InvalidSettings

FACES = (Face(left=0.1, top=0.2, width=0.3, height=0.4),)
SOURCE = Probe(format="jpeg", width=8000, height=4000, size_bytes=1)


class Pool:
    """Renders copies of the planned size, and finds a face in each."""

    async def render(self, plan: Plan, source: Path, directory: Path) -> Rendering:
        (recipe,) = plan.recipes
        path = directory / f"{recipe.preset}.jpg"
        path.write_bytes(b"a copy")
        variant = RenderedVariant(
            preset=recipe.preset,
            fingerprint=recipe.fingerprint,
            path=path,
            media_type="image/jpeg",
            extension="jpg",
            width=recipe.size[0],
            height=recipe.size[1],
            size_bytes=6,
            sha256="",
            seconds=0.0,
        )
        self.size, self.most_bytes = recipe.size, recipe.max_bytes
        return Rendering(variants=(variant,), failures={}, appearance=None, seconds=0.0)

    async def find_faces(self, copy: Path) -> tuple[Face, ...]:
        assert copy.read_bytes() == b"a copy"
        return FACES


class Service:
    """Answers with faces, or an error."""

    def __init__(self, outcome: tuple[Face, ...] | Exception = FACES) -> None:
        self.outcome = outcome
        self.seen: list[bytes] = []

    async def detect(self, jpeg: bytes) -> tuple[Face, ...]:
        self.seen.append(jpeg)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def remote(pool: Pool, service: Service, metrics: FaceMetrics | None = None) -> FaceFinder:
    detector = RemoteDetector(service)
    return FaceFinder(renderer=pool, admission=Admission(10**9), detector=detector, metrics=metrics)


async def test_a_child_looks_at_a_small_copy(tmp_path):
    pool = Pool()
    finder = FaceFinder(renderer=pool, admission=Admission(10**9), detector=LocalDetector(pool))
    assert await finder.find(tmp_path / "source", SOURCE, tmp_path) == FACES
    assert pool.size == (640, 320)


async def test_a_service_gets_the_bytes_of_a_copy_and_never_the_source(tmp_path):
    pool, service = Pool(), Service()
    assert await remote(pool, service).find(tmp_path / "source", SOURCE, tmp_path) == FACES
    assert (pool.size, service.seen) == ((1280, 640), [b"a copy"])
    assert pool.most_bytes == 700_000


async def test_a_picture_too_narrow_for_the_service_is_not_sent(tmp_path):
    service = Service()
    narrow = Probe(format="jpeg", width=79, height=4000, size_bytes=1)
    assert await remote(Pool(), service).find(tmp_path / "source", narrow, tmp_path) == ()
    assert service.seen == []


@pytest.mark.parametrize(
    ("outcome", "label"),
    [(FACES, "found"), ((), "none"), (Unavailable("rekognition", "slow down"), "failed")],
)
async def test_pictures_are_counted_by_what_was_found(tmp_path, outcome, label):
    registry = CollectorRegistry()
    finder = remote(Pool(), Service(outcome), FaceMetrics(registry))
    expected = pytest.raises(Unavailable) if label == "failed" else nullcontext()
    with expected:
        assert await finder.find(tmp_path / "source", SOURCE, tmp_path) == outcome
    name = "safelight_face_detection_seconds_count"
    assert registry.get_sample_value(name, {"outcome": label}) == 1


def test_no_one_looks_unless_the_setting_says_so():
    keywords = {"pool": Pool(), "admission": Admission(10**9)}
    assert finder_of("off", **keywords) is None
    assert isinstance(finder_of("local", **keywords), FaceFinder)
    assert isinstance(finder_of("rekognition", service=Service(), **keywords), FaceFinder)
    with pytest.raises(ValueError, match="service"):
        finder_of("rekognition", **keywords)


def test_faces_are_off_by_default():
    assert FaceSettings().faces == "off"


def test_a_local_detector_that_is_not_installed_is_a_fault(monkeypatch):
    monkeypatch.setenv("SAFELIGHT_FACES", "local")
    monkeypatch.setitem(sys.modules, LIBRARY, None)
    with pytest.raises(InvalidSettings, match="SAFELIGHT_FACES: needs the extra `faces`"):
        FaceSettings.load()


@pytest.mark.parametrize("mode", ["off", "rekognition"])
def test_a_preset_that_frames_faces_is_a_fault_if_no_one_looks_for_them(
    mode, tmp_path, monkeypatch
):
    table = 'format = "webp"\nbox = [9, 9]\nfit = "cover"\ngravity = "faces"'
    path = tmp_path / "presets.toml"
    path.write_text(f"[avatar]\n{table}\n")
    monkeypatch.setenv("SAFELIGHT_PRESETS", str(path))
    monkeypatch.setenv("SAFELIGHT_FACES", mode)
    settings = RenderSettings.load()
    if mode == "off":
        with pytest.raises(InvalidPresets, match=r"\[avatar\] gravity: .*SAFELIGHT_FACES"):
            settings.load_presets()
    else:
        assert [preset.name for preset in settings.load_presets()] == ["avatar"]
