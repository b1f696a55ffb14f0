"""The engine: it probes, plans and renders pictures, and knows neither buckets nor URLs.

The names below are its interface as a library; docs/guide/engine.md has an example. It is the only
package that imports pyvips.
"""

from safelight.errors import Misconfigured, Reason, Rejection, Unavailable
from safelight.imaging.limits import Limits
from safelight.imaging.plan import Plan, plan
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
    "plan",
]
