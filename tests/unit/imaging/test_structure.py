import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.formats import FORMATS
from safelight.imaging.structure import (
    animation_of_a_gif,
    is_cut_short,
    is_of_an_unread_kind,
    picture_of_a_tiff,
    without_oddities,
)
from tests.support import pictures

WHOLE = {
    "jpeg": pictures.encoded(pictures.noise(64, 48), "JPEG"),
    "progressive jpeg": pictures.encoded(pictures.noise(64, 48), "JPEG", progressive=True),
    "png": pictures.encoded(pictures.noise(64, 48), "PNG"),
    "webp": pictures.encoded(pictures.noise(64, 48), "WEBP"),
    "gif": pictures.animated("GIF", 3),
    "tiff": pictures.encoded(pictures.noise(64, 48), "TIFF"),
    "lzw tiff": pictures.encoded(pictures.noise(64, 48), "TIFF", compression="tiff_lzw"),
    "big tiff": pictures.encoded(pictures.noise(64, 48), "TIFF", big_tiff=True),
    "avif": pictures.encoded(pictures.noise(64, 48), "AVIF"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_not_cut_short_even_with_a_tail(file, name):
    for tail in (b"", b"PK\x03\x04" * 40, b"<html>"):
        if name == "avif" and tail:
            continue  # a tail there is read as one more box
        assert not is_cut_short(file(WHOLE[name] + tail), name.split()[-1])


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_part_of_a_file_is_cut_short(file, name, share):
    part = WHOLE[name][: int(len(WHOLE[name]) * share)]
    assert is_cut_short(file(part), name.split()[-1])


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "png", "webp", "avif"])
def test_two_missing_bytes_are_enough(file, name):
    assert is_cut_short(file(WHOLE[name][:-2]), name.split()[-1])


@given(
    format=st.sampled_from([format.name for format in FORMATS]),
    start=st.sampled_from([data[:60] for data in WHOLE.values()]),
    rest=st.binary(max_size=400),
)
def test_no_bytes_make_the_walk_fail_or_stay(tmp_path_factory, format, start, rest):
    path = tmp_path_factory.mktemp("walk") / "source"
    path.write_bytes(start + rest)
    for ask in (is_cut_short, is_of_an_unread_kind):
        assert ask(path, format) in (True, False)
    assert without_oddities(path, path.with_name("copy")) in (True, False)


def test_a_tiff_whose_tags_all_point_to_one_long_list_is_walked_at_once(file):
    """Reading every list would make 12,000,000,000 numbers."""
    data = pictures.tiff_of_many_tags(60_000, 200_000)
    assert not is_cut_short(file(data), "tiff")


@pytest.mark.parametrize("offset", [2**40, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_big_tiff_that_points_far_beyond_its_end_is_cut_short(file, offset):
    path = file(WHOLE["big tiff"][:8] + offset.to_bytes(8, "little") + WHOLE["big tiff"][16:])
    assert is_cut_short(path, "tiff")
    assert not is_of_an_unread_kind(path, "tiff")


def test_a_plain_jpeg_has_no_oddities(file, tmp_path):
    for name in ("jpeg", "progressive jpeg"):
        assert not without_oddities(file(WHOLE[name]), tmp_path / "copy")


@pytest.mark.parametrize("name", pictures.odd_headers())
def test_an_odd_header_is_replaced(file, tmp_path, name):
    copy = tmp_path / "copy"
    assert without_oddities(file(pictures.odd_headers()[name]), copy)
    assert not without_oddities(copy, tmp_path / "again")


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_a_jpeg_of_more_segments_than_any_picture_has_is_damaged(file, tmp_path, end):
    path = file(b"\xff\xd8" + b"\xff\xfe\0\2" * 200_000 + end)
    assert not is_cut_short(path, "jpeg")
    assert not without_oddities(path, tmp_path / "copy")


@pytest.mark.parametrize("filling", [b"\xff", b"\0", b"\xff\xd8"])
def test_a_long_file_of_one_filling_is_walked_in_one_pass(file, filling):
    data = b"\xff\xd8" + filling * (2_000_000 // len(filling))
    assert is_cut_short(file(data), "jpeg")


@given(rest=st.binary(max_size=400), start=st.sampled_from([b"II*\0", b"MM\0*", b"II+\0"]))
def test_no_bytes_make_the_search_for_the_picture_of_a_tiff_fail(tmp_path_factory, start, rest):
    path = tmp_path_factory.mktemp("walk") / "source"
    path.write_bytes(start + rest)
    picture_of_a_tiff(path)


def test_a_tiff_of_many_reduced_pages_is_walked_at_once(file):
    """Each directory has one tag, says that it is reduced, and names the next one."""
    pages = (
        struct.pack("<HHHIII", 1, 254, 4, 1, 1, 8 + 18 * (number + 1)) for number in range(200_000)
    )
    path = file(b"II*\0" + struct.pack("<I", 8) + b"".join(pages))
    assert picture_of_a_tiff(path) is None
    assert is_of_an_unread_kind(path, "tiff")


def test_a_walk_over_millions_of_blocks_or_restarts_ends_soon(file, tmp_path):
    gif = WHOLE["gif"][:13] + b"\x21\xfe\0" * 4_000_000
    plain = pictures.encoded(pictures.noise(64, 48), "JPEG", restart_marker_blocks=1)
    frame, scan = plain.index(b"\xff\xc0"), plain.index(b"\xff\xda")
    large = plain[: frame + 5] + b"\xff\0\xff\0" + plain[frame + 9 : scan + 14]
    restarts = b"".join(bytes((0, 0, 0xFF, 0xD0 + number)) for number in range(8))
    started = time.process_time()
    assert animation_of_a_gif(file(gif)) is None
    assert without_oddities(file(large + restarts * 400_000), tmp_path / "copy")
    assert time.process_time() - started < 3
