"""The role `renders`: renders what delivery demands, and settles sources by key.

A sender may be mistaken or hostile, so only names are taken from messages. Events of S3 are refused
here: only S3 may report what happened in the bucket, and it has its own queue.
"""

from safelight.aws.queue import Message
from safelight.errors import WrongQueue
from safelight.queued import Demand, Ingest, read_queued
from worker.demands import Demands
from worker.envelopes import parsed
from worker.events import is_event
from worker.ingest import Ingests
from worker.verdict import Progress


class Renders:
    """Processes the messages of RendersQueue."""

    def __init__(self, *, demands: Demands, ingests: Ingests) -> None:
        self._demands = demands
        self._ingests = ingests

    async def process(self, message: Message) -> Progress:
        """Do what a message asks for, and return the progress.

        Raises `WrongQueue` for an event of S3, `Unreadable` for any other message that is not ours.
        """
        match read_renders(message.body):
            case Demand() as demand:
                return await self._demands.meet(demand)
            case Ingest() as ingest:
                return await self._ingests.settle(ingest)


def read_renders(body: str) -> Demand | Ingest:
    """Parse a message's body."""
    document = parsed(body)
    if is_event(document):
        raise WrongQueue("an event of S3 is not a message for the role renders")
    return read_queued(document)
