"""What an operation of the API is, in the terms of OpenAPI, and what several operations share.

`api/routes.py` holds the operations themselves; `api/openapi.py` writes the document.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from api.delivery.responses import Waiting
from api.preferences import MOST_WAIT_SECONDS
from api.problems import Problem
from safelight.formats import BY_SIZE

Schema = dict[str, Any]
DOCUMENT = web.AppKey("document", dict[str, Any])
"""The OpenAPI document of an application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One way in which an operation succeeds, or the plain text of a health check."""

    description: str
    model: type[BaseModel] | None = None
    media_type: str | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The description of one route."""

    summary: str
    answers: Mapping[int, Answer]
    problems: tuple[Problem, ...] = ()
    request: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    """The model of the query parameters, whose tuples may be repeated."""
    parameters: tuple[Schema, ...] = ()
    """Headers and query parameters; those of the path follow from the path."""
    path: str | None = None
    """The path in the document, where it shows more parts than the route's own."""


async def serve_document(request: web.Request) -> web.Response:
    """Answer with the application's OpenAPI document."""
    return web.json_response(request.app[DOCUMENT])


TEXT = Answer(description="Yes.", media_type="text/plain")

PROTECTED = (
    Problem.UNAUTHENTICATED,
    Problem.INVALID_CREDENTIALS,
    Problem.INVALID_USER,
    Problem.USER_NOT_ALLOWED,
    Problem.CROSS_SITE,
    Problem.MISDIRECTED,
    Problem.INTERNAL,
    Problem.MISCONFIGURED,
    Problem.UNAVAILABLE,
)
"""Problems of every route that needs credentials."""
BODY = (
    Problem.MALFORMED_REQUEST,
    Problem.MALFORMED_JSON,
    Problem.BODY_TIMEOUT,
    Problem.BODY_TOO_LARGE,
    Problem.UNSUPPORTED_MEDIA_TYPE,
    Problem.INVALID_REQUEST,
)
"""Problems of every route that reads a body."""
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request always means the same image.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
NAMED_USER = {
    "name": "X-Safelight-User",
    "in": "header",
    "description": "The user whom the request is for. Only API keys that may name users send it.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[\\x21-\\x7e]([\\x20-\\x7e]*[\\x21-\\x7e])?$",
    },
}
WAIT = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N`: answer a pending image as soon as it is settled, or after N seconds; "
    f"at most {MOST_WAIT_SECONDS} (RFC 7240).",
    "schema": {"type": "string", "pattern": "^wait=[0-9]{1,9}$"},
}
LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that the client has, to continue behind it.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,100}$"},
}
IMAGE_HEADERS = ("ETag", "Retry-After")

_PICTURE_HEADERS = ("ETag", "Cache-Control", "Vary", "Content-Disposition", "Server-Timing")
PICTURE = {
    200: Answer(description="The picture.", media_type="image/*", headers=_PICTURE_HEADERS),
    206: Answer(
        description="A part of the picture.",
        media_type="image/*",
        headers=(*_PICTURE_HEADERS, "Content-Range"),
    ),
    304: Answer(description="The picture with this ETag is current.", headers=("ETag",)),
}
MOVED = {
    308: Answer(description="The canonical spelling of the URL.", headers=("Location",)),
}
WAITING = {
    202: Answer(
        description="The picture is being processed.", model=Waiting, headers=("Retry-After",)
    )
}
PICTURE_PROBLEMS = (
    Problem.INVALID_URL,
    Problem.INVALID_SIGNATURE,
    Problem.URL_EXPIRED,
    Problem.UNKNOWN_IMAGE,
    Problem.RANGE_NOT_SATISFIABLE,
    Problem.NOT_RENDERED,
    Problem.RATE_LIMITED,
    Problem.BUSY,
    Problem.INTERNAL,
    Problem.MISCONFIGURED,
    Problem.UNAVAILABLE,
)


def _in_query(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


ASSET_PARAMETERS = (
    _in_query("download", "Sends the picture as an attachment.", {"const": "1"}),
    _in_query("expires", "When the signature ends, in seconds since 1970.", {"type": "integer"}),
    _in_query("key", "The id of the key that signed the URL.", {"type": "string"}),
    _in_query("signature", "HMAC-SHA256 in base64url.", {"type": "string"}),
)
PICTURE_PARAMETERS = (
    _in_query(
        "format",
        "Takes precedence over Accept.",
        {"type": "string", "enum": list(BY_SIZE)},
    ),
    *ASSET_PARAMETERS,
)
PRESET_PARAMETER = _in_query(
    "preset", "One of the alias's presets; its first one by default.", {"type": "string"}
)
