"""Reads the range of grey from the sequence header of AV1 (AV1 specification, 5.5).

The data is untrusted. A read beyond its end raises `IndexError`.
"""

_SEQUENCE_HEADER = 1
_MOST_UNITS = 4
"""How many units are searched. The sequence header is the first or second one."""
_HAS_EXTENSION, _HAS_SIZE = 4, 2
_LONG_LEVELS = 7
"""The highest level that has no tier."""


class _Bits:
    """Takes numbers from bytes, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("the sequence header ends early")
        return self._number >> self._left & (1 << count) - 1


def is_limited_grey(data: bytes) -> bool:
    """Return whether the bytes start a picture of grey that has black at 16 and white at 235."""
    at = 0
    for _ in range(_MOST_UNITS):
        head = data[at]
        at += 2 if head & _HAS_EXTENSION else 1
        size, at = _size(data, at) if head & _HAS_SIZE else (len(data) - at, at)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            return _has_limited_grey(_Bits(data[at : at + size]))
        at += size
    return False


def _size(data: bytes, at: int) -> tuple[int, int]:
    """Return a number in groups of seven bits, the lowest first, and the place behind it."""
    size = 0
    for group in range(8):
        size |= (data[at + group] & 0x7F) << 7 * group
        if data[at + group] < 0x80:
            return size, at + group + 1
    raise IndexError("a size without an end")


def _has_limited_grey(bits: _Bits) -> bool:
    profile = bits.take(3)
    bits.take(1)  # still picture
    reduced = bits.take(1)
    if reduced:
        bits.take(5)
    elif not _skip_operating_points(bits):
        return False
    width, height = bits.take(4) + 1, bits.take(4) + 1
    bits.take(width + height)
    if not reduced and bits.take(1):
        bits.take(7)  # lengths of frame numbers
    bits.take(3)
    if not reduced:
        _skip_tools(bits)
    bits.take(3)
    return _is_limited_grey(bits, profile)


def _skip_operating_points(bits: _Bits) -> bool:
    """Skip the points of a sequence; return False if it has timings, which stills do not have."""
    if bits.take(1):
        return False
    delays = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > _LONG_LEVELS:
            bits.take(1)
        if delays and bits.take(1):
            bits.take(4)
    return True


def _skip_tools(bits: _Bits) -> None:
    bits.take(4)
    ordered = bits.take(1)
    if ordered:
        bits.take(2)
    screen_content = 1 if bits.take(1) else bits.take(1)
    if screen_content and not bits.take(1):
        bits.take(1)
    if ordered:
        bits.take(3)


def _is_limited_grey(bits: _Bits, profile: int) -> bool:
    """Read the colours (5.5.2)."""
    deep = bits.take(1)
    if profile == 2 and deep:
        bits.take(1)
    grey = profile != 1 and bits.take(1)
    if bits.take(1):
        bits.take(24)  # primaries, transfer and matrix
    return bool(grey and not bits.take(1))
