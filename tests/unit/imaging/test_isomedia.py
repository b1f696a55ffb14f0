"""What the boxes of AVIF and HEIC say; hostile ones end every walk."""

import struct
import time
from collections.abc import Sequence
from contextlib import suppress

import pytest

from safelight.imaging.avif import Storage, storage
from safelight.imaging.isomedia import is_cut_short, largest_size, primary_coding

HDR, P3 = (9, 16), (12, 13)


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def colour(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 0, 0))


def size(width: int, height: int) -> bytes:
    return box(b"ispe", bytes(4), struct.pack(">II", width, height))


def associations(entries: dict[int, list[int]], *, wide: bool = False) -> bytes:
    """Say which item has which properties: `wide` with long ids and long places."""
    listed = b"".join(
        struct.pack(">I" if wide else ">H", item)
        + bytes([len(places)])
        + struct.pack(f">{len(places)}{'H' if wide else 'B'}", *places)
        for item, places in entries.items()
    )
    flags = bytes([wide, 0, 0, wide])
    return box(b"ipma", flags, struct.pack(">I", len(entries)), listed)


def file(
    primary: int,
    entries: dict[int, list[int]],
    *,
    wide: bool = False,
    further: Sequence[bytes] = (),
) -> bytes:
    """Make a file of these associations; `further` ones are in boxes of their own."""
    properties = box(b"ipco", colour(*HDR), size(8, 6), colour(*P3), size(40, 30))
    item = struct.pack(">I" if wide else ">H", primary)
    return box(b"ftyp", b"avif", bytes(4)) + box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes([wide, 0, 0, 0]), item),
        box(b"iprp", properties, associations(entries, wide=wide), *further),
    )


def grid(tiles: list[int], *, wide: bool, kind: bytes = b"grid") -> bytes:
    """A picture of tiles: the item 5, whose tiles alone say their colours."""
    form = ">I" if wide else ">H"

    def entry(item: int, kind: bytes) -> bytes:
        told = struct.pack(form, item) + bytes(2) + kind + b"\0"
        return box(b"infe", bytes([3 if wide else 2, 0, 0, 0]), told)

    infos = [entry(6, b"hvc1"), entry(5, kind), entry(7, b"hvc1")]
    of_others = box(b"cdsc", struct.pack(form, 9), struct.pack(">H", 1), struct.pack(form, 5))
    of_tiles = box(
        b"dimg",
        struct.pack(form, 5),
        struct.pack(">H", len(tiles)),
        *(struct.pack(form, tile) for tile in tiles),
    )
    properties = box(b"ipco", colour(*HDR), size(8, 6), colour(*P3))
    return box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes([wide, 0, 0, 0]), struct.pack(form, 5)),
        box(b"iinf", bytes([wide, 0, 0, 0]), struct.pack(form, len(infos)), *infos),
        box(b"iref", bytes([wide, 0, 0, 0]), of_others, of_tiles),
        box(b"iprp", properties, associations({5: [2], 6: [2, 3], 7: [1]}, wide=wide)),
    )


ESSENTIAL = {False: 0x80, True: 0x8000}


@pytest.mark.parametrize("wide", [False, True])
def test_the_primary_pictures_own_numbers_count(wide):
    entries = {1: [1, 2], 2: [4, ESSENTIAL[wide] | 3]}
    assert primary_coding(file(2, entries, wide=wide)) == P3
    assert primary_coding(file(1, entries, wide=wide)) == HDR
    assert primary_coding(file(3, entries, wide=wide)) is None
    assert primary_coding(file(2, {1: [1], 2: [4]}, wide=wide)) is None


@pytest.mark.parametrize("wide", [False, True])
def test_a_grid_has_the_numbers_of_its_first_tile(wide):
    assert primary_coding(grid([6, 7], wide=wide)) == P3
    assert primary_coding(grid([7, 6], wide=wide)) == HDR
    assert primary_coding(grid([8], wide=wide)) is None
    assert primary_coding(grid([6], wide=wide, kind=b"iovl")) is None


@pytest.mark.parametrize("places", [[0], [9], [127], [2, 4]])
def test_a_place_that_holds_no_numbers_says_nothing(places):
    assert primary_coding(file(1, {1: places})) is None


def test_the_largest_size_is_found():
    assert largest_size(file(1, {})) == (40, 30)
    assert largest_size(box(b"ftyp", b"avif", bytes(4))) == (0, 0)


def test_whatever_is_missing_or_broken_every_walk_ends():
    broken = []
    for whole in (file(2, {1: [1, 2], 2: [4, 3]}), grid([6, 7], wide=False)):
        broken += [whole[:end] for end in range(len(whole))]
        broken += [whole[:at] + b"\xff" + whole[at + 1 :] for at in range(len(whole))]
    for data in broken:
        for ask in (primary_coding, largest_size, is_cut_short):
            with suppress(IndexError, struct.error):
                ask(data)


def test_of_a_file_that_names_items_without_end_not_all_are_read():
    entries = {item: [2] for item in range(2, 20_000)}
    assert primary_coding(file(1, {1: [1]} | entries)) == HDR
    assert primary_coding(file(1, entries | {1: [1]})) is None


def test_the_limit_of_items_counts_for_all_boxes_together():
    many = [associations({item: [2], item + 1: [2]}) for item in range(2, 12_000, 2)]
    last = associations({1: [1]})
    assert primary_coding(file(1, {}, further=[*many[:4_000], last])) == HDR
    assert primary_coding(file(1, {}, further=[*many, last])) is None


def test_the_first_list_of_properties_of_an_item_counts():
    again = associations({1: [3]})
    assert primary_coding(file(1, {1: [1]}, further=[again])) == HDR
    assert primary_coding(file(1, {}, further=[again])) == P3


def test_a_file_of_a_hundred_thousand_lists_of_properties_is_read_soon():
    data = file(1, {1: [2]}, further=[associations({2: [2] * 255})] * 99_990)
    started = time.process_time()
    assert storage(data) == Storage()
    assert primary_coding(data) is None
    assert time.process_time() - started < 2
