"""libwebp called directly gives what libvips gives, and fails as softly."""

import io
import subprocess
import sys
from pathlib import Path

import PIL._imaging
import PIL._webp
import pytest
import pyvips
from PIL import Image

from safelight.formats import BY_NAME
from safelight.imaging.libvips import open_image
from safelight.imaging.libwebp import Libwebp, NotEncoded, encoder
from tests.support.pictures import encoded, noise

PILLOW = PIL._webp.__file__
OUT_OF_MEMORY = """
import resource, sys
import pyvips
from safelight.imaging.libwebp import encoder
image = pyvips.Image.black(8000, 8000, bands=3)
libwebp = encoder()
libwebp.encode(image.crop(0, 0, 64, 64), quality=80, effort=2)
status = open("/proc/self/status").read()
used = 1024 * int(status.split("VmSize:")[1].split()[0])
resource.setrlimit(resource.RLIMIT_AS, (used + {spare}, -1))
try:
    libwebp.encode(image, quality=80, effort=2)
except MemoryError:
    sys.exit(7)
"""


@pytest.fixture
def libwebp() -> Libwebp:
    found = encoder()
    assert found is not None, "Pillow's wheel brings no libwebp that fits"
    return found


def picture(pillow: Image.Image) -> pyvips.Image:
    size = (pillow.width, pillow.height, len(pillow.getbands()))
    image = pyvips.Image.new_from_memory(pillow.tobytes(), *size, "uchar")
    return image.copy(interpretation="srgb")


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (300, 200)])
@pytest.mark.parametrize(("quality", "effort"), [(1, 0), (80, 2), (90, 4), (100, 6)])
def test_the_bytes_are_those_of_libvips(libwebp, size, quality, effort):
    image = picture(noise(*size))
    expected = image.webpsave_buffer(Q=quality, effort=effort, keep="none")
    assert libwebp.encode(image, quality=quality, effort=effort) == expected


@pytest.mark.parametrize("effort", [0, 2, 4])
def test_transparency_is_encoded_as_libvips_does(libwebp, effort):
    pillow = noise(160, 90)
    pillow.putalpha(Image.linear_gradient("L").resize(pillow.size))
    image = picture(pillow)
    expected = image.webpsave_buffer(Q=80, effort=effort, keep="none")
    found = libwebp.encode(image, quality=80, effort=effort)
    assert found == expected
    assert Image.open(io.BytesIO(found)).mode == "RGBA"


def test_a_picture_wider_than_webp_can_be_is_refused(libwebp):
    with pytest.raises(NotEncoded):
        libwebp.encode(pyvips.Image.black(16_384, 1, bands=3), quality=80, effort=2)


def test_damage_that_shows_while_pixels_are_read_is_libvips_own_error(libwebp, tmp_path):
    source, jpeg = tmp_path / "source", encoded(noise(400, 400), "JPEG")
    source.write_bytes(jpeg[: len(jpeg) // 2])
    image = open_image(source, BY_NAME["jpeg"], accept_damaged=False)
    with pytest.raises(pyvips.Error):
        libwebp.encode(image, quality=80, effort=2)


@pytest.mark.starts
@pytest.mark.parametrize(("bytes_per_pixel", "status"), [(3.5, 7), (6, 0)])
def test_memory_that_is_refused_is_a_memory_error(bytes_per_pixel, status):
    code = OUT_OF_MEMORY.format(spare=int(bytes_per_pixel * 8000 * 8000))
    ended = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3])
    assert ended.returncode == status


def test_a_frame_of_another_kind_is_left_to_libvips(libwebp):
    rgb = pyvips.Image.black(8, 8, bands=3)
    assert libwebp.takes(rgb)
    assert not libwebp.takes(pyvips.Image.black(8, 8))
    assert not libwebp.takes(rgb.cast("ushort"))
    animated = rgb.copy()
    animated.set_type(pyvips.GValue.gint_type, "page-height", 4)
    assert not libwebp.takes(animated)


def test_without_a_libwebp_that_fits_there_is_none(tmp_path):
    assert Libwebp.open(PILLOW) is not None
    assert Libwebp.open(str(tmp_path / "missing.so")) is None
    assert Libwebp.open(PIL._imaging.__file__) is None
