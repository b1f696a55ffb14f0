"""The engine: it probes, plans and renders pictures, and knows neither buckets nor URLs.

The names below and `safelight.imaging.plan.plan` are its interface as a library;
docs/guide/engine.md has an example. It is the only package that imports pyvips.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safelight.errors import Misconfigured, Reason, Rejection, Unavailable
    from safelight.imaging.limits import Limits
    from safelight.imaging.plan import Plan
    from safelight.imaging.pool import RenderPool
    from safelight.imaging.probe import Probe
    from safelight.imaging.render import RenderedVariant, Rendering
    from safelight.imaging.spool import Spool
    from safelight.presets import InvalidPresets, Preset, load_presets
    from safelight.wish.wish import Wish

__all__ = [
    "InvalidPresets",
    "Limits",
    "Misconfigured",
    "Plan",
    "Preset",
    "Probe",
    "Reason",
    "Rejection",
    "RenderPool",
    "RenderedVariant",
    "Rendering",
    "Spool",
    "Unavailable",
    "Wish",
    "load_presets",
]

_MODULES = {
    "InvalidPresets": "safelight.presets",
    "Limits": "safelight.imaging.limits",
    "Misconfigured": "safelight.errors",
    "Plan": "safelight.imaging.plan",
    "Preset": "safelight.presets",
    "Probe": "safelight.imaging.probe",
    "Reason": "safelight.errors",
    "Rejection": "safelight.errors",
    "RenderPool": "safelight.imaging.pool",
    "RenderedVariant": "safelight.imaging.render",
    "Rendering": "safelight.imaging.render",
    "Spool": "safelight.imaging.spool",
    "Unavailable": "safelight.errors",
    "Wish": "safelight.wish.wish",
    "load_presets": "safelight.presets",
}
"""The module of each name. They are imported on first use, because the API reads the settings of
this package in every role, and a process that only presigns must not load libvips."""


def __getattr__(name: str) -> Any:
    """Import the module of a name and return the name's value."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
