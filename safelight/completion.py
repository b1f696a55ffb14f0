"""The event that says an image is settled, as a CloudEvent. Pure: knows nothing about SNS.

CloudEvents 1.0, JSON format, structured mode (https://github.com/cloudevents/spec, v1.0.2). The id
is the same whenever an outcome is published again, so that receivers can drop duplicates.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from safelight.record import Record, Status

SOURCE = "/safelight"
TYPES: Mapping[Status, str] = {
    Status.COMPLETED: "safelight.image.completed",
    Status.REJECTED: "safelight.image.rejected",
}
MAX_BYTES = 250 * 1024
"""The longest event, in bytes. SNS and SQS accept 256 KiB, including attributes."""

_PUBLIC = {
    "image_id", "user_id", "uploaded_at", "filename", "tags", "status", "reason", "detail",
    "original_key", "original_size", "media_type", "sha256", "width", "height", "placeholder",
    "dominant_colour", "perceptual_hash", "variants", "failed_variants",
    "processing_time_ms", "render_time_ms", "completed_at",
}  # fmt: skip
_LEFT_OUT_FIRST = ("failedVariants", "detail", "variants", "tags", "filename")
"""Facts dropped from a completion that is too long, in this order. The record keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The completion of one settled image. `data` holds the public facts of its record."""

    id: str
    type: str
    subject: str
    time: str
    outcome: str
    user_id: str
    data: Mapping[str, Any]

    @classmethod
    def of(cls, record: Record) -> Self:
        """Build the completion of a settled record."""
        settled_at = record.uploaded_at if record.completed_at is None else record.completed_at
        return cls(
            id=f"{record.image_id}:{record.revision_tag}:{record.status}",
            type=TYPES[record.status],
            subject=record.image_id,
            time=_rfc3339(settled_at),
            outcome=str(record.status),
            user_id=record.user_id,
            data=_facts(record),
        )

    def to_json(self) -> str:
        """Return the event as JSON of at most `MAX_BYTES`.

        It is plain ASCII: each character is one byte, and SNS accepts all of them. `data.leftOut`
        lists facts that did not fit.
        """
        data = dict(self.data)
        text = self._written(data)
        for name in _LEFT_OUT_FIRST:
            if len(text) <= MAX_BYTES:
                break
            if data.pop(name, None) is not None:
                data["leftOut"] = [*data.get("leftOut", ()), name]
                text = self._written(data)
        return text

    def _written(self, data: Mapping[str, Any]) -> str:
        event = {
            "specversion": "1.0",
            "id": self.id,
            "source": SOURCE,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "data": data,
        }
        return json.dumps(event, separators=(",", ":"))


def _facts(record: Record) -> dict[str, Any]:
    facts = record.model_dump(by_alias=True, exclude_none=True, mode="json", include=_PUBLIC)
    facts["revisionTag"] = record.revision_tag
    if (savings := record.savings_percent) is not None:
        facts["savingsPercent"] = savings
    return facts


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
