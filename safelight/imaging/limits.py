"""What one picture and one render child may take. Settings take their defaults from here."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a picture may ask for; beyond it the picture is rejected.

    Pixels are counted over the frames that are used: the first one, unless a preset asks for an
    animation. Announced frames are limited all the same, because telling their number takes time.
    """

    max_bytes: int = 64 * MIB
    """Of the source as uploaded."""
    max_pixels: int = 50_000_000
    """Of one frame."""
    max_total_pixels: int = 100_000_000
    """Of all frames used."""
    max_frames: int = 100
    """That the header announces."""
    max_seconds: float = 20
    """For one probe or one render, from its start in a child."""
    child_memory_bytes: int = 3072 * MIB
    """Of one child: beyond it a plan is refused and a decoder stopped. The default is what the
    most pixels of a frame need, transparent and in the hungriest format."""
    max_file_bytes: int = 512 * MIB
    """Of one file that a child writes: more than the most pixels of a frame take as a PNG of 16
    bits a band."""
    spool: Path | None = None
    """The only folder in which a child may read and write; None for that of temporary files."""
    tasks_per_child: int = 500
    """Probes and renders after which a child makes room for a fresh one."""
    accept_damaged: bool = False
    """Take pictures whose decoder warns, such as a JPEG with damage in its scan."""
    accept_svg: bool = False
    """Read SVG drawings: programs rather than pictures, but they refer to nothing outside."""
