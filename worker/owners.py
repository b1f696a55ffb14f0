"""Finds the user of a message in its body. Used to share slots and room, never to grant access.

S3's events and ingests contain a key, which names the user. A demand names no user, so each image
counts as one. A body that cannot be read belongs to `UNKNOWN`.
"""

from safelight import keys
from safelight.errors import Unreadable
from safelight.queued import Demand, Ingest, is_ours, read_queued
from worker.envelopes import parsed
from worker.events import first_key

UNKNOWN = ""
"""The user of a body that cannot be read."""


def user_of(body: str) -> str:
    """Return the user of a message; if it has events of several users, the first event's."""
    try:
        document = parsed(body)
        if not is_ours(document):
            key = first_key(document)
            return UNKNOWN if key is None else keys.owner_of(key)
        match read_queued(document):
            case Demand(image_id=image_id):
                return f"image:{image_id}"
            case Ingest(key=key):
                return keys.owner_of(key)
    except (Unreadable, ValueError, RecursionError):  # the handler reports the fault
        return UNKNOWN
