"""Opens the envelopes around the documents of a message's body, whatever is in the documents.

S3's events reach a queue directly, through SNS (perhaps twice, with a topic that feeds a topic),
or through an EventBridge pipe, which sends lists of them.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safelight.errors import Unreadable

DEEPEST = 8
"""The most envelopes around a document."""
SUBSCRIPTIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
"""Kinds of messages in which SNS asks about a subscription."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The documents of a body, in their order, and the faults of envelopes."""

    documents: tuple[Mapping[str, Any], ...]
    faults: tuple[Unreadable, ...]


def parsed(body: str) -> object:
    """Parse a message's body as a JSON object or list, or raise `Unreadable`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is not JSON") from error
    if not isinstance(document, dict | list):
        raise Unreadable("the body is not a JSON object")
    return document


def opened(document: object) -> Opened:
    """Return the documents in a parsed body. There is at least one document, or one fault."""
    documents: list[Mapping[str, Any]] = []
    faults: list[Unreadable] = []
    waiting = deque([(document, 0)])
    while waiting:
        one, depth = waiting.popleft()
        try:
            inside = _inside(one, depth)
        except Unreadable as fault:
            faults.append(fault)
        else:
            if isinstance(one, dict) and inside is None:
                documents.append(one)
            waiting.extendleft((part, depth + 1) for part in reversed(inside or ()))
    return Opened(documents=tuple(documents), faults=tuple(faults))


def _inside(document: object, depth: int) -> Sequence[object] | None:
    """Return the contents of an envelope; None for a document. Raises `Unreadable`."""
    if depth > DEEPEST:
        raise Unreadable(f"the body has more than {DEEPEST} envelopes")
    if isinstance(document, list):
        if not document:
            raise Unreadable("the body is an empty list")
        return document
    if not isinstance(document, dict):
        raise Unreadable("a part of the body is not a JSON object")
    texts = (open_envelope(document) for open_envelope in _ENVELOPES)
    text = next((text for text in texts if isinstance(text, str)), None)
    return None if text is None else [parsed(text)]


def _notification(document: Mapping[str, Any]) -> object:
    """Return the message in SNS's envelope. With raw delivery there is none."""
    return document.get("Message") if document.get("Type") == "Notification" else None


def _queued(document: Mapping[str, Any]) -> object:
    """Return the body of a message of SQS, as a pipe that reads a queue sends it."""
    return document.get("body") if document.get("eventSource") == "aws:sqs" else None


_ENVELOPES: tuple[Callable[[Mapping[str, Any]], object], ...] = (_notification, _queued)
"""Each returns the text in its envelope, and anything but a text for other documents."""
