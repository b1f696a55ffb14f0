"""Processes the messages of CleanupQueue."""

from safelight.aws.queue import Message
from safelight.errors import WrongQueue
from safelight.queued import (
    DeleteAssets,
    DeleteVersion,
    EraseImage,
    EraseUser,
    OfCleanup,
    read_cleanup,
)
from worker.cleanup.delete_objects import Objects
from worker.cleanup.erase_image import ImageErasures
from worker.cleanup.erase_user import UserErasures
from worker.envelopes import parsed
from worker.events import is_event
from worker.verdict import Progress


class Cleanup:
    """Does what the messages ask for, after reading the records."""

    def __init__(self, *, images: ImageErasures, users: UserErasures, objects: Objects) -> None:
        self._images = images
        self._users = users
        self._objects = objects

    async def process(self, message: Message) -> Progress:
        """Take one step, and return the progress.

        Raises `WrongQueue` for a message of another role, `Unreadable` for one that is not ours.
        """
        match read_message(message.body):
            case EraseImage() as image:
                return await self._images.go_on(image)
            case EraseUser() as user:
                return await self._users.go_on(user)
            case DeleteVersion() as version:
                return await self._objects.delete_version(version)
            case DeleteAssets() as assets:
                return await self._objects.delete_assets(assets)


def read_message(body: str) -> OfCleanup:
    """Parse a message's body."""
    document = parsed(body)
    if is_event(document):
        raise WrongQueue("an event of S3 is not a message for the role cleanup")
    return read_cleanup(document)
