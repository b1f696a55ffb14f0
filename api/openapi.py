"""Writes the OpenAPI 3.1 document from the table of routes and the models of the handlers."""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from itertools import groupby
from types import MappingProxyType

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.delivery.responses import Waiting
from api.editing import EditRequest
from api.erasure_request import ErasureRequest
from api.erasures import RequestedErasure, RequestedErasures, UserErasureCounts
from api.images import Image
from api.listing import ImageList
from api.operations import Answer, Operation, Schema
from api.originals import Original
from api.problems import MEDIA_TYPE, Problem, ProblemDocument, ProblemExplanation
from api.routes import Route
from api.session import Session
from api.upload_documents import UploadIssued, UploadRequest
from api.url_request import UrlsIssued, UrlsRequest
from api.vocabulary import Vocabulary
from safelight import __version__, keys
from safelight.completion import MEDIA_TYPE as CLOUD_EVENT
from safelight.completion import Completion
from safelight.erasures import Receipt
from safelight.formats import BY_NAME, BY_SIZE

_REF = "#/components/schemas/{model}"
_HEADERS: Mapping[str, str] = {
    "Location": "Where to ask for the image.",
    "Idempotent-Replayed": "`true` if the image existed before this request.",
    "Retry-After": "Seconds to wait before asking again.",
    "Preference-Applied": "`wait=N`: how long the answer would have waited.",
    "ETag": "For If-None-Match. Absent if the answer has URLs that expire.",
    "Cache-Control": "Which caches may keep the answer, and for how long.",
    "Vary": "The request headers that the answer depends on.",
    "Content-Disposition": "A file name, and whether to show or to save the picture.",
    "Content-Range": "The range of bytes, and how many bytes the picture has.",
    "Server-Timing": "How long each step took.",
    "RateLimit": "Renders left for a signing key, or upload URLs or erasures left for a user.",
    "RateLimit-Policy": "How many renders, upload URLs or erasures are allowed in so many seconds.",
    "Allow": "The methods of this path.",
    "WWW-Authenticate": "How to authenticate, and why the credentials were refused.",
}
_HEADERS_OF_PROBLEMS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}
"""Headers that problems of a status carry."""
_EXTENSIONS = "|".join(BY_NAME[format].extension for format in BY_SIZE)
_PARTS: Mapping[str, Schema] = {
    "imageId": {"type": "string", "pattern": keys.IMAGE_ID},
    "erasureId": {"type": "string", "pattern": keys.IMAGE_ID},
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
        "description": "An image id, optionally with the extension of a format; or an alias and "
        "an object's path below it. Slashes are not escaped.",
    },
    "path": {
        "type": "string",
        "description": "The rest of the object's key. Slashes are not escaped.",
    },
    "image": {
        "type": "string",
        "pattern": rf"^[0-7][0-9A-HJKMNP-TV-Z]{{25}}(\.({_EXTENSIONS}))?$",
        "description": "The image id. An extension selects the format; without one it is "
        "negotiated.",
    },
    "problem": {"type": "string", "enum": [problem.slug for problem in Problem]},
}
"""The schemas of the parts of paths, by their names."""

_COMPLETION: Schema = {
    "post": {
        "operationId": "completion",
        "summary": "An image is settled (docs/guide/completions.md)",
        "description": "SNS delivers it: as a message of an SQS queue, or as the body of a POST, "
        "whose media type is then text/plain.",
        "requestBody": {
            "required": True,
            "content": {CLOUD_EVENT: {"schema": {"$ref": _REF.format(model=Completion.__name__)}}},
        },
        "responses": {"200": {"description": "The event is stored. Otherwise SNS sends it again."}},
    }
}
"""The event that subscribers of the topic receive."""


def document(
    routes: Iterable[Route],
    *,
    max_upload_bytes: int,
    anonymous: bool,
    names: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Schema:
    """Describe the routes that a process serves; `names` has the names of presets and aliases.

    `anonymous` leaves credentials out, because none are needed then.
    """
    schemes: Schema = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A JWT, or an API key."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    }
    paths: Schema = {}
    for route in routes:
        if route.operation is not None:
            path = route.operation.path or route.path
            described = _operation(route, route.operation, path, anonymous=anonymous, names=names)
            paths.setdefault(path, {})[route.method.lower()] = described
    schemas = json.loads(_schemas())
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
        "webhooks": {"completion": _COMPLETION},
        "components": {"schemas": schemas} | ({} if anonymous else {"securitySchemes": schemes}),
    }


def _operation(
    route: Route,
    operation: Operation,
    path: str,
    *,
    anonymous: bool,
    names: Mapping[str, Collection[str]],
) -> Schema:
    described: Schema = {
        "summary": operation.summary,
        "operationId": route.method.lower() + "".join(word.title() for word in _words(path)),
        "parameters": [
            *_parts(path, names),
            *_query(operation.query),
            *operation.parameters,
        ],
        "responses": {
            **{str(status): _response(answer) for status, answer in operation.answers.items()},
            **_problems(operation.problems),
        },
        "security": [] if route.public or anonymous else [{"bearer": []}, {"apiKey": []}],
    }
    if operation.request is not None:
        content = {"application/json": {"schema": _reference(operation.request)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parts(path: str, names: Mapping[str, Collection[str]]) -> list[Schema]:
    """Describe the parts of a path that are in braces."""
    parts = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    return [
        {
            "name": part,
            "in": "path",
            "required": True,
            "schema": _PARTS[part] | ({"enum": list(names[part])} if part in names else {}),
        }
        for part in parts
    ]


def _query(model: type[BaseModel] | None) -> list[Schema]:
    """Describe the parameters of a query by the fields of their model."""
    if model is None:
        return []
    described = model.model_json_schema(ref_template=_REF)["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "description": schema.pop("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "title"},
        }
        for name, schema in described.items()
    ]


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
    """Describe problems by their status, which several may share."""
    by_status = sorted(problems, key=lambda problem: problem.status)
    return {
        str(status): _problem(status, tuple(group))
        for status, group in groupby(by_status, key=lambda problem: problem.status)
    }


def _problem(status: int, problems: Iterable[Problem]) -> Schema:
    described: Schema = {
        "description": "; ".join(f"`{problem.slug}`: {problem.title}" for problem in problems),
        "content": {MEDIA_TYPE: {"schema": _reference(ProblemDocument)}},
    }
    if headers := _HEADERS_OF_PROBLEMS.get(status):
        described["headers"] = _described(headers)
    return described


def _described(headers: Iterable[str]) -> Schema:
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in headers}


@cache
def _schemas() -> str:
    """Describe every model in JSON: requests as they are parsed, answers as they are serialized.

    It takes most of the time in which an application is made, and tests make thousands.
    """
    bodies = (UploadRequest, EditRequest, ErasureRequest, UrlsRequest)
    _, requests = models_json_schema([(model, "validation") for model in bodies], ref_template=_REF)
    answers = (
        UploadIssued,
        Image,
        ImageList,
        Original,
        Session,
        UrlsIssued,
        Vocabulary,
        RequestedErasure,
        RequestedErasures,
        Receipt,
        UserErasureCounts,
        Waiting,
        ProblemDocument,
        ProblemExplanation,
        Completion,
    )
    _, written = models_json_schema(
        [(model, "serialization") for model in answers], ref_template=_REF
    )
    return json.dumps({**requests["$defs"], **written["$defs"]})
