"""Collect what the options of one URL say, in the terms of a wish."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from api.dialects.image_url import ImageUrl, SourceName
from safelight.wish.operations import Operation
from safelight.wish.options import Crop, Options, Point, Trim


@dataclass(slots=True)
class Draft:
    """The options read so far. A dialect adds fields for options that only it has."""

    trim: Trim | None = None
    turn: int = 0
    crop: Crop | None = None
    width: int | None = None
    height: int | None = None
    fit: str = "inside"
    swap: bool = False
    gravity: str = "centre"
    focal: Point | None = None
    enlarge: bool = False
    density: float = 1
    flip: str = ""
    operations: list[Operation] = field(default_factory=list)
    background: str = "ffffff"
    format: str | None = None
    quality: int | None = None
    qualities: dict[str, int] = field(default_factory=dict)
    """Format -> the quality to use for it, unless `quality` is set."""
    max_bytes: int | None = None
    keep_copyright: bool = False
    expires: datetime | None = None
    max_age_seconds: int | None = None
    download: bool = False
    """Whether browsers save the picture instead of showing it."""
    file_name: str | None = None
    """The name to save it under, perhaps without an extension."""
    preset: str | None = None
    differs: dict[str, str] = field(default_factory=dict)
    """Option -> how the picture differs from the other system's."""

    def options(self, **other: Any) -> Options:
        """Build the wish; keywords replace fields. Raises an `InvalidOption`."""
        values = {each.name: getattr(self, each.name) for each in fields(Options)}
        if self.quality is None:
            values["quality"] = self.qualities.get(self.format or "")
        values["operations"] = tuple(self.operations)
        return Options(**values | other)

    def image_url(self, dialect: str, source: SourceName, options: Options) -> ImageUrl:
        """Build what the URL asks for. A download without a name has the source's."""
        source_name = source.key.rpartition("/")[2] if self.download else None
        return ImageUrl(
            dialect=dialect,
            source=source,
            options=options,
            preset=self.preset,
            expires=self.expires,
            max_age_seconds=self.max_age_seconds,
            download=self.download,
            file_name=self.file_name or source_name,
            differs=tuple(self.differs.items()),
        )
