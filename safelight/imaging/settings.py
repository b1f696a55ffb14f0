"""What whoever renders is told by its environment: worker, api and operator alike."""

import contextlib
import math
import os
import tempfile
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from safelight.imaging.admission import default_budget_bytes
from safelight.imaging.limits import Limits
from safelight.settings import Settings

_DEFAULTS = Limits()


def _default_slots() -> int:
    """Count the CPUs that this process may use: by affinity, and by the container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count or 1, math.ceil(int(quota) / int(period)))
    return max(1, count or 1)


def _default_child_memory_bytes() -> int:
    """No child may use more than all of them together: the kernel would end the whole task."""
    return min(_DEFAULTS.child_memory_bytes, default_budget_bytes())


class RenderSettings(Settings):
    """What whoever renders is told: the presets, and what a picture may take."""

    presets: Path = Field(
        default=Path("presets.toml"), description="The file that declares the variants."
    )

    slots: int = Field(
        default_factory=_default_slots,
        ge=1,
        le=256,
        description="Pictures rendered at once, each in a child process; by default one a "
        "CPU of the machine or the container. Tell it on ECS, whose tasks have limits that nobody "
        "sees inside.",
    )
    memory_budget_bytes: int = Field(
        default_factory=default_budget_bytes,
        ge=64 * 1024**2,
        description="Predicted memory of all renders at once; by default 60 % of what the "
        "container, or else the machine, has. On ECS the container must have a limit of its own: "
        "of the task's it sees nothing.",
    )
    spool: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / "safelight",
        description="Where pictures are kept while they are worked on.",
    )

    max_bytes: int = Field(
        default=_DEFAULTS.max_bytes, ge=1, description="Largest source, in bytes."
    )
    max_pixels: int = Field(
        default=_DEFAULTS.max_pixels, ge=1, description="Most pixels of one frame."
    )
    max_total_pixels: int = Field(
        default=_DEFAULTS.max_total_pixels, ge=1, description="Most pixels of all frames used."
    )
    max_frames: int = Field(default=_DEFAULTS.max_frames, ge=1, description="Most frames.")
    max_seconds: float = Field(
        default=_DEFAULTS.max_seconds, gt=0, description="Longest time for one picture."
    )
    child_memory_bytes: int = Field(
        default_factory=_default_child_memory_bytes,
        ge=64 * 1024**2,
        description="Memory that one render child may use; by default 3 GiB, or 60 % of what "
        "there is where that is less. A picture predicted to need more is rejected.",
    )
    tasks_per_child: int = Field(
        default=_DEFAULTS.tasks_per_child,
        ge=1,
        description="Probes and renders after which a child makes room for a fresh one.",
    )
    accept_damaged: bool = Field(
        default=_DEFAULTS.accept_damaged,
        description="Whether a picture with damage in its data is rendered as far as it goes.",
    )

    accept_svg: bool = Field(
        default=_DEFAULTS.accept_svg,
        description="Whether SVG drawings are rendered; they can refer to nothing outside.",
    )

    @field_validator("max_total_pixels")
    @classmethod
    def _not_less_than_one_frame(cls, total: int, info: ValidationInfo) -> int:
        if total < info.data.get("max_pixels", total):
            raise ValueError("must not be less than SAFELIGHT_MAX_PIXELS")
        return total

    @property
    def limits(self) -> Limits:
        """What a picture may take."""
        return Limits(
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
            max_total_pixels=self.max_total_pixels,
            max_frames=self.max_frames,
            max_seconds=self.max_seconds,
            child_memory_bytes=self.child_memory_bytes,
            # A PNG of four bands of 16 bits hardly has more than eight bytes a pixel.
            max_file_bytes=max(_DEFAULTS.max_file_bytes, 10 * self.max_total_pixels),
            spool=self.spool,
            tasks_per_child=self.tasks_per_child,
            accept_damaged=self.accept_damaged,
            accept_svg=self.accept_svg,
        )
