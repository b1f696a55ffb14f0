"""Finds the preset file that a command uses."""

from pathlib import Path

from safelight.imaging.settings import RenderSettings

SHIPPED = Path(__file__).resolve().parents[1] / "presets.toml"


def presets_of(settings: RenderSettings) -> Path:
    """Return the configured file; if none is configured and the default is missing, our own."""
    chosen = "presets" in settings.model_fields_set
    return settings.presets if chosen or settings.presets.exists() else SHIPPED
