"""Damages bytes in the ways that files are damaged, by accident and on purpose.

Everything depends on the random numbers given: the same seed and number make the same bytes.
"""

import random
from collections.abc import Callable, Mapping, Sequence

HEADER_BYTES = 64
_TELLING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Numbers at which arithmetic goes wrong."""

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def _flip(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """Flip up to 24 bits."""
    return _flipped(data, chance, range(len(data)))


def _flip_the_header(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    return _flipped(data, chance, range(min(HEADER_BYTES, len(data))))


def _flipped(data: bytes, chance: random.Random, places: range) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 24)):
        damaged[chance.choice(places)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _truncate(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    return data[: chance.randrange(len(data))]


def _splice(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Put the end of another sample behind the beginning of this one."""
    other = chance.choice(others)
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]


def _overwrite(data: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """Write a piece of another sample, zeros or noise over a piece of this one."""
    length = chance.randint(1, min(256, len(data)))
    at = chance.randrange(len(data) - length + 1)
    start = chance.randrange(max(1, len(other := chance.choice(others)) - length))
    piece = chance.choice([other[start : start + length], bytes(length), chance.randbytes(length)])
    return data[:at] + piece + data[at + len(piece) :]


def _move(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """Cut a piece out; put it back nowhere, or in another place, or in both."""
    start, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    at = chance.randrange(len(data) + 1)
    piece = data[start:end]
    without = data[:start] + data[end:]
    return chance.choice(
        [without, without[:at] + piece + without[at:], data[:at] + piece + data[at:]]
    )


def _set_a_number(data: bytes, chance: random.Random, _: Sequence[bytes]) -> bytes:
    """Set up to four numbers of one, two or four bytes to values that are hard to compute with."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        width, order = chance.choice([1, 2, 4]), chance.choice(["big", "little"])
        near = chance.choice([HEADER_BYTES, len(data)])
        at = chance.randrange(min(near, len(data)))
        number = chance.choice(_TELLING) % (1 << 8 * width)
        piece = number.to_bytes(width, order)[: len(data) - at]
        damaged[at : at + len(piece)] = piece
    return bytes(damaged)


MUTATIONS: Mapping[str, Mutation] = {
    "bits flipped": _flip,
    "header's bits flipped": _flip_the_header,
    "truncated": _truncate,
    "spliced": _splice,
    "overwritten": _overwrite,
    "moved": _move,
    "number set": _set_a_number,
}


def mutated(number: int, seed: int, samples: Mapping[str, bytes]) -> tuple[str, str, bytes]:
    """Make the picture of a number: (sample's name, mutation's name, bytes)."""
    chance = random.Random(f"{seed}/{number}")
    sample = chance.choice(list(samples))
    mutation = chance.choice(list(MUTATIONS))
    return sample, mutation, MUTATIONS[mutation](samples[sample], chance, list(samples.values()))
