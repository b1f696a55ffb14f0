"""Issues upload URLs: checks the request, writes the pending record, signs one exact upload."""

import re
import time
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from api import replacing
from api.auth import USER
from api.bodies import read_json
from api.images import erased
from api.metrics import ApiMetrics
from api.middlewares import note
from api.problems import Problem, Refusal, json_answer
from api.quotas import Quotas
from api.replacing import Replacing, already_settled
from api.upload_documents import UploadIssued, UploadRequest
from api.upload_tokens import TokenName
from safelight import keys, users
from safelight.aws.presign import PresignedPost, PresignedPut
from safelight.image_ids import ImageIds
from safelight.record import Record, Status
from safelight.retention import keep_until

A_DAY = 24 * 3600
PENDING_SECONDS = 30 * A_DAY
"""How long the record of a pending upload is kept after its URL has ended. A message may wait in
the queue, then as a dead letter, then in the queue again; the record must be kept longer."""

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Records(replacing.Records, Protocol):
    """The table of images."""

    async def create(self, record: Record, *, forgotten_before: int) -> Record:
        """Write a record unless its image has one, and return the stored record.

        A pending record for the same request that expires before `forgotten_before` (seconds since
        1970) is replaced. If the stored record differs from the given one, this is a replay.
        """
        ...


class Presigner(Protocol):
    """Signs uploads."""

    async def post(
        self, *, key: str, content_type: str, size_bytes: int, sha256: str | None,
        upload_token: str | None, expires_seconds: int,
    ) -> PresignedPost:  # fmt: skip
        """Return a presigned form upload."""
        ...

    async def put(
        self, *, key: str, content_type: str, size_bytes: int, sha256: str | None,
        upload_token: str | None, expires_seconds: int,
    ) -> PresignedPut:  # fmt: skip
        """Return a presigned PUT."""
        ...


class Uploads:
    """`POST /v1/uploads`."""

    def __init__(
        self,
        *,
        records: Records,
        presigner: Presigner,
        ids: ImageIds,
        metrics: ApiMetrics,
        max_upload_bytes: int,
        accept_svg: bool,
        url_seconds: int,
        keep_days: int | None,
        quotas: Quotas,
        receipts: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._replacing = Replacing(records, receipts=receipts)
        self._presigner = presigner
        self._ids = ids
        self._presigned = metrics.uploads_presigned
        self._limits = {"max_upload_bytes": max_upload_bytes, "accept_svg": accept_svg}
        self._url_seconds = url_seconds
        self._keep_days = keep_days
        self._quotas = quotas
        self._receipts = receipts
        self._now = now

    async def create(self, request: web.Request) -> web.Response:
        """Answer with an upload URL, and count the outcome of the request."""
        try:
            answer, replayed = await self._issue(request)
        except (Refusal, web.HTTPException):
            self._presigned.labels("refused").inc()
            raise
        except Exception:
            self._presigned.labels("failed").inc()
            raise
        self._presigned.labels("replayed" if replayed else "issued").inc()
        headers = {"Location": answer.status_url, "Cache-Control": "no-store"}
        if limited := self._limited(request[USER]):
            headers |= self._quotas.headers(limited[0])
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        return json_answer(answer, status=201, headers=headers)

    async def _issue(self, request: web.Request) -> tuple[UploadIssued, bool]:
        """Return the answer, and whether its image existed before."""
        for name in self._limited(request[USER]):
            self._quotas.take(name, detail=f"{name} has requested too many upload URLs.")
        idempotency_key = read_idempotency_key(request)
        requested = await read_json(request, UploadRequest, context=self._limits)
        if requested.image_id is None:
            stored, is_new = await self._created(request, requested, idempotency_key)
        else:
            note(request, image_id=requested.image_id)
            token = self._token_name(
                request[USER], requested.image_id, idempotency_key, requested.hash
            )
            stored, is_new = await self._replacing.open(
                requested.image_id, token, user_id=request[USER], expires_at=self._forgotten_at()
            )
        signed = await self._sign(stored, requested)
        issued = UploadIssued.of(stored, signed, content_type=requested.content_type)
        return issued, not is_new

    async def _created(
        self, request: web.Request, requested: UploadRequest, idempotency_key: str | None
    ) -> tuple[Record, bool]:
        """Return the pending record of a new image, and whether this request made it.

        The same user and idempotency key always give the same image id.
        """
        user_id = request[USER]
        image_id = (
            keys.new_image_id()
            if idempotency_key is None
            else self._ids.of_request(user_id=user_id, idempotency_key=idempotency_key)
        )
        note(request, image_id=image_id)
        token = self._token_name(user_id, image_id, idempotency_key, requested.hash)
        pending = self._pending(requested, token, user_id=user_id, image_id=image_id)
        # The record must outlive the upload's message, or its file name and tags would be gone.
        soon = self._forgotten_at() - A_DAY
        stored = await self._records.create(pending, forgotten_before=soon)
        self._check_same(stored, pending, token)
        return stored, stored == pending

    def _forgotten_at(self) -> int:
        """Return when a record is forgotten whose upload never arrives, in seconds since 1970."""
        return int(self._now()) + self._url_seconds + PENDING_SECONDS

    def _limited(self, user: str) -> list[str]:
        """Return the users whose limits count: a person, and a key whose definition has one.

        A key's limit counts the requests for all users that it names.
        """
        own = [user] if users.is_person(user) else []
        key = users.naming_key(user) or user
        return [*own, key] if key in self._quotas.own else own

    def _pending(
        self, requested: UploadRequest, token: TokenName, *, user_id: str, image_id: str
    ) -> Record:
        uploaded_at = int(self._now() * 1000)
        return Record(
            image_id=image_id,
            user_id=user_id,
            uploaded_at=uploaded_at,
            original_key=keys.source_key(user_id=user_id, image_id=image_id),
            filename=requested.filename,
            tags=tuple(dict.fromkeys(requested.tags)),
            original_size=requested.size,
            media_type=requested.content_type,
            keep_until=keep_until(uploaded_at, requested.keep_days or self._keep_days),
            expires_at=self._forgotten_at(),
            upload_token=token.new_token(),
            request_hash=requested.hash,
        )

    def _token_name(
        self, user_id: str, image_id: str, idempotency_key: str | None, request_hash: str
    ) -> TokenName:
        """Name the request, in the tokens of its upload. The same key always gives the same."""
        name = (
            keys.new_image_id()
            if idempotency_key is None
            else self._ids.of_upload(
                user_id=user_id, image_id=image_id, idempotency_key=idempotency_key
            )
        )
        return TokenName(request=name, request_hash=request_hash)

    def _check_same(self, stored: Record, pending: Record, token: TokenName) -> None:
        if stored.status is Status.ERASED:
            detail = "The image of this Idempotency-Key was erased."
            raise erased(detail, stored, receipts=self._receipts)
        if stored.request_hash not in {None, pending.request_hash}:
            raise Refusal(
                Problem.IDEMPOTENCY_KEY_REUSED,
                "This Idempotency-Key was used for a different request.",
            )
        if stored.status.settled:
            raise already_settled(stored)
        if stored.upload_token and not token.is_of(stored.upload_token):
            detail = "Another upload of the image of this Idempotency-Key was requested meanwhile."
            raise Refusal(Problem.CHANGED_MEANWHILE, detail)

    async def _sign(self, record: Record, requested: UploadRequest) -> PresignedPost | PresignedPut:
        sign = self._presigner.post if requested.method == "POST" else self._presigner.put
        return await sign(
            key=record.original_key,
            content_type=requested.content_type,
            size_bytes=requested.size,
            sha256=requested.sha256,
            upload_token=record.upload_token,
            expires_seconds=self._url_seconds,
        )


def read_idempotency_key(request: web.Request) -> str | None:
    """Return the Idempotency-Key header, or None. Raises a `Refusal` if it is invalid."""
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        return None
    if len(values) > 1 or not _IDEMPOTENCY_KEY.fullmatch(values[0]):
        raise Refusal(
            Problem.INVALID_IDEMPOTENCY_KEY,
            "Idempotency-Key must be given once, as 1 to 255 visible ASCII characters.",
        )
    return values[0]
