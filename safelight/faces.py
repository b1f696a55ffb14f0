"""The faces of a picture: where they are, and how a crop frames them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_FACES = 20
"""The most faces of a picture that are kept, the largest first."""
HEADROOM = 0.3
"""The room above the faces, in heights of the largest one: detectors' boxes end at the forehead."""
_VISIBLE = 0.5
"""The share of a face's area that must be in a part of the picture, or the part lacks the face."""
_DIGITS = 4

Size = tuple[int, int]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A box around a face, in shares (0 to 1) of the width and height of the upright picture."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    @property
    def area(self) -> float:
        """The share of the picture that it covers."""
        return self.width * self.height

    def joined(self, other: "Face") -> "Face":
        """Return the box around both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Face(
            left=left,
            top=top,
            width=max(self.right, other.right) - left,
            height=max(self.bottom, other.bottom) - top,
        )

    def turned(self, degrees: int) -> "Face":
        """Return the box in the picture turned clockwise by a multiple of 90 degrees."""
        turned = self
        for _ in range(degrees // 90 % 4):
            turned = Face(
                left=1 - turned.bottom,
                top=turned.left,
                width=turned.height,
                height=turned.width,
            )
        return turned

    def clipped(self) -> "Face | None":
        """Return the part inside the picture, rounded; None if nothing is inside."""
        left, top = (round(min(max(at, 0.0), 1.0), _DIGITS) for at in (self.left, self.top))
        right, bottom = (round(min(at, 1.0), _DIGITS) for at in (self.right, self.bottom))
        if right <= left or bottom <= top:
            return None
        width, height = round(right - left, _DIGITS), round(bottom - top, _DIGITS)
        return Face(left=left, top=top, width=width, height=height)


Faces = tuple[Face, ...]
"""The faces of one picture, the largest first; empty if there are none."""


def kept(found: Iterable[Face]) -> Faces:
    """Return the faces to keep from all that a detector found: clipped, the largest first."""
    inside = [face for face in (each.clipped() for each in found) if face]
    return tuple(sorted(inside, key=lambda face: -face.area)[:MOST_FACES])


def within_part(faces: Iterable[Face], part: Box, picture: Size) -> Faces:
    """Return the faces that are visible in a part of a picture, in shares of that part.

    The part is a box in pixels: left, top, width, height.
    """
    left, top, width, height = part
    across, down = picture[0] / width, picture[1] / height
    visible = []
    for face in faces:
        moved = Face(
            left=face.left * across - left / width,
            top=face.top * down - top / height,
            width=face.width * across,
            height=face.height * down,
        )
        inside = moved.clipped()
        if inside and inside.area >= _VISIBLE * moved.area:
            visible.append(inside)
    return kept(visible)


def framed(faces: Faces, *, crop: Size, picture: Size) -> Size:
    """Return left and top, in pixels of the picture, of a crop that frames the faces.

    It frames the largest face and as many others as fit together with it. There is room above them
    if they leave any. A face larger than the crop is in its middle.
    """
    shares = (crop[0] / picture[0], crop[1] / picture[1])
    together = _that_fit(faces, shares)
    fits = together.height <= shares[1]
    room = HEADROOM * faces[0].height if fits else 0
    left = together.left + together.width / 2 - shares[0] / 2
    top = together.top + (together.height - room) / 2 - shares[1] / 2
    if fits:
        top = max(top, together.bottom - shares[1])
    return _inside(left, 0, crop, picture), _inside(top, 1, crop, picture)


def _that_fit(faces: Sequence[Face], shares: tuple[float, float]) -> Face:
    together = faces[0]
    for face in faces[1:]:
        wider = together.joined(face)
        if wider.width <= shares[0] and wider.height <= shares[1]:
            together = wider
    return together


def _inside(share: float, side: int, crop: Size, picture: Size) -> int:
    return min(max(round(share * picture[side]), 0), max(picture[side] - crop[side], 0))
