"""Lets services fail at random: a few seconds of one fault at a time."""

import asyncio
import random
from dataclasses import dataclass

from tests.support.faults.proxy import (
    Fault,
    FaultProxy,
    Rule,
    answer_lost,
    delayed,
    refused,
    reset,
    stalled,
    truncated,
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One fault, the operation that it applies to, and the share of those calls."""

    name: str
    operation: str
    fault: Fault
    share: float = 1.0


_KINDS = (
    _Kind("S3 throttles", "s3", refused(503, "SlowDown"), 0.3),
    _Kind("S3 is down", "s3", refused(503, "ServiceUnavailable")),
    _Kind("S3 resets connections", "s3", reset, 0.3),
    _Kind("S3's answers are lost", "s3", answer_lost, 0.3),
    _Kind("sources end early", "GetObject", truncated(1000), 0.5),
    _Kind("sources stall", "GetObject", stalled(1000), 0.1),
    _Kind("DynamoDB throttles", "dynamodb", refused(400, "ThrottlingException"), 0.3),
    _Kind("DynamoDB is down", "dynamodb", refused(500, "InternalServerError")),
    _Kind("commits' answers are lost", "UpdateItem", answer_lost, 0.5),
    _Kind("SNS is down", "sns", refused(503, "ServiceUnavailable")),
    _Kind("publishes' answers are lost", "Publish", answer_lost, 0.5),
    _Kind("SQS is down", "sqs", refused(503, "ServiceUnavailable")),
    _Kind("SQS's answers are lost", "sqs", answer_lost, 0.3),
    _Kind("everything is slow", "*", delayed(0.5), 0.5),
)


class Weather:
    """Alternates between some seconds without faults and some with one."""

    def __init__(self, proxy: FaultProxy, draw: random.Random, *, fair_seconds: float) -> None:
        self.seen: list[str] = []
        """The faults so far, in order."""
        self._proxy = proxy
        self._draw = draw
        self._fair_seconds = fair_seconds

    async def change_forever(self) -> None:
        """Start and end one fault after another, until cancelled."""
        while True:
            await asyncio.sleep(self._draw.expovariate(1 / self._fair_seconds))
            kind = self._draw.choice(_KINDS)
            self.seen.append(kind.name)
            rule = self._proxy.add(Rule(kind.operation, kind.fault, share=kind.share))
            try:
                await asyncio.sleep(self._draw.uniform(1, 10))
            finally:
                rule.on = False
