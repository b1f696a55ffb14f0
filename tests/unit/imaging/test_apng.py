"""Animated PNGs: frames, disposal, blending, colours and damage."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import pyvips
from PIL import Image

from safelight.errors import Reason, Rejection
from safelight.formats import BY_NAME
from safelight.imaging.libvips import open_image
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.probe import Probe, probe
from safelight.imaging.render import render
from safelight.presets import Preset
from tests.support import pictures
from tests.support.apngs import BACKGROUND, KEEP, PREVIOUS, Frame, apng, repeated
from tests.support.pictures import BLUE, GREEN, RED, chunk

LIMITS = Limits()
STILL = Preset(name="still", format="png")
MOVING = Preset(name="moving", format="webp", animated=True, quality=95)
SIZE = (40, 20)
NOTHING = (0, 0, 0, 0)


def flat(colour: tuple[int, ...], size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour)


def clear(colour: tuple[int, ...] = (0, 0, 0), alpha: int = 255) -> tuple[int, ...]:
    return (*colour, alpha)


RED_FRAME, SQUARE = Frame(picture=flat(clear(RED))), flat(clear(GREEN), (10, 10))
THREE = tuple(Frame(picture=flat(colour)) for colour in (RED, GREEN, BLUE))


@pytest.fixture
def shown(file, tmp_path) -> Callable[..., Image.Image]:
    """Render with one preset, and open the variant in another decoder."""

    def shown(data: bytes, preset: Preset = MOVING, limits: Limits = LIMITS) -> Image.Image:
        source = file(data)
        result = render(plan(probe(source, limits), [preset]), source, tmp_path, limits)
        assert result.failures == {}
        return Image.open(io.BytesIO(result.variants[0].path.read_bytes()))

    return shown


def frame_of(picture: Image.Image, number: int) -> Image.Image:
    picture.seek(number)
    picture.load()
    return picture.convert("RGBA")


def colours(picture: Image.Image, *places: tuple[int, int]) -> list[list[tuple[int, ...]]]:
    """Return the pixels at these places in every frame; invisible ones are all alike."""
    frames = (frame_of(picture, number) for number in range(picture.n_frames))
    found = [[frame.getpixel(place) for place in places] for frame in frames]
    return [[pixel if pixel[3] else NOTHING for pixel in pixels] for pixels in found]


def alike(found: list[list[tuple[int, ...]]], expected: list[list[tuple[int, ...]]]) -> bool:
    return len(found) == len(expected) and bool(
        np.abs(np.subtract(found, expected, dtype=int)).max() <= 8
    )


def test_an_animated_png_keeps_frames_times_and_plays_on_request(shown):
    times = [replace(each, over=number) for number, each in enumerate(THREE, 1)]
    picture = shown(apng(*times, plays=3))
    assert picture.n_frames == 3
    assert picture.info["loop"] == 3
    for number, colour in enumerate((RED, GREEN, BLUE)):
        assert frame_of(picture, number).getpixel((9, 9))[:3] == pytest.approx(colour, abs=4)
        assert picture.info["duration"] == 100 * (number + 1)


def test_without_animated_it_is_its_default_picture(shown, file):
    for data in (apng(*THREE), apng(*THREE[1:], default=flat(RED))):
        picture = shown(data, STILL)
        assert getattr(picture, "n_frames", 1) == 1
        assert picture.getpixel((9, 9)) == RED
    assert probe(file(apng(*THREE)), LIMITS).frames == 3


def test_a_default_picture_that_is_no_frame_is_not_in_the_animation(shown):
    picture = shown(apng(*THREE[1:], default=flat(RED)))
    assert alike(colours(picture, (9, 9)), [[clear(GREEN)], [clear(BLUE)]])


@pytest.mark.parametrize(
    ("disposal", "inside"), [(KEEP, clear(GREEN)), (BACKGROUND, NOTHING), (PREVIOUS, clear(RED))]
)
def test_each_disposal_leaves_what_the_standard_says(shown, disposal, inside):
    second = Frame(picture=SQUARE, left=5, top=5, disposal=disposal)
    third = Frame(picture=flat(clear(BLUE), (10, 10)), left=25, top=5)
    found = colours(shown(apng(RED_FRAME, second, third)), (10, 10), (30, 10), (2, 2))
    red, green, blue = clear(RED), clear(GREEN), clear(BLUE)
    assert alike(found, [[red, red, red], [green, red, red], [inside, blue, red]])


def test_a_first_frame_that_is_disposed_to_before_it_leaves_nothing(shown):
    first = replace(RED_FRAME, disposal=PREVIOUS)
    second = Frame(picture=SQUARE, left=5, top=5)
    found = colours(shown(apng(first, second)), (10, 10), (30, 10))
    assert alike(found, [[clear(RED)] * 2, [clear(GREEN), NOTHING]])


@pytest.mark.parametrize(
    ("blending", "alpha", "below", "expected"),
    [
        (0, 0, clear(RED), NOTHING),
        (1, 0, clear(RED), clear(RED)),
        (0, 128, clear(RED), clear(GREEN, 128)),
        (1, 128, clear(RED), (125, 115, 35, 255)),
        (1, 255, clear(RED), clear(GREEN)),
        (1, 128, NOTHING, clear(GREEN, 128)),
        (1, 128, clear(RED, 128), (93, 143, 37, 192)),
    ],
)
def test_a_frame_replaces_the_pixels_below_or_is_blended_with_them(
    shown, blending, alpha, below, expected
):
    """The last colour is (128 G + 128 (1 - 128/255) R) / 192 (PNG, third edition, 11.3.6.2)."""
    square = flat(clear(GREEN, alpha), (10, 10))
    square.putpixel((0, 0), clear(BLUE))  # equal frames would become one
    second = Frame(picture=square, left=5, top=5, blending=blending)
    found = colours(shown(apng(Frame(picture=flat(below)), second)), (10, 10))
    assert alike(found[1:], [[expected]])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_may_be_animated(shown, mode):
    picture = Image.linear_gradient("L").resize(SIZE)
    first = picture.point(lambda value: 257 * value, "I").convert(mode) if mode == "I;16" else None
    first = first or picture.convert(mode)
    part = first.crop((0, 0, 10, 10))
    found = shown(apng(Frame(picture=first), Frame(picture=part, left=30, top=10)))
    expected = picture.convert("1") if mode == "1" else picture
    later = expected.copy()
    later.paste(expected.crop((0, 0, 10, 10)), (30, 10))
    for number, whole in enumerate((expected, later)):
        seen = np.asarray(frame_of(found, number).convert("L"), int)
        assert np.abs(seen - np.asarray(whole.convert("L"), int)).mean() < 6


def test_a_transparent_colour_of_the_palette_shows_the_pixels_below(shown):
    first = Image.new("P", SIZE, 0)
    first.putpalette([*RED, *GREEN, *BLUE])
    second = Image.new("P", (20, 10), 1)
    second.putpalette([*RED, *GREEN, *BLUE])
    second.paste(2, (10, 0, 20, 10))
    frames = Frame(picture=first), Frame(picture=second, left=5, top=5, blending=1)
    found = colours(shown(apng(*frames, transparency=1)), (8, 10), (20, 10))
    assert alike(found[1:], [[clear(RED), clear(BLUE)]])


@pytest.mark.parametrize("make", [pictures.deep_png, pictures.interlaced_png])
def test_frames_of_16_bits_and_interlaced_ones_are_decoded_like_a_still(file, make):
    source, png = file(repeated(make())), BY_NAME["png"]
    still = open_image(source, png, accept_damaged=False)
    moving = open_image(source, png, accept_damaged=False, frames=2).numpy()
    expected = still.numpy() >> 8 if still.format == "ushort" else still.numpy()
    for frame in (moving[: still.height], moving[still.height :]):
        assert (frame[..., :3] == expected).all()
        assert (frame[..., 3] == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_frames_have_the_colours_that_the_chunks_name(shown, mode):
    """Linear light of 127 is 187 in sRGB."""
    black = Frame(picture=Image.new(mode, (10, 10)), left=20)
    frames = [Frame(picture=Image.new("L", SIZE, 127).convert(mode)), black]
    gamma = chunk(b"gAMA", struct.pack(">I", 100_000))
    assert alike(colours(shown(apng(*frames, more=gamma)), (9, 9)), [[(187, 187, 187, 255)]] * 2)


def test_frames_are_converted_by_the_profile(shown):
    frames = Frame(picture=flat((200, 60, 60))), Frame(picture=flat((0, 0, 0), (10, 10)), left=20)
    profile = bytes(pyvips.Image.profile_load("p3"))
    for (pixel,) in colours(shown(apng(*frames, icc_profile=profile)), (9, 9)):
        assert pixel[0] > 208
        assert max(pixel[1:3]) < 58


def test_frames_are_turned_upright(shown):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = pictures.quarters().transpose(Image.Transpose.ROTATE_90)
    found = shown(apng(Frame(picture=turned), replace(THREE[0], left=3), exif=exif.tobytes()))
    assert found.size == (80, 48)
    assert frame_of(found, 0).getpixel((20, 12))[:3] == pytest.approx(RED, abs=8)


@pytest.mark.parametrize(
    ("over", "under", "milliseconds"), [(2, 0, 20), (0, 100, 100), (65_535, 1, 16_777_215)]
)
def test_odd_durations_are_what_a_webp_can_say(shown, over, under, milliseconds):
    """Like browsers, libvips shows frames without a duration for a tenth of a second."""
    frames = [replace(each, over=over, under=under) for each in THREE]
    picture = shown(apng(*frames, plays=2**32 - 1))
    frame_of(picture, 1)
    assert picture.info["duration"] == milliseconds
    assert picture.info["loop"] == 65_535


def test_a_png_that_announces_no_frames_is_a_still(shown, file):
    data = apng(*THREE, announced=0)
    assert probe(file(data), LIMITS).frames == 1
    assert shown(data).getpixel((9, 9))[:3] == pytest.approx(RED, abs=4)


@pytest.mark.parametrize("announced", [10_000, 2**31, 2**32 - 1])
def test_announced_frames_are_counted_without_being_there(file, announced):
    source = file(apng(*THREE, announced=announced))
    assert probe(source, LIMITS).frames == min(announced, 2**31 - 1)


WHOLE = apng(*THREE)
SECOND = WHOLE.index(b"fdAT")
NEXT = WHOLE.index(b"fdAT", SECOND + 4)
LAST = WHOLE.rindex(b"fdAT")


def with_number(place: int, number: int) -> bytes:
    """Replace the sequence number of a chunk, whose name is at this place."""
    (length,) = struct.unpack_from(">I", WHOLE, place - 4)
    kind, end = WHOLE[place : place + 4], place + 8 + length
    content = struct.pack(">I", number) + WHOLE[place + 8 : end - 4]
    return WHOLE[: place - 4] + chunk(kind, content) + WHOLE[end:]


def short(frame: Frame) -> bytes:
    """Let one frame say that it is higher than its pixels."""
    low = apng(THREE[0], replace(frame, picture=frame.picture.crop((0, 0, 40, 10))))
    at = low.rindex(b"fcTL")
    control = bytearray(low[at + 4 : at + 30])
    control[8:12] = struct.pack(">I", 20)
    return low[: at - 4] + chunk(b"fcTL", bytes(control)) + low[at + 34 :]


DAMAGED = {
    "a flipped bit": (WHOLE[: SECOND + 10] + b"\xff" + WHOLE[SECOND + 11 :], Reason.CORRUPT),
    "a wrong checksum": (WHOLE[:-13] + b"\0" + WHOLE[-12:], Reason.CORRUPT),
    "a lost chunk": (
        WHOLE[: SECOND - 4] + WHOLE[WHOLE.index(b"fdAT", SECOND + 4) - 4 :],
        Reason.CORRUPT,
    ),
    "a wrong number": (with_number(LAST, 9), Reason.CORRUPT),
    "a lost frame": (apng(*THREE[:2], announced=3), Reason.CORRUPT),
    "fewer rows": (short(THREE[1]), Reason.CORRUPT),
    "a frame outside the canvas": (apng(THREE[0], replace(THREE[1], left=1)), Reason.CORRUPT),
    "cut inside the last frame": (WHOLE[: LAST + 12], Reason.TRUNCATED),
    "cut before the last frame": (WHOLE[: WHOLE.rindex(b"fcTL") - 4], Reason.TRUNCATED),
    "cut inside a control": (WHOLE[: WHOLE.rindex(b"fcTL") + 9], Reason.TRUNCATED),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_frame_costs_animations_and_no_still(shown, name):
    data, reason = DAMAGED[name]
    assert shown(data, STILL).getpixel((9, 9)) == RED
    with pytest.raises(Rejection) as caught:
        shown(data)
    assert caught.value.reason is reason


@pytest.mark.parametrize("end", [b"", WHOLE[-12:-2], chunk(b"tEXt", b"a\0b")[:-3]])
def test_damage_behind_the_last_frame_costs_no_pixel(shown, end):
    assert shown(WHOLE[:-12] + end).n_frames == 3


def test_more_frames_than_announced_are_left_out(shown):
    assert shown(apng(*THREE, announced=2)).n_frames == 2


@pytest.mark.parametrize(
    ("format", "alpha", "box", "megabytes"),
    [("webp", True, None, 231), ("png", True, None, 233), ("png", False, (600, 600), 130)],
)
def test_the_prediction_for_an_animation_is_at_most_a_tenth_too_low(format, alpha, box, megabytes):
    """Two frames of 3 megapixels took so much."""
    found = Probe(
        format=format, width=2121, height=1414, size_bytes=9_000_000, frames=2, alpha=alpha
    )
    wish = Preset(name="a", format="webp", animated=True, box=box)
    assert plan(found, [wish]).predicted_bytes > 0.9e6 * megabytes
