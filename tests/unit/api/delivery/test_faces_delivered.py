"""Pictures by URL that frame faces: those of the record, or those that a detector finds now."""

import io
from typing import Any

import pytest
from PIL import Image

from api.delivery.aliases import Alias
from api.dialects.own import Own
from api.dialects.table import Dialects
from safelight.errors import Unavailable
from safelight.faces import Face
from safelight.presets import Preset
from tests.support import pictures
from tests.support.fakes import FakeFaces
from tests.unit.api.delivery.gallery import IMAGE_ID, Gallery
from tests.unit.api.delivery.test_freeform_urls import url

LEFT = Face(left=0.05, top=0.3, width=0.1, height=0.2)
RIGHT = Face(left=0.85, top=0.3, width=0.1, height=0.2)
RED, BLUE = (200, 0, 0), (0, 0, 200)
AVATAR = Preset(
    name="avatar", format="png", box=(40, 40), fit="cover", gravity="faces", access="public"
)
OWN = Own(keys=("web:a-secret-of-the-web",))
ALIAS = Alias(name="people", bucket="acme-people", presets=("avatar",))


def halves() -> bytes:
    """Return a picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", (400, 200), RED)
    picture.paste(BLUE, (200, 0, 400, 200))
    return pictures.encoded(picture, "PNG")


async def opened(open_: Any, faces: FakeFaces) -> Gallery:
    gallery: Gallery = await open_(
        AVATAR,
        aliases=(ALIAS,),
        dialects=Dialects(known=(OWN,), faces=True),
        faces=faces,
    )
    return gallery


def colour_of(body: bytes) -> object:
    return Image.open(io.BytesIO(body)).convert("RGB").getpixel((20, 20))


PRESETS_URL = f"/avatar/{IMAGE_ID}"
OPTIONS_URL = url(OWN, f"box=40x40,fit=cover,gravity=faces/{IMAGE_ID}.png")


@pytest.mark.parametrize("path", [PRESETS_URL, OPTIONS_URL])
@pytest.mark.parametrize(("face", "colour"), [(LEFT, RED), (RIGHT, BLUE)])
async def test_the_faces_of_the_record_are_framed_without_a_detector(
    open_: Any, path: str, face: Face, colour: object
) -> None:
    service = FakeFaces()
    gallery = await opened(open_, service)
    gallery.hang(halves(), faces=(face,), media_type="image/png")
    answer, body = await gallery.ask(path)
    assert (answer.status, colour_of(body)) == (200, colour)
    assert service.calls["detect"] == 0


@pytest.mark.parametrize("path", [PRESETS_URL, OPTIONS_URL])
@pytest.mark.parametrize(("face", "colour"), [(LEFT, RED), (RIGHT, BLUE)])
async def test_a_picture_from_before_detection_is_looked_at_on_demand(
    open_: Any, path: str, face: Face, colour: object
) -> None:
    service = FakeFaces(face)
    gallery = await opened(open_, service)
    gallery.hang(halves(), media_type="image/png")
    answer, body = await gallery.ask(path)
    assert (answer.status, colour_of(body)) == (200, colour)
    await gallery.ask(path)
    assert service.calls["detect"] == 1


async def test_an_object_of_an_alias_is_looked_at(open_: Any) -> None:
    gallery = await opened(open_, FakeFaces(RIGHT))
    gallery.elsewhere.upload("anna.png", halves())
    answer, body = await gallery.ask("/people/anna.png")
    assert (answer.status, colour_of(body)) == (200, BLUE)


async def test_while_the_detector_is_down_the_client_is_told_to_retry_and_nothing_is_stored(
    open_: Any,
) -> None:
    service = FakeFaces(RIGHT)
    service.fail_next["detect"] = [Unavailable("rekognition", "slow down")]
    gallery = await opened(open_, service)
    gallery.hang(halves(), media_type="image/png")
    answer, _ = await gallery.ask(PRESETS_URL)
    assert answer.status == 503
    assert gallery.objects.assets == {}
    answer, body = await gallery.ask(PRESETS_URL)
    assert (answer.status, colour_of(body)) == (200, BLUE)
