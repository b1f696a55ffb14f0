"""Erases images on request, and answers with receipts.

The API deletes nothing. It sends a message to the role `cleanup`, and then writes the tombstone, so
that the image is gone for every client at once. If it dies between the two, cleanup writes it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol, Self

from aiohttp import web
from pydantic import Field

from api.auth import USER
from api.bodies import read_json
from api.erasure_request import ErasureRequest
from api.images import Images, receipt_url
from api.middlewares import note
from api.problems import Document, Problem, Refusal, json_answer
from api.quotas import Quotas
from safelight import keys, users
from safelight.erasures import By, Receipt, State, Tombstones, entomb
from safelight.erasures import Records as Tombs
from safelight.queued import EraseImage, EraseUser
from safelight.record import Record
from safelight.user_erasures import UserErasure, counts_key

DELAY_SECONDS = 1
"""How long the message stays hidden, so that the tombstone is written by the API as a rule."""
EVERYTHING_COSTS = 100
"""As how many images the erasure of all images of a user counts."""
AT_ONCE = 10
"""How many images of one request are erased at once."""
REMEMBERED_SECONDS = 4 * 24 * 3600
"""How long a message may wait in CleanupQueue: as long, an erasure may have no counts yet."""


class RequestedErasure(Document):
    """The erasure of one image."""

    image_id: str
    state: State = Field(
        description="`requested`; `removed`: nothing is stored; `invalidated`: caches have no "
        "copy; `complete`: a final check found nothing."
    )
    receipt_url: str = Field(description="The path of the receipt on this API.")


class RequestedErasures(Document):
    """The erasures of several images, or the one of all images of a user."""

    images: tuple[RequestedErasure, ...] | None = None
    not_found: tuple[str, ...] | None = Field(
        default=None, description="The ids of which you have no image."
    )
    erasure_id: str | None = None
    status_url: str | None = Field(
        default=None, description="The path of the counts on this API. It is a secret."
    )


class UserErasureCounts(Document):
    """How far the erasure of all images of a user came. It names neither user nor image."""

    state: Literal["requested", "running", "complete"] = Field(
        description="`requested` until the images were looked up for the first time."
    )
    images: int = Field(default=0, description="The images of the user.")
    complete: int = Field(default=0, description="Those whose erasure is complete.")
    bytes: int = Field(default=0, description="The bytes of their sources and variants.")
    completed_at: datetime | None = None

    @classmethod
    def of(cls, counts: UserErasure) -> Self:
        """Describe the counts as they are stored."""
        end = counts.completed_at
        return cls(
            state=counts.state,
            images=counts.images,
            complete=counts.complete,
            bytes=counts.bytes,
            completed_at=None if end is None else datetime.fromtimestamp(end / 1000, UTC),
        )


class Queue(Protocol):
    """CleanupQueue."""

    async def send(self, body: str, *, delay_seconds: int) -> None:
        """Send a message that stays hidden for so many seconds."""
        ...


class Documents(Protocol):
    """The documents beside the sources."""

    async def read(self, key: str, *, lists: bool) -> str | None:
        """Return a document; None if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """What reaches the role `cleanup`, and what it leaves behind."""

    queue: Queue
    tombstones: Tombstones
    documents: Documents


class Erasures:
    """The routes that erase images, and those of the receipts."""

    def __init__(
        self,
        cleanup: Cleanup,
        *,
        records: Tombs,
        images: Images,
        quotas: Quotas,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cleanup = cleanup
        self._records = records
        self._images = images
        self._quotas = quotas
        self._now = now

    async def erase_one(self, request: web.Request) -> web.Response:
        """Answer `DELETE /v1/images/{imageId}`. A repeat answers with the state."""
        record = await self._images.find(request.match_info["imageId"], user_id=request[USER])
        _note(request, record)
        self._limit(request[USER], 1)
        return json_answer(await self._erase(record, request[USER]), status=202)

    async def create(self, request: web.Request) -> web.Response:
        """Answer `POST /v1/erasures`: erase the named images, or all images of a user."""
        asked = await read_json(request, ErasureRequest, context={})
        if asked.image_ids is None:
            answer = await self._erase_user(request, asked.user)
        else:
            answer = await self._erase_several(request[USER], asked.image_ids)
        return json_answer(answer, status=202)

    async def receipt(self, request: web.Request) -> web.Response:
        """Answer `GET /v1/images/{imageId}/erasure` with the receipt as it is now."""
        record = await self._images.find(request.match_info["imageId"], user_id=request[USER])
        _note(request, record)
        try:
            receipt = Receipt.of(record)
        except ValueError as error:
            raise Refusal(Problem.UNKNOWN_ERASURE, "The image is not erased.") from error
        return json_answer(receipt, headers={"Cache-Control": "no-store"})

    async def counts(self, request: web.Request) -> web.Response:
        """Answer `GET /v1/erasures/{erasureId}` with the counts of a user's erasure."""
        erasure_id = request.match_info["erasureId"]
        if not keys.is_image_id(erasure_id):
            raise _unknown()
        text = await self._cleanup.documents.read(counts_key(erasure_id), lists=False)
        if text is None:
            if keys.made_at(erasure_id) < self._now() - REMEMBERED_SECONDS:
                raise _unknown()
            counts = UserErasureCounts(state="requested")
        else:
            counts = UserErasureCounts.of(UserErasure.model_validate_json(text))
        return json_answer(counts, headers={"Cache-Control": "no-store"})

    async def _erase_several(self, user_id: str, image_ids: Sequence[str]) -> RequestedErasures:
        wanted = tuple(dict.fromkeys(image_ids))
        self._limit(user_id, len(wanted))
        images: list[RequestedErasure] = []
        missing: list[str] = []
        for start in range(0, len(wanted), AT_ONCE):
            batch = wanted[start : start + AT_ONCE]
            found = await asyncio.gather(*(self._erase_if_found(one, user_id) for one in batch))
            images += [one for one in found if one is not None]
            missing += [one for one, done in zip(batch, found, strict=True) if done is None]
        return RequestedErasures(images=tuple(images), not_found=tuple(missing))

    async def _erase_if_found(self, image_id: str, user_id: str) -> RequestedErasure | None:
        try:
            record = await self._images.find(image_id, user_id=user_id)
        except Refusal:
            return None
        return await self._erase(record, user_id)

    async def _erase(self, record: Record, user_id: str) -> RequestedErasure:
        """Send the message, unless there is one; write the tombstone, unless there is one."""
        at = self._ms()
        if record.erasure is None or record.erasure.is_stuck(at=at):
            by: By = "owner" if record.user_id == user_id else "admin"
            message = EraseImage(image_id=record.image_id, key=record.original_key, by=by, at=at)
            await self._cleanup.queue.send(message.to_json(), delay_seconds=DELAY_SECONDS)
            record = await entomb(
                record.image_id,
                records=self._records,
                tombstones=self._cleanup.tombstones,
                by=by,
                requested_at=at,
                at=at,
            )
        return RequestedErasure(
            image_id=record.image_id,
            state=record.erasure.state if record.erasure else "requested",
            receipt_url=receipt_url(record.image_id),
        )

    async def _erase_user(self, request: web.Request, named: str | None) -> RequestedErasures:
        client = request[USER]
        user_id = named or client
        if user_id != client:
            if not self._images.is_admin(client):
                raise Refusal(Problem.NOT_AN_ADMIN, "You may erase your own images only.")
            note(request, owner_id=user_id)
        self._limit(client, EVERYTHING_COSTS)
        message = EraseUser(
            erasure_id=keys.new_image_id(),
            user_id=user_id,
            before=self._ms(),
            by="owner" if user_id == client else "admin",
        )
        await self._cleanup.queue.send(message.to_json(), delay_seconds=DELAY_SECONDS)
        note(request, erasure_id=message.erasure_id)
        return RequestedErasures(
            erasure_id=message.erasure_id, status_url=f"/v1/erasures/{message.erasure_id}"
        )

    def _limit(self, user_id: str, images: int) -> None:
        """Count images against the limit of a person. API keys have none."""
        if users.is_person(user_id):
            detail = f"{user_id} has erased too many images."
            self._quotas.take(user_id, detail=detail, tokens=images)

    def _ms(self) -> int:
        return round(1000 * self._now())


def _note(request: web.Request, record: Record) -> None:
    note(request, image_id=record.image_id, image_status=record.status)
    if record.user_id != request[USER]:
        note(request, owner_id=record.user_id)


def _unknown() -> Refusal:
    return Refusal(Problem.UNKNOWN_ERASURE, "There is no erasure of this id.")
