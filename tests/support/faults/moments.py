"""Interrupts programs at any of the calls that they make about one image."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from tests.support.faults.proxy import Answer, Call, Fault, FaultProxy, Forward, Rule

_IMAGE_ID = re.compile(r"(?<![0-9A-Z])[0-9A-HJKMNP-TV-Z]{26}(?![0-9A-Z])")
_RECEIPT = re.compile(r'"ReceiptHandle": ?"(.*?)"')
_INVALIDATION_ID = re.compile(r"<Id>(.*?)</Id>")
_RENEWAL = "ChangeMessageVisibilityBatch"
READS = frozenset({"GetInvalidation", "GetItem", "GetObject", "HeadObject"})
"""Calls that change nothing: a kill before one of them leaves what one after the last call does."""


@dataclass
class _Planned:
    number: int
    fault: Fault
    operation: str | None
    made: bool = False

    def takes(self, calls: Sequence[str]) -> bool:
        """Return whether the last of these calls is the planned one."""
        own = [one for one in calls if self.operation in (None, one)]
        return not self.made and len(own) == self.number and calls[-1] == own[-1]


class Moments:
    """Numbers the calls about each image from 1, in the order of their arrival.

    Most calls name their image. Receipts and ids of invalidations do not, but the answers that
    issued them do. Renewals of leases and retries of the SDK are not numbered.
    """

    def __init__(
        self,
        proxy: FaultProxy,
        *,
        made_by: Callable[[str], bool],
        without: Collection[str] = (),
    ) -> None:
        """Number the calls of these callers, without some operations.

        Rules of the proxy that are added later see no call at all.
        """
        self._made_by = made_by
        self._without = {*without, _RENEWAL}
        self._calls: defaultdict[str, list[str]] = defaultdict(list)
        self._planned: dict[str, _Planned] = {}
        self._issued: dict[str, set[str]] = {}
        """The images of each receipt and invalidation."""
        proxy.watch(self._learn)
        proxy.add(Rule("*", self._meet))

    def plan(
        self, image_id: str, number: int, fault: Fault, *, operation: str | None = None
    ) -> None:
        """Apply a fault to the call of this number from now on, among all or of an operation."""
        self._calls[image_id].clear()
        self._planned[image_id] = _Planned(number, fault, operation)

    def calls(self, image_id: str) -> list[str]:
        """Return the operations of the calls about an image."""
        return self._calls[image_id]

    @property
    def missed(self) -> list[str]:
        """The images whose planned call was not made, with its number and the calls instead."""
        return [
            f"{image_id}, call {planned.number}: {self._calls[image_id]}"
            for image_id, planned in self._planned.items()
            if planned.number and not planned.made
        ]

    async def _meet(self, call: Call, forward: Forward) -> Answer:
        fault: Fault | None = None
        counts = call.attempt == 1 and call.operation not in self._without
        if counts and self._made_by(call.caller):
            for image_id in self._images(call):
                self._calls[image_id].append(call.operation)
                planned = self._planned.get(image_id)
                if planned and planned.takes(self._calls[image_id]):
                    planned.made, fault = True, planned.fault
        return await (fault(call, forward) if fault else forward())

    def _images(self, call: Call) -> set[str]:
        body = unquote_plus(call.body.decode(errors="replace"))
        text = f"{call.path}?{call.query}\n{body}"
        images = set(_IMAGE_ID.findall(text))
        for name in (*_RECEIPT.findall(text), call.path.rpartition("/")[2]):
            images |= self._issued.get(name, set())
        return images

    def _learn(self, call: Call, answer: Answer) -> None:
        """Note the images of the receipts and of the invalidation in an answer."""
        if call.operation == "ReceiveMessage" and answer.status == 200:
            for message in json.loads(answer.body).get("Messages", ()):
                self._issued[message["ReceiptHandle"]] = set(_IMAGE_ID.findall(message["Body"]))
        elif call.operation == "CreateInvalidation":
            images = set(_IMAGE_ID.findall(call.body.decode()))
            self._issued |= dict.fromkeys(_INVALIDATION_ID.findall(answer.body.decode()), images)
