"""Writes samples of the documents that this version stores and sends: `python -m tools.released`.

Later versions are tested to read them.
"""

import asyncio
import json
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from safelight import __version__, keys
from safelight.aws.dependency import Dependency
from safelight.aws.objects import Objects
from safelight.aws.queue import Message, Queue
from safelight.aws.records import Records
from safelight.aws.topic import Topic
from safelight.completion import TYPES, Completion
from safelight.days import day_of
from safelight.erasures import Erasure, Found
from safelight.errors import Reason
from safelight.faces import Face
from safelight.presets import Policy, Preset
from safelight.queued import (
    DeleteAssets,
    DeleteVersion,
    Demand,
    EraseImage,
    EraseUser,
    Ingest,
    Queued,
)
from safelight.record import Record, Status, Variant
from safelight.wish.wish import Wish
from tests.support.events import s3_event
from tests.support.fakes import FakeQueue
from worker.disposal import Disposal
from worker.metrics import WorkerMetrics
from worker.verdict import DeadLetter

DATA = Path(__file__).parents[1] / "tests" / "data"
IMAGE_ID = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB"
KEY = keys.source_key(user_id="key:alice", image_id=IMAGE_ID)
BUCKET = "uploads-bucket"
PRESET = Preset(
    name="small", wish=Wish(box=(600, 600), format="jpeg"), policy=Policy(access="public")
)
ASSET = b"not looked at"
ASSET_KEY = keys.asset_key(
    image_id=IMAGE_ID,
    revision="v1",
    preset="small",
    fingerprint=PRESET.wish.fingerprint,
    extension="jpg",
)
PENDING = Record(
    image_id=IMAGE_ID,
    user_id="key:alice",
    uploaded_at=1_790_000_000_000,
    original_key=KEY,
    filename="Stra\u00dfe.jpg",
    tags=("sea", "2026"),
    original_size=2000,
    media_type="image/jpeg",
    keep_until=1_850_480_000_000,
    expires_at=1_792_592_000,
    request_hash=sha256(b"request").hexdigest(),
    upload_token="01JZ6V8M9Z3N4R5T6W8X9Y0ZAB.5f70bf18a0860070.0f9d3c1b2a4e5d68",  # noqa: S106 - a name
)
_SETTLED = PENDING.model_copy(
    update={
        "expires_at": None,
        "upload_token": None,
        "settled_token": PENDING.upload_token,
        "revision": "v1",
        "version_id": "v1",
        "sequencer": keys.padded_sequencer("0055AED6DCD90281E5"),
        "sequence": 1,
        "completed_at": 1_790_000_001_500,
        "day": day_of(1_790_000_001_500, IMAGE_ID),
        "processing_time_ms": 900,
    }
)
_VARIANT = Variant(
    key=ASSET_KEY,
    media_type="image/jpeg",
    width=600,
    height=400,
    size=len(ASSET),
    sha256=sha256(ASSET).hexdigest(),
    quality=85,
    score=78,
)
COMPLETED = _SETTLED.model_copy(
    update={
        "status": Status.COMPLETED,
        "sha256": sha256(b"source").hexdigest(),
        "width": 3000,
        "height": 2000,
        "placeholder": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        "dominant_colour": "#102030",
        "perceptual_hash": "00ff00ff00ff00ff",
        "faces": (Face(left=0.25, top=0.125, width=0.1, height=0.2),),
        "variants": {"compressed": _VARIANT, "small": _VARIANT},
        "failed_variants": {"large": "too large"},
        "render_time_ms": 700,
    }
)
REJECTED = _SETTLED.model_copy(
    update={"status": Status.REJECTED, "reason": Reason.TRUNCATED, "detail": "it ends early"}
)
ERASED = PENDING.model_copy(
    update={
        "status": Status.ERASED,
        "erased_at": 1_790_000_002_000,
        "erased_by": "owner",
        "erasure": Erasure(requested_at=1_790_000_002_000, found=Found(versions=1, objects=2)),
    }
)
RECORDS = {"pending": PENDING, "completed": COMPLETED, "rejected": REJECTED, "erased": ERASED}
OURS: dict[str, Queued] = {
    "ingest": Ingest(key=KEY),
    "demand": Demand(image_id=IMAGE_ID, revision="v1", preset=PRESET),
    "erase-image": EraseImage(
        image_id=IMAGE_ID, key=KEY, by="owner", at=1_790_000_002_000, caches="flush", retry=1
    ),
    "erase-user": EraseUser(
        erasure_id=IMAGE_ID, user_id="key:alice", before=1_790_000_002_000, by="admin"
    ),
    "delete-version": DeleteVersion(image_id=IMAGE_ID, key=KEY, version_id="v1"),
    "delete-assets": DeleteAssets(
        image_id=IMAGE_ID, keys=(ASSET_KEY,), at=1_790_000_002_000, last=True
    ),
}
"""Our own messages, each kind once, with a value for every field."""
MESSAGES = {
    "s3-event": s3_event(BUCKET, KEY),
    **{kind: message.to_json() for kind, message in OURS.items()},
}
MODELS: tuple[type[BaseModel], ...] = (Record, *map(type, OURS.values()), Completion)


class Recorder:
    """An AWS client that keeps the arguments of its last call."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        async def call(**arguments: Any) -> dict[str, Any]:
            self.sent = arguments
            return {}

        return call


async def documents() -> dict[str, Any]:
    """Return each document by its file's name, as the code of safelight/aws sends it."""
    made: dict[str, Any] = {f"{name}-message": {"body": body} for name, body in MESSAGES.items()}
    client: Any = Recorder()
    for name, record in RECORDS.items():
        await Records(client, Dependency("dynamodb"), table="images").create(record)
        made[f"{name}-record"] = client.sent["Item"]
        if record.status in TYPES:
            topic = Topic(client, Dependency("sns"), topic_arn="topic")
            await topic.publish(Completion.of(record))
            made[f"{name}-completion"] = _sent(client, body="Message")
    made["dead-letter"] = await _dead_letter(client)
    made["asset"] = await _asset(client)
    made["schemas"] = {model.__name__: model.model_json_schema() for model in MODELS}
    return made


async def _dead_letter(client: Any) -> dict[str, Any]:
    letters = Queue(client, Dependency("sqs"), queue_url="dead-letters")
    metrics = WorkerMetrics(CollectorRegistry())
    disposal = Disposal(FakeQueue(), dead_letters=letters, max_receives=10, metrics=metrics)
    message = Message(
        message_id="1",
        receipt="1",
        body=MESSAGES["s3-event"],
        receive_count=10,
        sent_at=1_790_000_000,
        received_at=0,
    )
    facts = {"stage": "render", "exception_type": "KeyError", "image_id": IMAGE_ID}
    await disposal.carry_out(DeadLetter("unknown"), message, facts=facts)
    return _sent(client, body="MessageBody")


async def _asset(client: Any) -> dict[str, Any]:
    objects = Objects(client, Dependency("s3"), uploads_bucket=BUCKET, assets_bucket="assets")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "asset"
        path.write_bytes(ASSET)
        await objects.put(
            key=ASSET_KEY, path=path, media_type="image/jpeg", sha256=sha256(ASSET).hexdigest()
        )
    return {name: value for name, value in client.sent.items() if name not in {"Body", "Bucket"}}


def _sent(client: Any, *, body: str) -> dict[str, Any]:
    return {"body": client.sent[body], "attributes": client.sent["MessageAttributes"]}


def main() -> None:
    """Write the documents of this version."""
    folder = DATA / __version__
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in asyncio.run(documents()).items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
