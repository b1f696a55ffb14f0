"""Limits on one picture and on one render child, each declared once with its description."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

MIB = 1024**2


class AdjustableLimits(BaseModel):
    """Limits that operators may set. A picture that exceeds one of the first is rejected.

    Pixels and frames are counted over the frames that are used: the first frame, unless a preset
    keeps animations.
    """

    max_bytes: int = Field(default=64 * MIB, ge=1, description="Largest source, in bytes.")
    max_pixels: int = Field(default=50_000_000, ge=1, description="Most pixels of one frame.")
    max_total_pixels: int = Field(
        default=100_000_000, ge=1, description="Most pixels of all frames used."
    )
    max_frames: int = Field(
        default=100, ge=1, description="Most frames of an animation, if a preset keeps it."
    )
    max_seconds: float = Field(
        default=20, gt=0, description="Longest time for one probe or one render, in seconds."
    )
    child_memory_bytes: int = Field(
        default=3072 * MIB,
        ge=64 * MIB,
        description="Memory that one render child may use; by default 3 GiB, or 60 % of the "
        "available memory if that is less. A picture predicted to need more is rejected.",
    )
    """3 GiB suffice for a transparent frame of `max_pixels` in the format that needs the most."""
    tasks_per_child: int = Field(
        default=500,
        ge=1,
        description="Probes and renders after which a child is replaced by a new one.",
    )
    accept_damaged: bool = Field(
        default=False,
        description="Whether a picture with damaged data is rendered as far as it can be decoded.",
    )
    accept_svg: bool = Field(
        default=False,
        description="Whether SVG drawings are rendered; they can refer to nothing outside.",
    )


class Limits(AdjustableLimits):
    """All limits that a render child obeys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_file_bytes: int = 512 * MIB
    """The largest file that a child may write: more than a frame of `max_pixels` takes as a PNG
    of 16 bits per band."""
    spool: Path | None = None
    """The only folder in which a child may read and write; None for the temporary folder."""
