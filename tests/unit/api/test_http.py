"""The middlewares of every request, seen in the bytes on the wire, the log and the metrics."""

import asyncio
import json
import logging
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from aiohttp.http_exceptions import LineTooLong

from api.__main__ import without_request_bytes
from api.problems import Problem
from safelight.errors import Misconfigured, Unavailable
from tests.unit.api.clients import ALICE, Api, Start, an_upload

Events = list[MutableMapping[str, Any]]
HEAD = b"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: sl_alices-key\r\n"
JSON = HEAD + b"Content-Type: application/json\r\n"


@pytest.fixture
def logged() -> Iterator[Events]:
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as events:
        yield events


def only_request(events: Events) -> MutableMapping[str, Any]:
    (event,) = [event for event in events if event["event"] == "request"]
    return event


async def test_a_request_is_told_in_one_event(api: Api, logged: Events) -> None:
    answer, told = await api.post(an_upload(), **{"X-Request-Id": "req-1.a_B"})
    event = only_request(logged)
    assert (event["method"], event["route"], event["status"]) == ("POST", "/v1/uploads", 201)
    assert (event["user_id"], event["image_id"]) == ("key:alice", told["imageId"])
    assert event["request_id"] == answer.headers["X-Request-Id"] == "req-1.a_B"
    assert event["log_level"] == "info"
    assert event["seconds"] > 0


async def test_nothing_secret_is_logged(api: Api, logged: Events) -> None:
    await api.post(an_upload(method="PUT"), Cookie="session=hush")
    await api.ask("GET", "/v1/images/x?X-Amz-Signature=hush", headers=ALICE)
    await api.post(an_upload(), **{"X-Api-Key": "sl_hush"})
    told = repr(logged)
    assert "hush" not in told
    assert "sl_" not in told
    assert "Signature" not in told


async def test_one_request_leaves_nothing_for_the_next_of_its_connection(
    api: Api, logged: Events
) -> None:
    await api.post(an_upload())
    await api.ask("GET", "/nowhere")
    first, second = (event for event in logged if event["event"] == "request")
    assert "image_id" in first
    assert not {"image_id", "user_id"} & second.keys()
    assert first["request_id"] != second["request_id"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", 'a"b', "ü", "a/b"])
async def test_a_request_id_that_is_not_sane_is_replaced(api: Api, given: str) -> None:
    answer, _ = await api.ask("GET", "/healthz", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] != given
    assert len(answer.headers["X-Request-Id"]) == 26


async def test_a_problem_tells_its_request(api: Api) -> None:
    answer, problem = await api.get("nope", **{"X-Request-Id": "r1"})
    assert answer.content_type == "application/problem+json"
    assert problem == {
        "type": "/problems/unknown_image",
        "title": "No such image",
        "status": 404,
        "detail": "You have no image of this id.",
        "instance": "/v1/images/nope",
        "requestId": "r1",
    }


@pytest.mark.parametrize("problem", list(Problem))
async def test_the_type_of_a_problem_leads_to_its_explanation(api: Api, problem: Problem) -> None:
    answer, told = await api.ask("GET", problem.type)
    assert answer.status == 200
    assert told["status"] == problem.status
    assert told["title"] == problem.title


@pytest.mark.parametrize(
    "path",
    ["/", "/nowhere", "/v1/uploads/", "/v1//uploads", "/v1", "/problems/none", "/V1/uploads"],
)
async def test_what_is_not_there_is_a_problem_too(api: Api, path: str) -> None:
    answer, problem = await api.ask("GET", path, headers=ALICE)
    assert answer.status == 404
    assert problem["type"] == "/problems/unknown_path"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/uploads", {"POST"}),
        ("PUT", "/v1/images/x", {"DELETE", "GET", "HEAD", "PATCH"}),
        ("OPTIONS", "/healthz", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_told_which_there_are(
    api: Api, method: str, path: str, allow: set[str]
) -> None:
    answer, problem = await api.ask(method, path)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(",")) == allow
    assert problem["type"] == "/problems/method_not_allowed"


async def test_head_is_get_without_a_body(api: Api) -> None:
    _, told = await api.post(an_upload())
    answer, body = await api.ask("HEAD", told["statusUrl"], headers=ALICE)
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


async def test_an_unexpected_error_is_told_in_the_log_only(api: Api, logged: Events) -> None:
    api.records.fail_next["get"] = [RuntimeError("the password is hunter2")]
    answer, problem = await api.get("0" * 26)
    assert answer.status == 500
    assert problem["type"] == "/problems/internal"
    assert "hunter2" not in json.dumps(problem)
    event = only_request(logged)
    assert event["log_level"] == "error"
    assert isinstance(event["exc_info"], RuntimeError)


@pytest.mark.parametrize("kind", [Unavailable, Misconfigured])
async def test_the_log_has_the_cause_of_a_failing_service(
    api: Api, logged: Events, kind: type[Unavailable | Misconfigured]
) -> None:
    api.records.fail_next["get"] = [kind("dynamodb", "GetItem images: why")]
    await api.get("0" * 26)
    event = only_request(logged)
    assert "GetItem images: why" in event["error"]
    assert event["dependency"] == "dynamodb"


async def test_a_wrong_setup_is_traced_once_a_minute_and_logged_with_every_request(
    start: Start, logged: Events
) -> None:
    seconds = 0.0
    api = await start(now=lambda: seconds)
    for seconds in (0.0, 1.0, 59.9, 60.0, 61.0):  # noqa: B007 - the clock reads it
        api.records.fail_next["get"] = [Misconfigured("s3", "HeadObject: AccessDenied")]
        await api.get("0" * 26)
    api.records.fail_next["get"] = [Misconfigured("sts", "AssumeRole: AccessDenied")]
    await api.get("0" * 26)
    requests = [event for event in logged if event["event"] == "request"]
    assert ["exc_info" in event for event in requests] == [True, False, False, True, False, True]
    assert all("AccessDenied" in event["error"] for event in requests)


async def test_the_labels_of_the_metrics_are_a_closed_set(api: Api) -> None:
    for number in range(5):
        await api.ask("GET", f"/nowhere/{number}")
        await api.get(f"image-{number}")
        await api.ask("MKCOL", f"/v1/{number}")
    _, text = await api.ask("GET", "/metrics")
    series = [line for line in text.decode().splitlines() if "duration_seconds_count" in line]
    assert len(series) == 3
    assert api.value(
        "safelight_http_request_duration_seconds_count",
        route="/v1/images/{imageId}", method="GET", status="404",
    ) == 5  # fmt: skip
    assert api.value(
        "safelight_http_request_duration_seconds_count",
        route="unmatched", method="other", status="404",
    ) == 5  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"/metrics", 200),
        (b"/metrics?name[]=up", 200),
        (b"/%6Detrics", 404),
        (b"/x/../metrics", 404),
        (b"http://x/metrics", 404),
    ],
)
async def test_metrics_have_one_spelling(api: Api, path: bytes, status: int) -> None:
    """A load balancer that blocks `/metrics` may let another spelling pass."""
    head = b"Host: x\r\nConnection: close\r\n\r\n"
    answer = await api.send(b"GET %s HTTP/1.1\r\n" % path + head)
    assert int(answer.split()[1]) == status


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (JSON + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ", 400),
        (JSON + b"Content-Length: -1\r\n\r\n", 400),
        (JSON + b"Content-Length: 1_0\r\n\r\n{}", 400),
        (JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400),
        (JSON + b"Expect: the impossible\r\nContent-Length: 2\r\n\r\n{}", 417),
        (JSON + b"Content-Length: 9999999999\r\n\r\n{}", 413),
        (JSON + b"Transfer-Encoding: chunked\r\n\r\n20000\r\n" + b" " * 0x20000, 413),
        (HEAD + b"Content-Length: 2\r\n\r\n{}", 415),
        (HEAD + b'Content-Type: application/json; charset="\r\nContent-Length: 2\r\n\r\n{}', 415),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00 a TLS hello\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n", 400),
    ],
)
async def test_broken_http_is_the_clients_fault(
    api: Api, request_bytes: bytes, status: int
) -> None:
    answer = await api.send(request_bytes)
    assert int(answer.split()[1]) == status


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00 a TLS hello\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: the impossible\r\nConnection: close\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
async def test_no_answer_names_the_software_of_the_server(api: Api, request_bytes: bytes) -> None:
    answer = await api.send(request_bytes)
    assert b"\r\nServer: safelight\r\n" in answer
    assert b"aiohttp" not in answer.lower()


@pytest.mark.parametrize("path", ["/v1/uploads", "/healthz", "/metrics", "/nowhere"])
async def test_where_anyone_may_upload_only_loopback_names_are_answered(
    start: Start, path: str
) -> None:
    api = await start(anonymous=True)
    answer, problem = await api.ask(
        "POST", path, json=an_upload(), headers={"Host": "evil.example"}
    )
    assert (answer.status, problem["type"]) == (421, "/problems/misdirected")
    assert "localhost" in problem["detail"]
    answer, _ = await api.ask(
        "POST", "/v1/uploads", json=an_upload(), headers={"Host": "localhost:1"}
    )
    assert answer.status == 201


async def test_an_api_with_keys_is_asked_by_any_name(api: Api) -> None:
    answer, _ = await api.post(an_upload(), Host="api.example.com")
    assert answer.status == 201


async def test_a_client_may_ask_before_it_sends_the_body(api: Api) -> None:
    body = json.dumps(an_upload()).encode()
    head = JSON + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = await api.send(head + body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created")


async def test_a_client_that_goes_away_is_no_failure(api: Api, logged: Events) -> None:
    answer = await api.send(JSON + b"Content-Length: 50\r\n\r\n{}", keep_open=False)
    assert answer == b""
    await _until(lambda: any(event["event"] == "request" for event in logged))
    event = only_request(logged)
    assert (event["status"], event["log_level"]) == (499, "info")
    assert api.value("safelight_uploads_presigned_total", outcome="failed") == 0


async def _until(reached: Any) -> None:
    async with asyncio.timeout(10):
        while not reached():
            await asyncio.sleep(0)


async def test_the_bytes_of_broken_http_are_not_logged() -> None:
    error = LineTooLong(b"Authorization: Bearer eyJhush", 8190)
    record = logging.LogRecord(
        "aiohttp.server", logging.ERROR, "", 0, "Error handling request from %s", ("1.2.3.4",),
        (type(error), error, None),
    )  # fmt: skip
    assert without_request_bytes(record)
    assert "hush" not in logging.Formatter().format(record)
    assert record.levelname == "INFO"


async def test_other_errors_of_the_server_are_logged_whole() -> None:
    error = RuntimeError("a bug")
    record = logging.LogRecord(
        "aiohttp.server", logging.ERROR, "", 0, "Error", (), (type(error), error, None)
    )
    assert without_request_bytes(record)
    assert "a bug" in logging.Formatter().format(record)


ORIGIN = {"Origin": "https://app.example"}
PREFLIGHT = ORIGIN | {"Access-Control-Request-Method": "POST"}


async def test_pages_of_a_named_origin_may_call_and_read(start: Start) -> None:
    api = await start(cors_origins=["https://app.example"])
    preflight, _ = await api.ask("OPTIONS", "/v1/uploads", headers=PREFLIGHT)
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    answer, _ = await api.post(an_upload(), **ORIGIN)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    refused, _ = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=ORIGIN)
    assert refused.status == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example"


@pytest.mark.parametrize("origin", ["https://app.example.evil.example", "null", "*"])
async def test_pages_of_other_origins_may_not(start: Start, origin: str) -> None:
    api = await start(cors_origins=["https://app.example"])
    for method, path in (("OPTIONS", "/v1/uploads"), ("GET", "/healthz")):
        answer, _ = await api.ask(method, path, headers=PREFLIGHT | {"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Vary"] == "Origin"


async def test_no_origin_is_named_by_default(api: Api) -> None:
    answer, _ = await api.ask("OPTIONS", "/v1/uploads", headers=PREFLIGHT)
    assert answer.status == 405
    assert "Access-Control-Allow-Origin" not in answer.headers
