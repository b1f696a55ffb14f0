"""Processes the messages of CleanupQueue."""

from safelight.aws.queue import Message
from safelight.errors import Unreadable, WrongQueue
from safelight.queued import EraseImage, OfCleanup, read_cleanup
from worker.cleanup.erase_image import ImageErasures
from worker.envelopes import parsed
from worker.events import is_event
from worker.verdict import Progress


class Cleanup:
    """Does what the messages ask for, after reading the records."""

    def __init__(self, *, images: ImageErasures) -> None:
        self._images = images

    async def process(self, message: Message) -> Progress:
        """Take one step, and return the progress.

        Raises `WrongQueue` for a message of another role, `Unreadable` for one that is not ours.
        """
        match read_message(message.body):
            case EraseImage() as erasure:
                return await self._images.go_on(erasure)
            case other:
                raise Unreadable(f"{other.type} is not processed by this version")


def read_message(body: str) -> OfCleanup:
    """Parse a message's body."""
    document = parsed(body)
    if is_event(document):
        raise WrongQueue("an event of S3 is not a message for the role cleanup")
    return read_cleanup(document)
