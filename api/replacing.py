"""Lets an image of a user wait for a new upload, which replaces its picture.

The image is delivered as it is until the new upload is settled. Uploads that were requested before
no longer count.
"""

from typing import Protocol

from api.images import erased
from api.problems import Fault, Problem, Refusal
from api.upload_tokens import TokenName
from safelight import keys
from safelight.record import Record, Status

MOST_TRIES = 5
"""How often a request is tried while others change the same image."""


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Return an image's record, or None."""
        ...

    async def await_upload(
        self, read: Record, *, token: str, expires_at: int | None
    ) -> Record | None:
        """Let an image as it was read wait for an upload; return None if it changed meanwhile."""
        ...


class Replacing:
    """The request for a new upload of an image. A repeat with the same key changes nothing."""

    def __init__(self, records: Records, *, receipts: bool) -> None:
        """`receipts`: whether this API has the receipts of erased images."""
        self._records = records
        self._receipts = receipts

    async def open(
        self, image_id: str, name: TokenName, *, user_id: str, expires_at: int
    ) -> tuple[Record, bool]:
        """Return the record, which waits for an upload of this name, and whether it is a new one.

        `expires_at` (seconds since 1970) is the end of the record if the image is pending. Raises a
        `Refusal` if the user has no such image, or this upload was settled before.
        """
        for _ in range(MOST_TRIES):
            read = await self._find(image_id, user_id=user_id)
            if _is_awaited(read, name):
                return read, False
            end = None if read.status.settled else expires_at
            token = name.new_token()
            if opened := await self._records.await_upload(read, token=token, expires_at=end):
                return opened, True
        raise Refusal(Problem.CHANGED_MEANWHILE, "Others request uploads of this image too.")

    async def _find(self, image_id: str, *, user_id: str) -> Record:
        record = await self._records.get(image_id)
        if record is None or record.user_id != user_id:
            raise Refusal(Problem.UNKNOWN_IMAGE, "You have no image of this id.")
        if record.status is Status.ERASED:
            raise erased("The image was erased.", record, receipts=self._receipts)
        if keys.read_source_key(record.original_key) != (user_id, image_id):
            fault = Fault(
                pointer="#/imageId",
                detail="names an image that was stored without this API: overwrite its object.",
            )
            raise Refusal(Problem.INVALID_REQUEST, "1 member is not valid.", errors=[fault])
        return record


def _is_awaited(read: Record, name: TokenName) -> bool:
    """Return whether an image waits for an upload of this name."""
    for token in (read.upload_token, read.settled_token):
        if token and name.is_of(token) and not name.has_same_body(token):
            raise Refusal(
                Problem.IDEMPOTENCY_KEY_REUSED,
                "This Idempotency-Key was used for a different request.",
            )
    if name.is_of(read.settled_token):
        raise already_settled(read)
    return name.is_of(read.upload_token)


def already_settled(record: Record) -> Refusal:
    """Return the refusal of a request whose upload has been settled."""
    return Refusal(
        Problem.ALREADY_SETTLED,
        "The upload of this Idempotency-Key has arrived and was processed.",
        status_url=f"/v1/images/{record.image_id}",
    )
