"""Faces: which are kept, where they are after edits, and how a crop frames them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.faces import MOST_FACES, Face, framed, kept, within_part

shares = st.floats(0, 0.9)
sides = st.floats(0.02, 0.6)
found = st.builds(Face, left=shares, top=shares, width=sides, height=sides)


def face(left: float, top: float, width: float, height: float) -> Face:
    return Face(left=left, top=top, width=width, height=height)


def contains(crop, place, picture, one: Face) -> bool:
    """Return whether a crop at a place contains a face, to the pixel."""
    left, right = (share * picture[0] for share in (one.left, one.right))
    top, bottom = (share * picture[1] for share in (one.top, one.bottom))
    return (
        place[0] - 1 <= left
        and right <= place[0] + crop[0] + 1
        and place[1] - 1 <= top
        and bottom <= place[1] + crop[1] + 1
    )


def test_boxes_beyond_the_edge_are_clipped_and_those_outside_dropped():
    faces = kept([face(-0.1, 0.9, 0.3, 0.3), face(1.1, 0, 0.1, 0.1), face(0.2, 0.2, 0, 0.1)])
    assert faces == (face(0, 0.9, 0.2, 0.1),)


def test_the_largest_faces_are_kept_the_largest_first():
    faces = kept(face(0, 0, 0.01 * number, 0.1) for number in range(1, 40))
    assert len(faces) == MOST_FACES
    assert [one.width for one in faces[:2]] == [0.39, 0.38]


@pytest.mark.parametrize(
    ("degrees", "turned"),
    [
        (0, (0.1, 0.2, 0.3, 0.4)),
        (90, (0.4, 0.1, 0.4, 0.3)),
        (180, (0.6, 0.4, 0.3, 0.4)),
        (270, (0.2, 0.6, 0.4, 0.3)),
    ],
)
def test_a_face_turns_with_its_picture(degrees, turned):
    (seen,) = kept([face(0.1, 0.2, 0.3, 0.4).turned(degrees)])
    assert seen == face(*turned)


def test_a_part_has_the_faces_that_are_mostly_in_it():
    faces = (face(0.5, 0.5, 0.2, 0.2), face(0.1, 0.1, 0.1, 0.1), face(0.35, 0.5, 0.1, 0.1))
    assert within_part(faces, (400, 400, 400, 400), (1000, 1000)) == (
        face(0.25, 0.25, 0.5, 0.5),
        face(0, 0.25, 0.125, 0.25),
    )


def test_the_only_face_is_in_the_middle_with_room_above():
    left, top = framed((face(0.6, 0.4, 0.1, 0.1),), crop=(400, 400), picture=(1000, 1000))
    assert left + 200 == 650
    assert 450 - 30 < top + 200 < 450


@pytest.mark.parametrize("height", [300, 250, 210])
def test_room_above_never_cuts_a_chin(height):
    one = face(0.4, 0.4, 0.2, 0.2)
    place = framed((one,), crop=(400, height), picture=(1000, 1000))
    assert contains((400, height), place, (1000, 1000), one)


def test_several_faces_are_framed_together():
    faces = (face(0.1, 0.4, 0.12, 0.12), face(0.5, 0.4, 0.1, 0.1))
    place = framed(faces, crop=(600, 1000), picture=(1000, 1000))
    assert all(contains((600, 1000), place, (1000, 1000), one) for one in faces)


def test_of_faces_too_far_apart_the_largest_is_framed_with_those_that_fit():
    faces = (face(0.8, 0.4, 0.15, 0.15), face(0, 0.4, 0.1, 0.1), face(0.65, 0.4, 0.08, 0.08))
    place = framed(faces, crop=(350, 1000), picture=(1000, 1000))
    seen = [contains((350, 1000), place, (1000, 1000), one) for one in faces]
    assert seen == [True, False, True]


def test_the_middle_of_a_face_larger_than_the_crop_is_kept():
    place = framed((face(0.2, 0.3, 0.5, 0.5),), crop=(100, 100), picture=(1000, 1000))
    assert place == (400, 500)


@given(
    found=st.lists(found, min_size=1, max_size=6),
    crop=st.tuples(st.integers(1, 400), st.integers(1, 300)),
)
def test_a_crop_is_inside_the_picture_and_has_the_largest_face_if_it_fits(found, crop):
    faces, picture = kept(found), (400, 300)
    place = framed(faces, crop=crop, picture=picture)
    assert 0 <= place[0] <= picture[0] - crop[0]
    assert 0 <= place[1] <= picture[1] - crop[1]
    largest = faces[0]
    if largest.width * picture[0] <= crop[0] and largest.height * picture[1] <= crop[1]:
        assert contains(crop, place, picture, largest)
