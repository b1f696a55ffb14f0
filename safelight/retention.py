"""Retention: until when an image is kept. A sweep erases it later; the table never expires it."""

from pydantic import Field

from safelight.settings import Settings

MOST_KEEP_DAYS = 3650
"""The longest retention that can be chosen, in days. Without a choice an image is kept for good."""
_DAY_MS = 24 * 3600 * 1000


class RetentionSettings(Settings):
    """Settings of the programs that decide how long an image is kept."""

    keep_days: int | None = Field(
        default=None,
        ge=1,
        le=MOST_KEEP_DAYS,
        description="Days for which an image is kept from its upload on, unless the upload names "
        "its own `keepDays`; the same for API and workers. By default images are kept for good.",
    )


def keep_until(uploaded_at: int, days: int | None) -> int | None:
    """Return when an image has been kept for so many days; None if it is kept for good.

    Both times are milliseconds since 1970.
    """
    return None if days is None else uploaded_at + days * _DAY_MS
