"""Reads the events of S3 from a message's body, in any of the envelopes they come in.

Envelopes are opened first, by `worker/envelopes.py`, and a body may hold several documents then.
Each form of body is one row of the table at the end: how to recognise it, and how to read one of
its events. Every event is then checked and turned into an upload by the same code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from urllib.parse import unquote_plus

from safelight import keys
from safelight.errors import Unreadable, WrongQueue
from safelight.image_ids import ImageIds
from safelight.queued import is_ours
from safelight.record import Record
from worker.envelopes import SUBSCRIPTIONS, opened, parsed

_CREATED = ("ObjectCreated:", "Object Created")
_REMOVED = ("ObjectRemoved:", "LifecycleExpiration:", "Object Deleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One arrival or removal of a source object, as an event describes it."""

    bucket: str
    key: str
    image_id: str
    user_id: str
    version_id: str | None = None
    etag: str | None = None
    sequencer: str
    """S3's order of the revisions of a key, padded so that it sorts as text."""
    size_bytes: int | None = None
    happened_at: float
    """Seconds since 1970."""
    removed: bool = False

    @property
    def revision(self) -> str:
        """Return the revision: which version of the source this is."""
        return keys.revision_of(
            version_id=self.version_id, sequencer=self.sequencer, etag=self.etag
        )

    @property
    def revision_tag(self) -> str:
        """Return the hash of the revision that may be published."""
        return keys.revision_tag(self.revision)

    @property
    def filename(self) -> str:
        """Return the last part of the key, which is the name of an adopted object."""
        return self.key.rpartition("/")[2]

    def following(self, current: Record | None) -> Self:
        """Return the upload with a sequencer, for a version whose event is not known.

        It gets the sequencer of the settled revision if it is that revision, otherwise the next.
        """
        if current is None or current.sequencer is None:
            return self
        same = replace(self, sequencer=current.sequencer)
        if same.revision == current.revision:
            return same
        return replace(self, sequencer=keys.next_sequencer(current.sequencer))

    def adopted(self, ids: ImageIds) -> Self:
        """Return the upload with the image id that is derived from its bucket and key."""
        return replace(self, image_id=ids.of_object(bucket=self.bucket, key=self.key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The uploads of one message, and the faults of its unreadable records."""

    uploads: tuple[Upload, ...] = ()
    faults: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _RawEvent:
    """One event without its envelope. The key is decoded, and nothing is checked yet."""

    name: Any
    time: Any
    bucket: Any
    key: str
    size: Any = None
    etag: Any = None
    version_id: Any = None
    sequencer: Any = None


def read_events(body: str, *, bucket: str, ids: ImageIds) -> Events:
    """Read the uploads from a message's body, and the faults of single records.

    Raises `WrongQueue` if it is a message of ours, `Unreadable` if it is no event at all.
    """
    document = parsed(body)
    for one in opened(document).documents:
        if is_ours(one):
            raise WrongQueue(f"{one['type']} is not a message for the role uploads")
    raw_events, faults = _split(document)
    uploads = []
    for raw in raw_events:
        try:
            if upload := _read_upload(raw, bucket, ids):
                upload.revision.encode()
                upload.key.encode()
                uploads.append(upload)
        except UnicodeEncodeError:
            faults.append(Unreadable("an event has a name that is not valid Unicode"))
        except Unreadable as error:
            faults.append(error)
    return Events(uploads=tuple(uploads), faults=tuple(faults))


def source_keys(body: str, *, bucket: str) -> tuple[tuple[str, ...], tuple[Unreadable, ...]]:
    """Return the keys of the sources that a message's events created, each once, and the faults.

    Raises `Unreadable` if the message is no event at all.
    """
    raw_events, faults = _split(parsed(body))
    found: dict[str, None] = {}
    for raw in raw_events:
        try:
            _check(raw, bucket)
        except Unreadable as fault:
            faults.append(fault)
        else:
            if _one_of(raw.name, _CREATED) and not raw.key.endswith("/"):
                found[raw.key] = None
    return tuple(found), tuple(faults)


def first_key(document: object) -> str | None:
    """Return the key of the first of a body's events that can be read, decoded; None without one.

    Raises `Unreadable` if the body is no event at all.
    """
    raw_events, _ = _split(document)
    return raw_events[0].key if raw_events else None


def is_event(document: object) -> bool:
    """Return whether a body looks like S3's events. Only its envelopes are examined."""
    return any(_form_of(one) for one in opened(document).documents)


def _form_of(document: Mapping[str, Any]) -> "_Form | None":
    return next((form for form in _FORMS if form.singles(document) is not None), None)


def _split(document: object) -> tuple[list[_RawEvent], list[Unreadable]]:
    """Return the events of a body, and the faults of its parts.

    Raises `Unreadable` if no part of it is an event.
    """
    inside = opened(document)
    events: list[_RawEvent] = []
    faults: list[Unreadable] = list(inside.faults)
    known = False
    for one in inside.documents:
        form = _form_of(one)
        if form is None:
            faults.append(Unreadable(_why_no_event(one)))
            continue
        known = True
        for single in form.singles(one) or ():
            try:
                events.append(form.read(single))
            except (KeyError, TypeError, AttributeError) as error:
                faults.append(Unreadable(f"an event lacks {error}"))
            except Unreadable as fault:
                faults.append(fault)
    if not known:
        raise faults[0]
    return events, faults


def _why_no_event(document: Mapping[str, Any]) -> str:
    kind = document.get("Type")
    if kind in SUBSCRIPTIONS:
        return f"SNS sent {kind}: confirm the subscription in SNS, or remove it"
    return "the body is no event of S3, SNS or EventBridge"


def _read_upload(raw: _RawEvent, bucket: str, ids: ImageIds) -> Upload | None:
    """Check one event and return its upload; None for an event that needs no action."""
    removed = _one_of(raw.name, _REMOVED)
    if not removed and not _one_of(raw.name, _CREATED):
        return None
    _check(raw, bucket)
    if raw.key.endswith("/"):
        return None
    return upload_of(
        bucket=raw.bucket,
        key=raw.key,
        ids=ids,
        version_id=_text(raw.version_id),
        etag=_text(raw.etag),
        sequencer=keys.padded_sequencer(_text(raw.sequencer)),
        size_bytes=raw.size if isinstance(raw.size, int) and raw.size >= 0 else None,
        happened_at=_seconds(raw.time),
        removed=removed,
    )


def upload_of(
    *,
    bucket: str,
    key: str,
    ids: ImageIds,
    version_id: str | None,
    etag: str | None,
    sequencer: str,
    size_bytes: int | None,
    happened_at: float,
    removed: bool = False,
) -> Upload:
    """Return the upload of a source. The key contains the user and the image id."""
    uploaded = keys.read_source_key(key)
    return Upload(
        bucket=bucket,
        key=key,
        user_id=keys.owner_of(key),
        image_id=uploaded[1] if uploaded else ids.of_object(bucket=bucket, key=key),
        version_id=version_id,
        etag=etag,
        sequencer=sequencer,
        size_bytes=size_bytes,
        happened_at=happened_at,
        removed=removed,
    )


def _check(raw: _RawEvent, bucket: str) -> None:
    if raw.bucket != bucket or not raw.key.startswith(keys.UPLOADS_PREFIX):
        place = f"{raw.bucket}/{raw.key}"
        raise Unreadable(f"the event is about {place[:80]!r}, not about this bucket's uploads")


def _one_of(name: Any, prefixes: tuple[str, ...]) -> bool:
    return isinstance(name, str) and name.removeprefix("s3:").startswith(prefixes)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _seconds(value: Any) -> float:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError) as error:
        raise Unreadable(f"the event's time is {value!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """One form of body: how to recognise it and find its events, and how to read one of them."""

    singles: Callable[[Mapping[str, Any]], Sequence[Any] | None]
    """Returns the events of a body of this form; None for any other body."""
    read: Callable[[Any], _RawEvent]


def _read_s3_record(record: Mapping[str, Any]) -> _RawEvent:
    """Read an event in S3's own form. Keys are form-encoded, once: `+` is a space."""
    version = str(record["eventVersion"])
    if not version.startswith("2."):
        raise Unreadable(f"an event of S3 has version {version[:20]!r}, and only 2.x is known")
    source = record["s3"]["object"]
    return _RawEvent(
        name=record["eventName"],
        time=record["eventTime"],
        bucket=record["s3"]["bucket"]["name"],
        key=unquote_plus(source["key"]),
        size=source.get("size"),
        etag=source.get("eTag"),
        version_id=source.get("versionId"),
        sequencer=source.get("sequencer"),
    )


def _read_eventbridge(event: Mapping[str, Any]) -> _RawEvent:
    """Read an event in EventBridge's form. Keys are not encoded."""
    source = event["detail"]["object"]
    return _RawEvent(
        name=event["detail-type"],
        time=event["time"],
        bucket=event["detail"]["bucket"]["name"],
        key=str(source["key"]),
        size=source.get("size"),
        etag=source.get("etag"),
        version_id=source.get("version-id"),
        sequencer=source.get("sequencer"),
    )


def _s3_records(document: Mapping[str, Any]) -> Sequence[Any] | None:
    records = document.get("Records")
    return records if isinstance(records, list) else None


def _eventbridge_event(document: Mapping[str, Any]) -> Sequence[Any] | None:
    return [document] if document.get("source") == "aws.s3" else None


def _test_event(document: Mapping[str, Any]) -> Sequence[Any] | None:
    """Recognise the test message with which S3 checks a new notification. It has no events."""
    return [] if document.get("Event") == "s3:TestEvent" else None


_FORMS = (
    _Form(singles=_s3_records, read=_read_s3_record),
    _Form(singles=_eventbridge_event, read=_read_eventbridge),
    _Form(singles=_test_event, read=_read_s3_record),  # there are none to read
)
