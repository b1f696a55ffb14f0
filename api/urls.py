"""`POST /v1/urls`: signs URLs for pictures of one of the caller's images, in every dialect.

The caller needs no key, and gets URLs of the caller's own images only.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from aiohttp import web

from api.auth import USER
from api.bodies import read_json
from api.delivery.signing import SigningKeys
from api.dialects.dialect import Dialect
from api.dialects.image_url import ImageUrl, SourceName
from api.dialects.own import Own
from api.dialects.table import DIALECTS, Dialects
from api.dialects.writers import signed_url, written
from api.middlewares import note
from api.problems import Fault, Problem, Refusal, json_answer
from api.quotas import Quotas
from api.url_request import PREVIEW_SECONDS, SignedUrl, UrlsIssued, UrlsRequest
from safelight import keys, users
from safelight.face_settings import NO_FACES
from safelight.formats import BY_NAME, WRITABLE_WORDS
from safelight.presets import Preset
from safelight.record import Record, Status
from safelight.settings import variable
from safelight.wish.canonical import NOTHING, canonical, read_options
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options

_NOT_YOURS = "would open a picture that may not be yours; sign such a URL with `safelight sign`"
_NO_DELIVERY = f"{variable('delivery_url')} is not set"


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Return an image's record, or None."""
        ...


class Urls:
    """Answers `POST /v1/urls`. It calls only the table, and renders nothing."""

    def __init__(
        self,
        *,
        records: Records,
        dialects: Dialects,
        signing: SigningKeys,
        presets: Sequence[Preset],
        delivery_url: str | None,
        quotas: Quotas,
        now: Callable[[], float] = time.time,
    ) -> None:
        """With the empty `delivery_url` URLs begin with their path; with None there are none."""
        self._records = records
        self._dialects = dialects
        self._signing = signing
        self._presets = {preset.name: preset for preset in presets}
        self._delivery_url = delivery_url
        self._quotas = quotas
        self._now = now

    async def create(self, request: web.Request) -> web.Response:
        """Answer with URLs for the options or the preset that the body names."""
        self._limit(request[USER])
        asked = await read_json(request, UrlsRequest, context={})
        wish = None if asked.options is None else self._wish(asked)
        record = await self._own_image(asked.image_id, user_id=request[USER])
        note(request, image_id=record.image_id)
        expires = self._in(asked.expires_in) if asked.expires_in else None
        if wish is None:
            urls = {"preset": self._preset_url(asked, record, expires)}
            return json_answer(_issued(record, urls, expires))
        urls = dict(self._each(record, wish, expires))
        preview = None
        if asked.preview:
            end = self._in(PREVIEW_SECONDS)
            preview = self._url(Own.NAME, record, wish, expires=end, stored=False)
        return json_answer(_issued(record, urls, expires, options=canonical(wish), preview=preview))

    def _limit(self, user_id: str) -> None:
        """Count a request against the limit of a person. API keys have none."""
        if users.is_person(user_id):
            self._quotas.take(user_id, detail=f"{user_id} has requested too many signed URLs.")

    def _in(self, seconds: int) -> datetime:
        return datetime.fromtimestamp(int(self._now()) + seconds, UTC)

    def _wish(self, asked: UrlsRequest) -> Options:
        """Read options and format. Raises a `Refusal` that names the faulty option."""
        try:
            wish = read_options(asked.options or NOTHING)
            _check(wish, faces=self._dialects.faces)
        except InvalidOption as error:
            raise _refused("#/options", error.message, option=error.option) from error
        if asked.format is None:
            return wish
        name = WRITABLE_WORDS.get(asked.format)
        if name is None:
            raise _refused("#/format", f"must be one of {', '.join(WRITABLE_WORDS)}")
        if wish.format not in (None, name):
            raise _refused("#/format", f"is not the format of the options, {wish.format}")
        return wish.in_format(name).normal()

    async def _own_image(self, image_id: str, *, user_id: str) -> Record:
        """Return an image of the caller's own: an admin signs no URLs for others."""
        record = await self._records.get(image_id) if keys.is_image_id(image_id) else None
        if record is None or record.user_id != user_id:
            raise Refusal(Problem.UNKNOWN_IMAGE, "You have no image of this id.")
        if record.status is Status.ERASED:
            raise Refusal(Problem.IMAGE_ERASED, "The image was erased.")
        return record

    def _each(
        self, record: Record, wish: Options, expires: datetime | None
    ) -> Iterator[tuple[str, SignedUrl]]:
        for name in DIALECTS:
            yield name, self._url(name, record, wish, expires=expires)

    def _url(
        self,
        name: str,
        record: Record,
        wish: Options,
        *,
        expires: datetime | None,
        stored: bool = True,
    ) -> SignedUrl:
        """Write, read back and sign a URL of one dialect."""
        dialect = next((each for each in self._dialects.known if name == each.NAME), None)
        key = _key_for(dialect, record.user_id) if dialect else None
        if self._delivery_url is None:
            return SignedUrl(off=_NO_DELIVERY)
        if dialect is None or key is None:
            return SignedUrl(off=f"{variable(DIALECTS[name].KEYS)} has no key for your images")
        wanted = ImageUrl(
            dialect=name,
            source=SourceName(key=record.image_id),
            options=wish,
            expires=expires,
            stored=stored,
        )
        try:
            signed = written(self._dialects, dialect, wanted)
        except InvalidOption as error:
            return SignedUrl(refused=error.message, option=error.option)
        return SignedUrl(url=self._delivery_url + signed_url(dialect, signed, key=key))

    def _preset_url(
        self, asked: UrlsRequest, record: Record, expires: datetime | None
    ) -> SignedUrl:
        preset = self._presets.get(asked.preset or "")
        if preset is None:
            raise _refused("#/preset", "is not the name of a preset")
        if asked.format is not None and asked.format not in preset.deliverable:
            raise _refused("#/format", f"must be one of {', '.join(preset.deliverable)}")
        if preset.policy.access == "private" and expires is None:
            raise _refused("#/expiresIn", "must be given: the preset is private")
        if self._delivery_url is None:
            return SignedUrl(off=_NO_DELIVERY)
        extension = f".{BY_NAME[asked.format].extension}" if asked.format else ""
        path = f"/{preset.name}/{record.image_id}{extension}"
        if preset.policy.access == "public" and expires is None:
            return SignedUrl(url=self._delivery_url + path)
        key_id = self._signing.key_for(record.user_id)
        if key_id is None:
            return SignedUrl(off=f"{variable('signing_keys')} has no key for your images")
        end = int(expires.timestamp()) if expires else None
        signed = self._signing.sign(path, key_id=key_id, expires_at=end)
        return SignedUrl(url=self._delivery_url + signed)


def _issued(
    record: Record,
    urls: Mapping[str, SignedUrl],
    expires: datetime | None,
    *,
    options: str | None = None,
    preview: SignedUrl | None = None,
) -> UrlsIssued:
    return UrlsIssued(
        image_id=record.image_id, options=options, expires_at=expires, urls=urls, preview=preview
    )


def _check(wish: Options, *, faces: bool) -> None:
    """Refuse what the caller may not ask for, or delivery could not make."""
    if wish.watermarks:
        raise InvalidOption("watermark", _NOT_YOURS)
    if wish.needs_faces and not faces:
        raise InvalidOption("gravity", NO_FACES)


def _key_for(dialect: Dialect, user_id: str) -> str | None:
    """Return the first key of a user, or else the first key for all; never another tenant's."""
    if not isinstance(dialect, Own):
        return dialect.keys[0]
    holders = [dialect.holder(number)[1] for number in range(len(dialect.keys))]
    for wanted in (user_id, None):
        if wanted in holders:
            return dialect.keys[holders.index(wanted)]
    return None


def _refused(pointer: str, detail: str, *, option: str | None = None) -> Refusal:
    named = f"{option}: {detail}" if option else detail
    return Refusal(
        Problem.INVALID_REQUEST,
        f"{pointer.removeprefix('#/')}: {named}.",
        errors=[Fault(pointer=pointer, detail=f"{detail}.", option=option)],
    )
