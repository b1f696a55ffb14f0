"""Reads JSON bodies and forms within limits of size and time. Invalid ones raise a `Refusal`."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.problems import Fault, Problem, Refusal
from safelight.refused_values import why_refused

MAX_BODY_BYTES = 16 * 1024
BODY_SECONDS = 10
"""How long a body may take to arrive."""
MAX_FAULTS = 20
"""How many faults of a body are listed at most."""

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 20
"""How many fields a form may have."""

# aiohttp's own parser of Content-Type takes seconds for some texts, and raises for others.
_JSON = re.compile(r"\s*application/json\s*(;.*)?", re.IGNORECASE)
_FORM = re.compile(rf"\s*{FORM}\s*(;.*)?", re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]*)')
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})

Model = TypeVar("Model", bound=BaseModel)


def whole_number(number: object) -> object:
    """Turn 5.0 into 5: in JSON Schema both are integers, and some languages write 5.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


async def read_json(
    request: web.Request, model: type[Model], *, context: Mapping[str, Any]
) -> Model:
    """Parse a request's body as the model, or refuse it and name its faults.

    If a member is given twice, the last one counts, as in most JSON parsers.
    """
    _check_media_type(request)
    return parse(await _read(request), model, context=context)


async def read_form(request: web.Request) -> dict[str, str]:
    """Read a form as browsers send it. If a field is given twice, the last one counts."""
    if not _FORM.fullmatch(request.headers.get("Content-Type", "")):
        raise Refusal(Problem.UNSUPPORTED_MEDIA_TYPE, f"The body must be {FORM}.")
    body = await _read(request)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise Refusal(Problem.MALFORMED_REQUEST, "The form is not readable.") from error


def parse(body: bytes, model: type[Model], *, context: Mapping[str, Any]) -> Model:
    """Parse JSON as the model, or refuse it."""
    try:
        return model.model_validate_json(body, context=dict(context))
    except ValidationError as error:
        raise _refusal(error) from error


def _check_media_type(request: web.Request) -> None:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    declared = request.headers.get("Content-Type")
    if not _JSON.fullmatch(declared or ""):
        found = "none" if declared is None else "another"
        detail = f"The body must be application/json; the request declares {found}."
    elif not _CHARSETS.issuperset(_CHARSET.findall((declared or "").lower())):
        detail = "The body must be in UTF-8; the request declares another charset."
    elif encoding != "identity":  # so that no body can be a decompression bomb
        detail = "The body must not be compressed."
    else:
        return
    raise Refusal(Problem.UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept": "application/json"})


async def _read(request: web.Request) -> bytes:
    """Read the body. The application limits its size (`client_max_size`)."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, request.content_length or 0)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        raise Refusal(
            Problem.BODY_TIMEOUT, f"The body took longer than {BODY_SECONDS} seconds."
        ) from error
    except (HttpProcessingError, web.RequestPayloadError, OSError) as error:
        raise Refusal(
            Problem.MALFORMED_REQUEST, "The body is not as its headers announce."
        ) from error


def _refusal(error: ValidationError) -> Refusal:
    faults = error.errors(include_url=False, include_input=False)
    if any(fault["type"] == "json_invalid" for fault in faults):
        message = faults[0]["msg"].removeprefix("Invalid JSON: ")
        return Refusal(Problem.MALFORMED_JSON, f"The body is not JSON: {message}.")
    shown = [
        Fault(pointer=_pointer(fault["loc"]), detail=_sentence(fault))
        for fault in faults[:MAX_FAULTS]
    ]
    return Refusal(Problem.INVALID_REQUEST, _summary(len(faults)), errors=shown)


def _summary(count: int) -> str:
    more = f"; the first {MAX_FAULTS} are listed" if count > MAX_FAULTS else ""
    return f"{count} member{'s are' if count > 1 else ' is'} not valid{more}."


def _sentence(fault: ErrorDetails) -> str:
    if fault["type"] == "extra_forbidden":
        return "There is no member of this name."
    return why_refused(fault).rstrip(".") + "."


def _pointer(location: tuple[int | str, ...]) -> str:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return "#" + "".join("/" + quote(part, safe="!$&'()*+,;=:@~") for part in parts)
