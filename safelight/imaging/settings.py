"""Settings of every program that renders: worker, API and the operators' command."""

import contextlib
import math
import os
import tempfile
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from safelight.face_settings import NO_FACES, FaceSettings
from safelight.imaging.admission import default_budget_bytes
from safelight.imaging.limits import MIB, AdjustableLimits, Limits
from safelight.presets import InvalidPresets, Preset, load_presets

_DECLARED = AdjustableLimits.model_fields


def _default_slots() -> int:
    """Count the CPUs that this process may use, by affinity and by the container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count or 1, math.ceil(int(quota) / int(period)))
    return max(1, count or 1)


def _default_child_memory_bytes() -> int:
    """Return 3 GiB, or the memory budget if less: beyond it the kernel would end the whole task."""
    return min(Limits().child_memory_bytes, default_budget_bytes())


class RenderSettings(AdjustableLimits, FaceSettings):
    """The presets, the resources for rendering, and the limits on pictures."""

    presets: Path = Field(
        default=Path("presets.toml"), description="The file that declares the variants."
    )

    slots: int = Field(
        default_factory=_default_slots,
        ge=1,
        le=256,
        description="Pictures rendered at once, each in a child process; by default one per CPU "
        "of the machine or the container. Set this on ECS: the task's CPU limit is not visible in "
        "the container.",
    )
    memory_budget_bytes: int = Field(
        default_factory=default_budget_bytes,
        ge=64 * MIB,
        description="Predicted memory of all concurrent renders, in bytes; by default 60 % of the "
        "memory of the container, or else of the machine. On ECS give the container a memory limit "
        "of its own: the task's is not visible in it.",
    )
    spool: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / "safelight",
        description="Folder for pictures while they are processed; by default `safelight` in the "
        "folder for temporary files.",
    )

    child_memory_bytes: int = Field(
        default_factory=_default_child_memory_bytes,
        ge=64 * MIB,
        description=_DECLARED["child_memory_bytes"].description,
    )

    @field_validator("max_total_pixels")
    @classmethod
    def _not_less_than_one_frame(cls, total: int, info: ValidationInfo) -> int:
        if total < info.data.get("max_pixels", total):
            raise ValueError("must not be less than SAFELIGHT_MAX_PIXELS")
        return total

    def load_presets(self, path: Path | None = None) -> tuple[Preset, ...]:
        """Read the presets, by default those of the setting. Raises `InvalidPresets`.

        One that frames faces is a fault if no one looks for faces.
        """
        path = path or self.presets
        presets = load_presets(path)
        blind = [] if self.looks_for_faces else [one for one in presets if one.wish.needs_faces]
        if blind:
            raise InvalidPresets([f"{path}: [{one.name}] gravity: {NO_FACES}" for one in blind])
        return presets

    @property
    def limits(self) -> Limits:
        """The limits that render children obey."""
        return Limits(
            **{name: getattr(self, name) for name in _DECLARED},
            # A PNG of four bands of 16 bits rarely takes more than eight bytes per pixel.
            max_file_bytes=max(Limits().max_file_bytes, 10 * self.max_total_pixels),
            spool=self.spool,
        )
