"""The middlewares of every request: id, log line, metrics, user and problems."""

import re
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from structlog.contextvars import bound_contextvars
from ulid import ULID

from api.auth import USER, Authentication
from api.metrics import ApiMetrics
from api.problems import Problem, Refusal
from safelight.errors import Misconfigured, Unavailable
from safelight.tracing import OFF, Spans

log = structlog.get_logger()

RETRY_SECONDS = 5
"""After how many seconds a client should retry while a service is unavailable."""
TRACE_SECONDS = 60
"""Seconds between two logged tracebacks about one misconfigured dependency."""
CLIENT_GONE = 499
"""The status in logs and metrics of a request whose client disconnected."""
NOTES = web.RequestKey("notes", dict[str, Any])
"""The fields that the request's log line will have."""
REQUEST_ID = web.RequestKey("request_id", str)
WAITED = web.RequestKey("waited", float)
"""The seconds that the request waited at its client's wish. Metrics leave them out."""

Endpoint = tuple[str, str]
"""A route's method and its path with the parts in braces. HEAD counts as GET."""

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PROBLEM_OF_STATUS = {
    404: Problem.UNKNOWN_PATH,
    405: Problem.METHOD_NOT_ALLOWED,
    413: Problem.BODY_TOO_LARGE,
    421: Problem.MISDIRECTED,
}


def note(request: web.Request, **words: Any) -> None:
    """Add fields to the request's log line."""
    request[NOTES].update(words)


def observed(
    metrics: ApiMetrics, spans: Spans = OFF, *, quiet: Collection[Endpoint] = ()
) -> Middleware:
    """Give every request an id, one log line and one observation in the metrics.

    Requests for `quiet` endpoints are logged at debug level unless they fail.
    """

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        request[NOTES] = {}
        request[REQUEST_ID] = _request_id(request)
        with bound_contextvars(request_id=request[REQUEST_ID]):
            status = CLIENT_GONE
            try:
                response = await handler(request)
                _mark(response, request_id=request[REQUEST_ID])
                status = response.status
            finally:
                seconds = time.perf_counter() - started
                metrics.observe(
                    route=route_of(request),
                    method=request.method,
                    status=status,
                    seconds=max(0.0, seconds - request.get(WAITED, 0.0)),
                )
                _trace(request, spans, status=status, seconds=seconds)
                level = _level(status, quiet=endpoint_of(request) in quiet)
                _log(request, level, status=status, seconds=seconds)
        return response

    return observe


def with_problems(now: Callable[[], float] = time.monotonic) -> Middleware:
    """Turn every exception of a handler into a problem.

    A misconfigured dependency fails every request: its error is logged with each, its traceback
    only once a minute.
    """
    traced_at: dict[str, float] = {}

    def trace_due(dependency: str) -> bool:
        due = now() - traced_at.get(dependency, float("-inf")) >= TRACE_SECONDS
        if due:
            traced_at[dependency] = now()
        return due

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPPermanentRedirect as moved:
            return web.Response(status=moved.status, headers={"Location": str(moved.location)})
        except web.HTTPException as error:
            refusal = _of_http(error)
        except Misconfigured as error:
            refusal = _of_misconfigured(request, error, traced=trace_due(error.dependency))
        except Exception as error:  # noqa: BLE001 - the client gets an answer in any case
            refusal = _of_failure(request, error)
        note(request, problem=refusal.problem.slug, detail=refusal.detail)
        return refusal.answer(instance=request.rel_url.raw_path, request_id=request[REQUEST_ID])

    return answer


def authenticated(authentication: Authentication, *, public: Collection[Endpoint]) -> Middleware:
    """Require credentials for every route that is not public."""

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        endpoint = endpoint_of(request)
        if endpoint is not None and endpoint not in public:
            request[USER] = await authentication.user_of(request)
            note(request, user_id=request[USER])
        return await handler(request)

    return authenticate


def route_of(request: web.Request) -> str | None:
    """Return the path template of the request's route; None if no route matches."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else None


def endpoint_of(request: web.Request) -> Endpoint | None:
    """Return the request's method and path template; None if no route matches."""
    route = route_of(request)
    method = "GET" if request.method == "HEAD" else request.method
    return None if route is None else (method, route)


def _request_id(request: web.Request) -> str:
    """Return the client's request id if it is well-formed, else a new one."""
    given = request.headers.getall("X-Request-Id", [])
    if len(given) == 1 and _SANE_REQUEST_ID.fullmatch(given[0]):
        return given[0]
    return str(ULID())


def _mark(response: web.StreamResponse, *, request_id: str) -> None:
    response.headers["X-Request-Id"] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")


def _trace(request: web.Request, spans: Spans, *, status: int, seconds: float) -> None:
    """Add the request to the trace of its image, and the trace's id to its log line."""
    image_id = request[NOTES].get("image_id")
    if trace_id := spans.trace_id(image_id):
        note(request, trace_id=trace_id)
    spans.add(
        f"{request.method} {route_of(request)}",
        image_id,
        seconds=seconds,
        failed=status >= 500,
        status=status,
    )


def _level(status: int, *, quiet: bool) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "error"
    return "debug" if quiet else "info"


def _log(request: web.Request, level: str, *, status: int, seconds: float) -> None:
    write: Callable[..., Any] = getattr(log, level)
    write(
        "request",
        method=request.method,
        route=route_of(request) or "unmatched",
        status=status,
        seconds=round(seconds, 6),
        **request[NOTES],
    )


def _of_http(error: web.HTTPException) -> Refusal:
    """Turn an error of aiohttp into a problem."""
    problem = _PROBLEM_OF_STATUS.get(error.status, Problem.MALFORMED_REQUEST)
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return Refusal(problem, problem.remedy, headers=headers)


def _of_misconfigured(request: web.Request, error: Misconfigured, *, traced: bool) -> Refusal:
    note(request, error=str(error), dependency=error.dependency)
    if traced:
        note(request, exc_info=error)
    return Refusal(
        Problem.MISCONFIGURED,
        "Safelight has no access to a service that it needs, or cannot find it. "
        "Only the operator can fix this.",
    )


def _of_failure(request: web.Request, error: Exception) -> Refusal:
    """Give the client a problem without internals; the log gets the cause."""
    match error:
        case Refusal():
            return error
        case Unavailable():
            note(request, error=str(error), dependency=error.dependency)
            return Refusal(
                Problem.UNAVAILABLE,
                "A service that Safelight needs does not answer. The same request may succeed "
                f"in {RETRY_SECONDS} seconds.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
    note(request, error=str(error), exc_info=error)
    return Refusal(Problem.INTERNAL, "An unexpected error occurred.")
