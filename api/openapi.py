"""The OpenAPI 3.1 document, made from the same models and problems that the handlers use.

A new route is a row in `OPERATIONS`; a test holds the table against the application's routes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.delivery.responses import Waiting
from api.images import Image
from api.problems import MEDIA_TYPE, Problem, ProblemDocument, ProblemExplanation
from api.uploads import UploadIssued, UploadRequest
from safelight import __version__, keys
from safelight.formats import BY_NAME, BY_SIZE

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_HEADERS: Mapping[str, str] = {
    "Location": "Where to ask for the image.",
    "Idempotent-Replayed": "`true` if this image was there before the request.",
    "Retry-After": "Seconds to wait before asking again.",
    "ETag": "For If-None-Match. Absent if the answer has URLs that expire.",
    "Cache-Control": "For how long who may keep it.",
    "Vary": "The request's headers that the answer depends on.",
    "Content-Disposition": "A file name, and whether to show or to save.",
    "Content-Range": "Which bytes these are, of how many.",
    "Server-Timing": "What the answer waited for.",
    "RateLimit": "What is left of the renders of a signing key, or of the upload URLs of a user.",
    "RateLimit-Policy": "How many renders or upload URLs are allowed in how many seconds.",
    "Allow": "The methods there are.",
    "WWW-Authenticate": "What to authenticate with, and what is wrong with what was sent.",
}
_OF_STATUS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}
"""Headers that problems of a status carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One way in which an operation succeeds, or the plain words of a probe."""

    description: str
    model: type[BaseModel] | None = None
    media_type: str | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, Answer]
    problems: tuple[Problem, ...] = ()
    request: type[BaseModel] | None = None
    headers: tuple[Schema, ...] = ()
    public: bool = False


_PROTECTED = (
    Problem.UNAUTHENTICATED,
    Problem.INVALID_CREDENTIALS,
    Problem.MISDIRECTED,
    Problem.INTERNAL,
    Problem.MISCONFIGURED,
    Problem.UNAVAILABLE,
)
_BODY = (
    Problem.MALFORMED_REQUEST,
    Problem.MALFORMED_JSON,
    Problem.BODY_TIMEOUT,
    Problem.BODY_TOO_LARGE,
    Problem.UNSUPPORTED_MEDIA_TYPE,
    Problem.INVALID_REQUEST,
)
_EXTENSIONS = "|".join(BY_NAME[format].extension for format in BY_SIZE)
_IMAGE_ID = {"type": "string", "pattern": keys.IMAGE_ID}
_PARAMETERS: Mapping[str, Schema] = {
    "imageId": _IMAGE_ID,
    "preset": {"type": "string"},
    "alias": {"type": "string"},
    "shard": {"type": "string", "pattern": "^[0-9a-f]{2}$"},
    "secret": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "asset": {
        "type": "string",
        "pattern": rf"^[a-z][a-z0-9_-]*-[0-9a-f]{{12}}\.({_EXTENSIONS})$",
        "description": "Preset, fingerprint and extension.",
    },
    "signature": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
    "options": {"type": "string", "examples": ["box=300x200,fit=cover", "_"]},
    "source": {
        "type": "string",
        "description": "An image id, with an extension that says the format or without, or an "
        "alias and an object's path below it; slashes stay.",
    },
    "path": {"type": "string", "description": "The rest of the object's key; slashes stay."},
    "image": {
        "type": "string",
        "pattern": rf"^[0-7][0-9A-HJKMNP-TV-Z]{{25}}(\.({_EXTENSIONS}))?$",
        "description": "The image id; with an extension nothing is negotiated.",
    },
    "problem": {"type": "string", "enum": [problem.slug for problem in Problem]},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and request always mean the same image.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
_DELIVERY_PARAMETERS = tuple(
    {"name": name, "in": "query", "description": text, "schema": schema}
    for name, text, schema in (
        (
            "format",
            "Wins over Accept.",
            {"type": "string", "enum": list(BY_SIZE)},
        ),
        ("download", "Answers as an attachment.", {"const": "1"}),
        ("expires", "Until when it is signed, in seconds since 1970.", {"type": "integer"}),
        ("key", "The id of the key it is signed with.", {"type": "string"}),
        ("signature", "HMAC-SHA256 in base64url.", {"type": "string"}),
    )
)
_PICTURE_HEADERS = ("ETag", "Cache-Control", "Vary", "Content-Disposition", "Server-Timing")
_PICTURE_ANSWERS = {
    200: Answer(description="The picture.", media_type="image/*", headers=_PICTURE_HEADERS),
    206: Answer(
        description="A part of it.",
        media_type="image/*",
        headers=(*_PICTURE_HEADERS, "Content-Range"),
    ),
    304: Answer(description="It is as the ETag says.", headers=("ETag",)),
}
_MOVED = {
    308: Answer(description="Here is the URL as it is to be spelt.", headers=("Location",)),
}
_WAITING = {
    202: Answer(description="It is being worked on.", model=Waiting, headers=("Retry-After",))
}
_PICTURE_PROBLEMS = (
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
_PRESET_PARAMETER = {
    "name": "preset",
    "in": "query",
    "description": "One of the alias's; by default its first.",
    "schema": {"type": "string"},
}
_OF_FREEFORM = "/s/{signature}/{options}/{source}"
_OF_UPLOADS = frozenset({"/v1/uploads", "/v1/images/{imageId}"})
_TEXT = Answer(description="Yes.", media_type="text/plain")
_IMAGE_HEADERS = ("ETag", "Retry-After")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="post",
        path="/v1/uploads",
        summary="Issue a presigned URL for one upload",
        request=UploadRequest,
        headers=(_IDEMPOTENCY_KEY,),
        answers={
            201: Answer(
                description="Upload here.",
                model=UploadIssued,
                headers=("Location", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy"),
            )
        },
        problems=(
            *_PROTECTED,
            *_BODY,
            Problem.INVALID_IDEMPOTENCY_KEY,
            Problem.IDEMPOTENCY_KEY_REUSED,
            Problem.IMAGE_ERASED,
            Problem.RATE_LIMITED,
        ),
    ),
    Operation(
        method="get",
        path="/v1/images/{imageId}",
        summary="Tell how far an image is, and where its variants are",
        answers={
            200: Answer(description="The image.", model=Image, headers=_IMAGE_HEADERS),
            304: Answer(description="It is as the ETag says.", headers=_IMAGE_HEADERS),
        },
        problems=(*_PROTECTED, Problem.UNKNOWN_IMAGE, Problem.IMAGE_ERASED),
    ),
    Operation(
        method="get",
        path="/{preset}/{image}",
        summary="Deliver a variant in the format that the client would rather have",
        headers=_DELIVERY_PARAMETERS,
        answers=_PICTURE_ANSWERS | _MOVED | _WAITING,
        problems=(*_PICTURE_PROBLEMS, Problem.IMAGE_ERASED),
        public=True,
    ),
    Operation(
        method="get",
        path="/{alias}/{path}",
        summary="Deliver a variant of an object in a bucket that an alias names",
        headers=(*_DELIVERY_PARAMETERS, _PRESET_PARAMETER),
        answers=_PICTURE_ANSWERS | _MOVED,
        problems=_PICTURE_PROBLEMS,
        public=True,
    ),
    Operation(
        method="get",
        path="/images/{shard}/{imageId}/{secret}/{asset}",
        summary="Deliver an asset by its key, which never changes its meaning",
        headers=tuple(row for row in _DELIVERY_PARAMETERS if row["name"] != "format"),
        answers=_PICTURE_ANSWERS | _MOVED | _WAITING,
        problems=(*_PICTURE_PROBLEMS, Problem.IMAGE_ERASED),
        public=True,
    ),
    Operation(
        method="get",
        path=_OF_FREEFORM,
        summary="Deliver what a signed free-form URL asks for (docs/guide/dialects.md)",
        answers=_PICTURE_ANSWERS | _WAITING,
        problems=(*_PICTURE_PROBLEMS, Problem.IMAGE_ERASED),
        public=True,
    ),
    Operation(
        method="get",
        path="/healthz",
        summary="Is the process alive?",
        answers={200: _TEXT},
        public=True,
    ),
    Operation(
        method="get",
        path="/readyz",
        summary="Can images be looked up now?",
        answers={200: _TEXT, 503: Answer(description="No.", media_type="text/plain")},
        public=True,
    ),
    Operation(
        method="get",
        path="/metrics",
        summary="Measurements for Prometheus",
        answers={200: Answer(description="The text format.", media_type="text/plain")},
        public=True,
    ),
    Operation(
        method="get",
        path="/openapi.json",
        summary="This document",
        answers={200: Answer(description="OpenAPI 3.1.", media_type="application/json")},
        public=True,
    ),
    Operation(
        method="get",
        path="/problems/{problem}",
        summary="Explain a problem's type",
        answers={200: Answer(description="The problem.", model=ProblemExplanation)},
        problems=(Problem.UNKNOWN_PATH,),
        public=True,
    ),
)


def document(
    *,
    max_upload_bytes: int,
    anonymous: bool,
    uploads: bool = True,
    presets: Collection[str] = (),
    aliases: Collection[str] = (),
    freeform: bool = False,
) -> Schema:
    """Make the document of what is served: uploads, and delivery by presets, aliases and options.

    `anonymous` leaves out the credentials that nobody asks for.
    """
    schemes: Schema = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A JWT, or an API key."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    }
    names = {
        "/{preset}/{image}": presets,
        "/{alias}/{path}": aliases,
        "/images/{shard}/{imageId}/{secret}/{asset}": presets,
    }
    paths = {
        path: {row.method: _operation(row, anonymous=anonymous) for row in rows}
        for path, rows in groupby(OPERATIONS, key=lambda row: row.path)
        if (uploads or path not in _OF_UPLOADS)
        and (freeform or path != _OF_FREEFORM)
        and names.get(path, True)
    }
    for path in {"/{preset}/{image}", "/{alias}/{path}"} & paths.keys():
        paths[path]["get"]["parameters"][0]["schema"]["enum"] = list(names[path])
    schemas = _schemas()
    schemas["UploadRequest"]["properties"]["size"]["maximum"] = max_upload_bytes
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safelight",
            "version": __version__,
            "description": "Issues upload URLs and answers questions about images.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas} | ({} if anonymous else {"securitySchemes": schemes}),
    }


def _operation(row: Operation, *, anonymous: bool) -> Schema:
    names = [part.strip("{}") for part in row.path.split("/") if part.startswith("{")]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": dict(_PARAMETERS[name])}
        for name in names
    ]
    described: Schema = {
        "summary": row.summary,
        "operationId": row.method + "".join(word.title() for word in _words(row.path)),
        "parameters": [*parameters, *row.headers],
        "responses": {
            **{str(status): _response(answer) for status, answer in row.answers.items()},
            **_problems(row.problems),
        },
        "security": [] if row.public or anonymous else [{"bearer": []}, {"apiKey": []}],
    }
    if row.request is not None:
        content = {"application/json": {"schema": _reference(row.request)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _words(path: str) -> Iterable[str]:
    return "".join(c if c.isalnum() else " " for c in path).split()


def _reference(model: type[BaseModel]) -> Schema:
    return {"$ref": _REF.format(model=model.__name__)}


def _response(answer: Answer) -> Schema:
    response: Schema = {"description": answer.description}
    if answer.model is not None:
        response["content"] = {"application/json": {"schema": _reference(answer.model)}}
    elif answer.media_type is not None:
        response["content"] = {answer.media_type: {}}
    if answer.headers:
        response["headers"] = _described(answer.headers)
    return response


def _problems(problems: Iterable[Problem]) -> Schema:
    """Describe problems by status, several of which may share one."""
    by_status = sorted(problems, key=lambda problem: problem.status)
    return {
        str(status): {
            "description": "; ".join(f"`{problem.slug}`: {problem.title}" for problem in group),
            "content": {MEDIA_TYPE: {"schema": _reference(ProblemDocument)}},
            **({"headers": _described(_OF_STATUS[status])} if status in _OF_STATUS else {}),
        }
        for status, group in groupby(by_status, key=lambda problem: problem.status)
    }


def _described(headers: Iterable[str]) -> Schema:
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in headers}


def _schemas() -> Schema:
    """Describe every model: requests as they are read, answers as they are written."""
    _, requests = models_json_schema([(UploadRequest, "validation")], ref_template=_REF)
    answers = (UploadIssued, Image, Waiting, ProblemDocument, ProblemExplanation)
    _, written = models_json_schema(
        [(model, "serialization") for model in answers], ref_template=_REF
    )
    return {**requests["$defs"], **written["$defs"]}
