"""The application as clients meet it, and the fakes behind it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient
from prometheus_client import CollectorRegistry

from api.apikeys import ApiKey, ApiKeys, digest_of
from api.erasures import Cleanup
from api.settings import ApiSettings
from tests.support.fakes import (
    ID_SECRET,
    FakeDeadLetters,
    FakeDocuments,
    FakePresigner,
    FakeRecords,
    FakeTombstones,
)

MAX_UPLOAD_BYTES = 1_000_000
KEYS = {"alice": "sl_alices-key", "bob": "sl_bobs-key"}
ALICE = {"X-Api-Key": KEYS["alice"]}
BOB = {"X-Api-Key": KEYS["bob"]}


@dataclass
class Api:
    """The application as clients meet it, and the fakes behind it."""

    client: TestClient[web.Request, web.Application]
    records: FakeRecords
    presigner: FakePresigner
    registry: CollectorRegistry
    queue: FakeDeadLetters
    """CleanupQueue."""
    tombstones: FakeTombstones
    documents: FakeDocuments

    async def ask(self, method: str, path: str, **more: Any) -> tuple[aiohttp.ClientResponse, Any]:
        async with self.client.request(method, path, **more) as answer:
            body = await answer.read()
            is_json = "json" in answer.content_type and body
            return answer, json.loads(body) if is_json else body

    async def post(self, upload: dict[str, Any], **headers: str) -> tuple[Any, Any]:
        return await self.ask("POST", "/v1/uploads", json=upload, headers=ALICE | headers)

    async def get(self, image_id: str, **headers: str) -> tuple[Any, Any]:
        return await self.ask("GET", f"/v1/images/{image_id}", headers=ALICE | headers)

    async def send(self, request: bytes, *, keep_open: bool = True) -> bytes:
        """Send raw bytes, and read until the API closes the connection."""
        reader, writer = await asyncio.open_connection(
            self.client.server.host, self.client.server.port
        )
        writer.write(request)
        if not keep_open:
            writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer

    def a_second_later(self) -> None:
        """Make all records a second older: two requests in one millisecond look like one."""
        for image_id, record in self.records.records.items():
            earlier = {"uploaded_at": record.uploaded_at - 1000}
            self.records.records[image_id] = record.model_copy(update=earlier)

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0


def an_upload(**changes: Any) -> dict[str, Any]:
    return {"filename": "cat.jpg", "contentType": "image/jpeg", "size": 1234} | changes


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in an_upload().items() if key != name}


def api_settings(**changes: Any) -> ApiSettings:
    """The settings of an API with keys, unless the changes say otherwise."""
    usual = {
        "uploads_bucket": "uploads",
        "assets_bucket": "assets",
        "table": "images",
        "id_secret": ID_SECRET,
        "api_keys": ",".join(f"{user}:{digest_of(key)}" for user, key in KEYS.items()),
        "max_upload_bytes": MAX_UPLOAD_BYTES,
    }
    return ApiSettings(**usual | changes)


def a_cleanup(records: FakeRecords) -> Cleanup:
    """What an API needs to erase images in this table."""
    return Cleanup(
        queue=FakeDeadLetters(), tombstones=FakeTombstones(records), documents=FakeDocuments()
    )


ALL_KEYS = ApiKeys(tuple(ApiKey(digest=digest_of(key), name=user) for user, key in KEYS.items()))
Start = Callable[..., Awaitable[Api]]
