"""The contract of the service that finds faces: on the fake, and on a stub of Rekognition.

Neither emulator of AWS has `DetectFaces`.
"""

from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from ops.local.account import Principal
from safelight.aws.session import connect
from safelight.aws.settings import AwsSettings
from safelight.errors import Misconfigured, Refused, Unavailable
from safelight.faces import MOST_FACES, Face
from safelight.looking import RemoteDetector
from tests.support.fakes import FakeFaces
from tests.support.rekognition import rekognition_stub

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHO = Principal(access_key_id="anybody", secret_access_key="anything")


def jpeg(width: int = 1280, height: int = 900) -> bytes:
    file = BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(file, "JPEG", quality=75)
    assert len(file.getvalue()) < RemoteDetector.most_bytes
    return file.getvalue()


class FakeService:
    """The fake, whose boxes are told as Rekognition's are."""

    def __init__(self) -> None:
        self.edge: Any = FakeFaces()

    def finds(self, *boxes: tuple[float, float, float, float]) -> None:
        self.edge.faces = tuple(
            Face(left=left, top=top, width=width, height=height)
            for left, top, width, height in boxes
        )


class StubService:
    """Rekognition's client, at a stub."""

    def __init__(self, stub: Any, edge: Any) -> None:
        self.stub, self.edge = stub, edge

    def finds(self, *boxes: tuple[float, float, float, float]) -> None:
        names = ("Left", "Top", "Width", "Height")
        self.stub.boxes = [dict(zip(names, box, strict=True)) for box in boxes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened():
    """Open Rekognition's client at a stub, once: its description takes a second to load."""
    settings = AwsSettings(uploads_bucket="uploads", assets_bucket="assets", table="images")
    async with rekognition_stub() as stub:
        with pytest.MonkeyPatch.context() as environment:
            environment.delenv("AWS_PROFILE", raising=False)
            environment.setenv("AWS_ENDPOINT_URL_REKOGNITION", stub.url)
            for name, value in WHO.environment("http://127.0.0.1:9").items():
                environment.setenv(name, value)
            async with connect(settings) as aws:
                yield StubService(stub, await aws.rekognition())


@pytest.fixture
def at_a_stub(opened):
    opened.stub.forget()
    return opened


@pytest.fixture(params=["fake", "stub"])
def service(request):
    return FakeService() if request.param == "fake" else request.getfixturevalue("at_a_stub")


async def test_a_picture_without_a_face_has_none(service):
    assert await service.edge.detect(jpeg()) == ()


async def test_faces_are_boxes_in_shares_the_largest_first(service):
    service.finds((0.1, 0.2, 0.05, 0.1), (0.5, 0.25, 0.2, 0.4))
    assert await service.edge.detect(jpeg()) == (
        Face(left=0.5, top=0.25, width=0.2, height=0.4),
        Face(left=0.1, top=0.2, width=0.05, height=0.1),
    )


async def test_boxes_that_reach_beyond_the_picture_are_clipped(service):
    service.finds((-0.1, -0.05, 0.3, 0.25), (0.9, 1.2, 0.3, 0.3))
    assert await service.edge.detect(jpeg()) == (Face(left=0, top=0, width=0.2, height=0.2),)


async def test_of_a_crowd_the_largest_faces_are_kept(service):
    service.finds(*((0, 0, 0.01, 0.001 * number) for number in range(1, 101)))
    faces = await service.edge.detect(jpeg())
    assert (len(faces), faces[0].height) == (MOST_FACES, 0.1)


async def test_rekognition_gets_a_jpeg_that_it_accepts(at_a_stub):
    await at_a_stub.edge.detect(jpeg(1280, 80))
    assert at_a_stub.stub.pictures == [("JPEG", (1280, 80))]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "AccessDeniedException", Misconfigured),
        (400, "UnrecognizedClientException", Misconfigured),
        (400, "InvalidImageFormatException", Refused),
    ],
)
async def test_an_error_of_rekognition_is_sorted_by_who_can_fix_it(at_a_stub, status, code, kind):
    at_a_stub.stub.errors = [(status, code)]
    with pytest.raises(kind, match="DetectFaces"):
        await at_a_stub.edge.detect(jpeg())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ThrottlingException"),
        (400, "ProvisionedThroughputExceededException"),
        (500, "InternalServerError"),
    ],
)
async def test_a_failure_that_passes_is_tried_again_and_then_unavailable(at_a_stub, status, code):
    at_a_stub.stub.errors = [(status, code)]
    assert await at_a_stub.edge.detect(jpeg()) == ()
    at_a_stub.stub.errors = [(status, code)] * 3
    with pytest.raises(Unavailable):
        await at_a_stub.edge.detect(jpeg())
