"""Observes calls through a proxy: which worker holds a picture, and how soon others recover it."""

import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote_plus

from safelight import keys
from tests.support.faults.proxy import Answer, Call
from tests.support.faults.remains import is_of_erasure

T = TypeVar("T", int, float)


class Witness:
    """Records which worker held which picture when.

    It must watch before the first event is sent (`proxy.watch(witness.see)`), and `killed` must be
    called at every kill.
    """

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}
        """The worker that received an image last, until it is published."""
        self._sent: dict[str, float] = {}
        """Times at which events were sent, of images that were received only once so far."""
        self._killed: dict[str, float] = {}
        self.undisturbed: dict[str, float] = {}
        """Seconds from sent to published, of images that were received only once."""
        self.recoveries: dict[str, float] = {}
        """Seconds from the kill of the worker that held an image until it was published."""

    def killed(self, worker: str) -> list[str]:
        """Note that a worker was killed just now; return the images that it held."""
        held = [image_id for image_id, holder in self._holders.items() if holder == worker]
        self._killed |= dict.fromkeys(held, time.time())
        return held

    def late(self, visibility_seconds: float) -> list[str]:
        """List the recoveries that took longer than the row allows: V + p99 + 2 s, where p99 is
        that of undisturbed images. The invariant finds images that never were recovered.
        """
        most = visibility_seconds + self.p99 + 2
        return [
            f"{image_id} was recovered {seconds:.1f} s after the kill, not within {most:.1f} s"
            for image_id, seconds in self.recoveries.items()
            if seconds > most
        ]

    def summary(self) -> str:
        """Summarise the times of undisturbed and of recovered pictures."""
        longest = max(self.recoveries.values(), default=math.nan)
        return (
            f"{len(self.undisturbed)} pictures undisturbed, p99 {self.p99:.1f} s from sent to "
            f"published; {len(self.recoveries)} held by a worker that was killed, published at "
            f"most {longest:.1f} s later"
        )

    @property
    def p99(self) -> float:
        """The 99th percentile of the times of undisturbed images, in seconds."""
        return quantile(self.undisturbed.values(), 0.99) if self.undisturbed else math.nan

    def see(self, call: Call, answer: Answer) -> None:
        """Record one call and its answer."""
        if answer.status != 200:
            return
        if call.operation == "ReceiveMessage":
            for message in json.loads(answer.body).get("Messages", ()):
                self._receive(call.caller, message)
        elif call.operation == "Publish":
            self._publish(json.loads(parse_qs(call.body.decode())["Message"][0]))

    def _receive(self, worker: str, message: Mapping[str, Any]) -> None:
        for image_id in _images(message):
            self._holders[image_id] = worker
            if message["Attributes"]["ApproximateReceiveCount"] == "1":
                self._sent[image_id] = int(message["Attributes"]["SentTimestamp"]) / 1000
            else:
                self._sent.pop(image_id, None)

    def _publish(self, event: Mapping[str, Any]) -> None:
        image_id = event["subject"]
        self._holders.pop(image_id, None)
        if is_of_erasure(event):
            self._sent.pop(image_id, None)
            self._killed.pop(image_id, None)
        if image_id in self._sent:
            self.undisturbed[image_id] = time.time() - self._sent.pop(image_id)
        if image_id in self._killed:
            self.recoveries[image_id] = time.time() - self._killed.pop(image_id)


def _images(message: Mapping[str, Any]) -> list[str]:
    """List the image ids in a message in S3's own form. Others are of no picture."""
    owners = [
        keys.read_source_key(unquote_plus(record["s3"]["object"]["key"]))
        for record in json.loads(message["Body"]).get("Records", ())
    ]
    return [owner[1] for owner in owners if owner]


def quantile(values: Iterable[T], share: float) -> T:
    """Return the smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
