"""The operation that cuts out a face: where it is in the resized picture, worked out by hand."""

import pytest

from safelight.faces import Face
from safelight.imaging.plan_options import plan_options
from safelight.imaging.probe import Probe
from safelight.wish.canonical import read_options
from safelight.wish.errors import InvalidOption

FACE = Face(left=0.55, top=0.33, width=0.23, height=0.18)
SMALL = Face(left=0.1, top=0.1, width=0.1, height=0.1)


def planned(words: str, *faces: Face, size: tuple[int, int] = (200, 400)):
    """Plan for a picture with these faces: the operations, and the sizes after each."""
    probe = Probe(format="png", width=size[0], height=size[1], size_bytes=1, faces=faces)
    (recipe,) = plan_options(probe, read_options(f"{words},format=png")).recipes
    return [(each.name, *each.arguments) for each in recipe.operations], recipe.sizes


@pytest.mark.parametrize(
    ("words", "box"),
    [
        ("face=20", (90, 112, 86, 112)),
        ("face", (110, 132, 46, 72)),
        ("face=500", (0, 0, 200, 400)),
        ("box=100x,face", (55, 66, 23, 36)),
        ("flip=h,face", (44, 132, 46, 72)),
        ("flip=v,face", (110, 196, 46, 72)),
        ("box=200x200,fit=cover,face", (110, 32, 46, 72)),
        ("turn=90,face", (196, 110, 72, 46)),
        ("crop=100x200:east,face", (10, 32, 46, 72)),
        ("blur=2,face=20", (90, 112, 86, 112)),
    ],
)
def test_a_face_is_cut_out_of_the_resized_picture(words, box):
    operations, sizes = planned(words, FACE, SMALL)
    assert operations[-1] == ("extract", *box)
    assert sizes[-1] == box[2:]


def test_the_largest_face_that_is_visible_is_cut_out():
    operations, _ = planned("crop=100x100:north-west,face", FACE, SMALL)
    assert operations == [("extract", 20, 40, 20, 40)]


def test_a_picture_without_a_face_is_kept_whole():
    assert planned("box=100x,face=9,grayscale") == ([("grayscale",)], ((100, 200), (100, 200)))
    assert planned("crop=20x20:south-west,face", FACE)[0] == []


@pytest.mark.parametrize("before", ["scale=0.5", "rotate=10", "pad=1", "extract=0:0:9:9", "face"])
def test_a_face_is_not_looked_for_after_the_size_has_changed(before):
    with pytest.raises(InvalidOption, match="first operation") as refused:
        planned(f"{before},face", FACE)
    assert refused.value.option == "face"


def test_a_face_is_not_looked_for_in_a_part_that_attention_finds():
    with pytest.raises(InvalidOption, match="attention"):
        planned("box=50x50,fit=cover,gravity=attention,face", FACE)


def test_a_picture_to_trim_is_planned_whole_until_its_border_is_known():
    assert planned("trim=10,box=100x,face", FACE)[0] == []
