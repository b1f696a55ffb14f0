"""What free-form options do to pixels."""

import io

import numpy as np
import pytest
import pyvips
from PIL import Image

from safelight.errors import UnusableWatermark
from safelight.imaging.operations import FUNCTIONS, _shares, operated
from safelight.imaging.watermark import positions, watermark_at
from safelight.wish.operations import FACE, KINDS, operation
from tests.support import pictures
from tests.support.pictures import BLUE, GREEN, RED, YELLOW


def image_of(picture):
    values = np.asarray(picture)
    return pyvips.Image.new_from_array(values).copy(interpretation="srgb")


def quarters():
    return image_of(pictures.quarters())


def flat(*colour, size=(40, 20)):
    return image_of(Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour))


def noisy():
    return image_of(pictures.noise(60, 40))


def done(image, *asked, pictures_at=None):
    return operated(image, [operation(*each) for each in asked], pictures_at or {})


def at(image, across, down):
    return tuple(int(value) for value in image.getpoint(across, down))


def test_every_operation_of_the_table_is_carried_out():
    """A face is cut out by `extract`, once it is planned where it is."""
    assert {*FUNCTIONS, "watermark", FACE} == set(KINDS)


@pytest.mark.parametrize("colour", [(90, 120, 150), (90, 120, 150, 128)])
@pytest.mark.parametrize(
    "asked", [("blur", 3), ("blur", 40), ("sharpen",), ("pixelate", 7), ("scale", 0.5)]
)
def test_what_mixes_neighbours_leaves_an_even_picture_as_it_is(colour, asked):
    made = done(flat(*colour), asked)
    assert made.bands == len(colour)
    assert np.abs(made.numpy().astype(int) - colour).max() <= 2


def test_invisible_colours_do_not_bleed():
    picture = image_of(Image.open(io.BytesIO(pictures.translucent_png())))
    for asked in (("blur", 2), ("blur", 20), ("rotate", 10), ("scale", 0.3), ("pixelate", 3)):
        values = done(picture, asked).numpy()
        seen = values[values[..., 3] > 8]
        assert seen[:, 1].max() <= RED[1] + 12, asked


def test_a_wide_blur_is_as_wide_as_a_narrow_one_made_wider():
    edge = image_of(Image.fromarray(np.repeat([[0] * 200 + [255] * 200], 40, 0).astype("uint8")))
    edge = edge.bandjoin([edge, edge]).copy(interpretation="srgb")
    for sigma in (3.5, 4.5, 12, 30):
        row = done(edge, ("blur", sigma)).numpy()[20, :, 0].astype(float)
        step = np.diff(row) / 255
        places = np.arange(len(step))
        mean = (places * step).sum() / step.sum()
        spread = ((places - mean) ** 2 * step).sum() / step.sum()
        assert spread**0.5 == pytest.approx(sigma, rel=0.12), sigma


@pytest.mark.parametrize(
    ("asked", "before", "after"),
    [
        (("brightness", 20), (100, 100, 100), (151, 151, 151)),
        (("brightness", -100), (100, 200, 255), (0, 0, 0)),
        (("contrast", 100), (140, 128, 100), (176, 128, 16)),
        (("contrast", -100), (140, 10, 255), (128, 128, 128)),
        (("rgb", 10, 0, -10), (100, 100, 100), (125, 100, 75)),
        (("grayscale",), (255, 0, 0), (76, 76, 76)),
        (("saturation", 0), (100, 100, 100), (100, 100, 100)),
        (("flatten", "red"), (10, 20, 30, 0), (255, 0, 0)),
        (("flatten", "red"), (10, 20, 30), (10, 20, 30)),
    ],
)
def test_colours_become(asked, before, after):
    assert at(done(flat(*before), asked), 5, 5) == after


def test_colours_change_and_alpha_does_not():
    assert at(done(flat(100, 100, 100, 77), ("brightness", 20)), 1, 1) == (151, 151, 151, 77)


def test_saturation_of_nothing_is_grey_and_of_one_the_same():
    grey = done(noisy(), ("saturation", 0)).numpy().astype(int)
    assert np.ptp(grey, axis=2).max() <= 1
    assert np.abs(done(noisy(), ("saturation", 1)).numpy().astype(int) - noisy().numpy()).max() <= 1


def test_a_quarter_turn_is_clockwise():
    made = done(quarters(), ("rotate", 90))
    assert (made.width, made.height) == (48, 80)
    corners = [at(made, *place) for place in ((0, 0), (47, 0), (0, 79), (47, 79))]
    assert corners == [BLUE, RED, YELLOW, GREEN]


def test_a_turn_by_any_angle_fills_what_opens():
    made = done(quarters(), ("rotate", 30, "00ff00"))
    assert at(made, 0, 0) == (0, 255, 0)
    made = done(quarters(), ("rotate", 30))
    assert at(made, 0, 0) == (0, 0, 0, 0)
    colours = made.numpy()[made.numpy()[..., 3] > 0][:, :3].astype(int)
    assert colours.max() <= 232
    assert colours.min() >= 28


def test_corners_are_rounded_and_their_edges_are_soft():
    made = done(flat(200, 200, 200, size=(100, 60)), ("round", 20))
    alpha = made.numpy()[..., 3]
    assert alpha[0, 0] == alpha[0, -1] == alpha[-1, 0] == alpha[-1, -1] == 0
    assert alpha[0, 50] == alpha[30, 0] == alpha[30, 50] == 255
    assert ((alpha > 0) & (alpha < 255)).sum() > 8
    expected = 100 * 60 - (4 - np.pi) * 20**2
    assert (alpha / 255.0).sum() == pytest.approx(expected, rel=0.002)


def test_corners_may_have_a_colour_and_two_radii():
    made = done(flat(200, 200, 200, size=(100, 60)), ("round", 50, 30, "0000ff"))
    assert at(made, 0, 0) == (0, 0, 255)
    assert at(made, 50, 30) == (200, 200, 200)
    grey = (made.numpy()[..., 0] / 200.0).sum()
    assert grey == pytest.approx(np.pi * 50 * 30, rel=0.005)


def test_a_radius_is_at_most_half_a_side():
    made = done(flat(9, 9, 9, size=(100, 60)), ("round", 8192))
    alpha = (made.numpy()[..., 3] / 255.0).sum()
    assert alpha == pytest.approx(np.pi * 50 * 30, rel=0.005)


@pytest.mark.parametrize(
    ("asked", "size", "place", "colour"),
    [
        (("pad", 1, 2, 3, 4, "red"), (86, 52), (0, 0), (255, 0, 0)),
        (("pad", 1, 2, 3, 4, "red"), (86, 52), (4, 1), RED),
        (("pad", 1, 2, 3, 4), (86, 52), (0, 0), (0, 0, 0, 0)),
        (("extend", 100, 100, "blue"), (100, 100), (0, 0), (0, 0, 255)),
        (("extend", 100, 100, "blue"), (100, 100), (10, 26), RED),
        (("extend", 100, 100, "blue", "north-west"), (100, 100), (0, 0), RED),
        (("extend", 100, 100, "blue", "south-east"), (100, 100), (99, 99), YELLOW),
        (("extend", 10, 60, "blue"), (80, 60), (0, 0), (0, 0, 255)),
        (("extend", 1, 1, "blue", "centre", "ratio"), (80, 80), (0, 0), (0, 0, 255)),
        (("extract", 40, 24, 20, 10), (20, 10), (0, 0), YELLOW),
        (("extract", 70, 40, 500, 500), (10, 8), (0, 0), YELLOW),
        (("extract", 500, 500, 10, 10), (1, 1), (0, 0), YELLOW),
    ],
)
def test_a_picture_is_padded_and_cut(asked, size, place, colour):
    made = done(quarters(), asked)
    assert (made.width, made.height) == size
    assert at(made, *place) == colour


def test_operations_are_done_in_their_order():
    one = done(quarters(), ("pad", 10, 10, 10, 10, "red"), ("rotate", 90))
    other = done(quarters(), ("rotate", 90), ("pad", 10, 10, 10, 10, "red"))
    assert (one.numpy() == other.numpy()).all()
    bright = done(quarters(), ("pad", 10, 10, 10, 10, "red"), ("brightness", -100))
    dark = done(quarters(), ("brightness", -100), ("pad", 10, 10, 10, 10, "red"))
    assert at(bright, 0, 0) == (0, 0, 0)
    assert at(dark, 0, 0) == (255, 0, 0)


@pytest.fixture
def marks(tmp_path):
    path = tmp_path / "mark"
    path.write_bytes(pictures.encoded(Image.new("RGB", (10, 8), (0, 0, 255)), "PNG"))
    return {"logos/blue.png": path}


def marked(marks, *arguments, image=None):
    image = image or flat(200, 200, 200, size=(100, 60))
    return done(image, ("watermark", "logos/blue.png", *arguments), pictures_at=marks)


@pytest.mark.parametrize(
    ("place", "left_top"),
    [
        (("0", "0"), (0, 0)),
        (("5", "7"), (5, 7)),
        (("-0", "-0"), (90, 52)),
        (("-5", "-7"), (85, 45)),
        (("10p", "-10p"), (10, 46)),
        (("centre", "centre"), (45, 26)),
    ],
)
def test_a_watermark_lies_where_it_should(marks, place, left_top):
    blue = marked(marks, *place).numpy()[..., 0] == 0
    rows, columns = np.nonzero(blue)
    assert (columns.min(), rows.min()) == left_top
    assert (columns.max() - columns.min() + 1, rows.max() - rows.min() + 1) == (10, 8)


def test_a_watermark_may_let_through_what_is_below(marks):
    assert at(marked(marks, "0", "0", 50), 2, 2) == pytest.approx((100, 100, 228), abs=1)
    assert marked(marks, "0", "0", 50).bands == 3
    clear = marked(marks, "0", "0", image=flat(9, 9, 9, 0, size=(50, 50)))
    assert at(clear, 2, 2) == (0, 0, 255, 255)
    assert at(clear, 40, 40)[3] == 0


def test_a_watermark_takes_a_share_of_the_picture(marks):
    blue = marked(marks, "0", "0", 0, 50, 50).numpy()[..., 0] < 100
    rows, columns = np.nonzero(blue)
    assert (columns.max() + 1, rows.max() + 1) == pytest.approx((38, 30), abs=1)


@pytest.mark.parametrize("shares", [(100, 0), (0, 100), (50, 0), (100, 100)])
@pytest.mark.parametrize("size", [(2, 3000), (3000, 2)])
def test_a_watermark_of_any_shape_becomes_no_larger_than_the_picture(tmp_path, size, shares):
    path = tmp_path / "mark"
    path.write_bytes(pictures.encoded(Image.new("RGB", size, (0, 0, 255)), "PNG"))
    marks = {"logos/blue.png": path}
    within = _shares((100, 60), shares)
    mark = watermark_at(path, "logos/blue.png", transparency=0, within=within)
    assert (mark.width <= 100, mark.height <= 60) == (True, True)
    assert marked(marks, "0", "0", 0, *shares).width == 100


def test_a_watermark_is_repeated_without_end_but_with_a_bound():
    places = list(positions((100, 60), (10, 8), ("repeat", "repeat")))
    assert len(places) == 70
    assert len(list(positions((5000, 5000), (3, 3), ("repeat", "repeat")))) <= 100
    assert list(positions((100, 60), (10, 8), ("repeat", "-0")))[:2] == [(0, 52), (10, 52)]


def test_a_watermark_that_is_no_picture_is_nobodys_picture_at_fault(tmp_path):
    path = tmp_path / "mark"
    path.write_bytes(b"no picture")
    with pytest.raises(UnusableWatermark, match="logos/x") as told:
        done(quarters(), ("watermark", "logos/x"), pictures_at={"logos/x": path})
    rebuilt, arguments = told.value.__reduce__()
    assert str(rebuilt(*arguments)) == str(told.value)


def test_a_watermark_too_large_to_be_one_is_refused(tmp_path):
    path = tmp_path / "mark"
    path.write_bytes(pictures.png_bomb(30_000, 30_000, bits=8, colour=2))
    with pytest.raises(UnusableWatermark, match="too_many_pixels"):
        done(quarters(), ("watermark", "logos/x"), pictures_at={"logos/x": path})
