"""Real programs frame the face of an upload: found in the render children, or by Rekognition."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from PIL import Image, ImageChops, ImageStat

from ops.local.emulator import ROOT
from ops.local.system import LocalSystem
from tests.support.person import Person
from tests.support.rekognition import rekognition_stub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PRESETS = """
[avatar]
box = [90, 90]
fit = "cover"
gravity = "faces"
format = "png"
access = "public"
"""
FACE = {"Left": 0.785, "Top": 0.1238, "Width": 0.06, "Height": 0.2125}
"""The face in `wide`, as Rekognition would tell it."""


def wide() -> tuple[bytes, Image.Image]:
    """Return a portrait at the right of an empty wall, and the part of 90 pixels with the face."""
    picture = Image.new("RGB", (2400, 800), "grey")
    picture.paste(Image.open(ROOT / "samples" / "astronaut-800px.jpg"), (1600, 0))
    file = BytesIO()
    picture.save(file, "JPEG", quality=95)
    return file.getvalue(), picture.resize((270, 90))


def shows_the_face(body: bytes, whole: Image.Image) -> bool:
    """Return whether a crop is the one of `wide` that has both sides of the face."""
    crop = Image.open(BytesIO(body)).convert("RGB")
    places = range(200 - 90 + 30, 200 - 10)
    return any(
        sum(ImageStat.Stat(ImageChops.difference(crop, part)).mean) / 3 < 6
        for part in (whole.crop((left, 0, left + 90, 90)) for left in places)
    )


@asynccontextmanager
async def running(
    directory: Path, settings: Mapping[str, str]
) -> AsyncIterator[tuple[LocalSystem, Person, aiohttp.ClientSession]]:
    presets = directory / "presets.toml"
    presets.write_text(PRESETS)
    keys = {"SAFELIGHT_API_KEYS": f"alice:{sha256(b'sl_alice').hexdigest()}"}
    async with (
        LocalSystem(
            delivers=True,
            presets=presets,
            api_settings=keys,
            worker_settings=settings,
            delivery_settings=settings,
        ) as system,
        aiohttp.ClientSession() as http,
    ):
        yield system, Person(http, system.api_url, "sl_alice"), http


async def delivered(http: aiohttp.ClientSession, url: str) -> bytes:
    async with http.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


async def test_a_face_found_in_the_render_children_is_framed(tmp_path: Path) -> None:
    body, whole = wide()
    async with running(tmp_path, {"SAFELIGHT_FACES": "local"}) as (system, alice, http):
        image_id = await alice.upload(body)
        await alice.settled(image_id)
        made = await delivered(http, f"{system.delivery_url}/avatar/{image_id}")
    assert shows_the_face(made, whole)
    middle = BytesIO()
    whole.crop((90, 0, 180, 90)).save(middle, "PNG")
    assert not shows_the_face(middle.getvalue(), whole)


async def test_a_face_found_by_rekognition_is_framed_also_if_it_is_throttled_at_first(
    tmp_path: Path,
) -> None:
    body, whole = wide()
    async with rekognition_stub() as stub:
        settings = {"SAFELIGHT_FACES": "rekognition", "AWS_ENDPOINT_URL_REKOGNITION": stub.url}
        stub.boxes.append(FACE)
        stub.errors += [(400, "ThrottlingException")] * 4
        async with running(tmp_path, settings) as (system, alice, http):
            image_id = await alice.upload(body)
            await alice.settled(image_id)
            made = await delivered(http, f"{system.delivery_url}/avatar/{image_id}")
        assert stub.pictures == [("JPEG", (1280, 427))]
    assert shows_the_face(made, whole)
