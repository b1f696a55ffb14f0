"""A reverse proxy between workers and the embedded AWS that fails calls on request.

It names every call (`GetObject`, `ReceiveMessage`), counts it, and applies the fault of the first
rule that matches. The Host header is forwarded unchanged, because it is signed.

    proxy.add(Rule("PutObject", refused(503, "SlowDown"), share=0.3))
    proxy.add(Rule("UpdateItem", after(kill_the_worker), times=1))

`proxy.watch(watcher)` shows every call and its answer to a function.
"""

import asyncio
import io
import itertools
import random
import re
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

_NOT_HANDED_ON = frozenset({"connection", "keep-alive", "transfer-encoding", "expect"})
_NOT_HANDED_BACK = _NOT_HANDED_ON | {"content-length"}
_S3_OPERATIONS = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject"}
_SERVICES = {"AmazonSQS": "sqs", "DynamoDB_20120810": "dynamodb"}
_ATTEMPT = re.compile(r"attempt=(\d+)")
_INVALIDATION = re.compile(r"/\d{4}-\d\d-\d\d/distribution/[^/]+/invalidation(/.+)?$")
_CALLER = re.compile(r"\bapp/(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as the SDK sent it, retries counted one by one."""

    number: int
    """Its place among all calls through this proxy, from 1."""
    service: str
    operation: str
    path: str
    """Decoded; for S3 the bucket and the key."""
    query: str = ""
    """Decoded; a list of S3 has its prefix here."""
    body: bytes = field(repr=False)
    invocation: str
    """The SDK's id of the logical call, shared by its retries."""
    attempt: int
    caller: str
    """The application id of the caller's SDK, if any."""
    at: float
    """The time of its arrival on the monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a call. After `cut_after` bytes of the body the connection ends, or stalls."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    cut_after: int | None = None
    stalls: bool = False


class ConnectionCut(Exception):
    """Raised by a fault: the client's connection is reset without an answer."""


Forward = Callable[[], Awaitable[Answer]]
Fault = Callable[[Call, Forward], Awaitable[Answer]]
Hook = Callable[[Call], Awaitable[None]]
Watcher = Callable[[Call, Answer], None]


@dataclass(slots=True)
class Rule:
    """A fault, and the calls that it applies to.

    These match by operation (or `*`) and by a text in path or body. The fault starts at the call
    number `first`, applies `times` times at most, and to a random `share` of them.
    """

    operation: str
    fault: Fault
    text: str = ""
    first: int = 1
    times: int | None = None
    share: float = 1.0
    on: bool = True
    seen: int = 0
    """Number of calls that matched by operation and text."""
    used: int = 0

    def takes(self, call: Call, draw: random.Random) -> bool:
        """Whether the fault applies to this call; counts it."""
        if not self.on or self.operation not in ("*", call.service, call.operation):
            return False
        if self.text and self.text not in call.path and self.text.encode() not in call.body:
            return False
        self.seen += 1
        if self.seen < self.first or (self.times is not None and self.used >= self.times):
            return False
        if self.share < 1 and draw.random() >= self.share:
            return False
        self.used += 1
        return True


def refused(status: int, code: str, message: str = "refused on purpose") -> Fault:
    """Answer with an error in the service's own form; the call is not carried out."""

    async def fault(call: Call, _: Forward) -> Answer:
        return _error(call.service, status, code, message)

    return fault


def delayed(seconds: float) -> Fault:
    """Carry out the call after a delay."""

    async def fault(_: Call, forward: Forward) -> Answer:
        await asyncio.sleep(seconds)
        return await forward()

    return fault


def truncated(keep: int) -> Fault:
    """Announce the whole body, send the first `keep` bytes of it, and end the connection."""

    async def fault(_: Call, forward: Forward) -> Answer:
        return replace(await forward(), cut_after=keep)

    return fault


def stalled(keep: int) -> Fault:
    """Announce the whole body, send the first `keep` bytes of it, and send nothing more."""

    async def fault(_: Call, forward: Forward) -> Answer:
        return replace(await forward(), cut_after=keep, stalls=True)

    return fault


def altered(change: Callable[[Call, Answer], Answer]) -> Fault:
    """Carry out the call and change its answer."""

    async def fault(call: Call, forward: Forward) -> Answer:
        return change(call, await forward())

    return fault


async def reset(_: Call, __: Forward) -> Answer:
    """Reset the connection; the call is not carried out."""
    raise ConnectionCut


async def answer_lost(_: Call, forward: Forward) -> Answer:
    """Carry out the call and reset the connection instead of an answer."""
    await forward()
    raise ConnectionCut


async def hanging(_: Call, __: Forward) -> Answer:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")


def before(hook: Hook) -> Fault:
    """Call the hook when the call has arrived, then carry out the call."""

    async def fault(call: Call, forward: Forward) -> Answer:
        await hook(call)
        return await forward()

    return fault


def instead(hook: Hook) -> Fault:
    """Call the hook and reset the connection; the call is not carried out."""

    async def fault(call: Call, _: Forward) -> Answer:
        await hook(call)
        raise ConnectionCut

    return fault


def after(hook: Hook) -> Fault:
    """Carry out the call, and call the hook before the answer is sent."""

    async def fault(call: Call, forward: Forward) -> Answer:
        answer = await forward()
        await hook(call)
        return answer

    return fault


def in_turn(*faults: Fault) -> Fault:
    """Apply these faults in turn, one per call, again and again."""
    turns = itertools.cycle(faults)

    async def fault(call: Call, forward: Forward) -> Answer:
        return await next(turns)(call, forward)

    return fault


def together(number: int) -> Fault:
    """Hold calls until this many have arrived, then carry them all out at once."""
    waiting = asyncio.Barrier(number)

    async def fault(_: Call, forward: Forward) -> Answer:
        await waiting.wait()
        return await forward()

    return fault


class FaultProxy:
    """The proxy, which runs in an `async with` block. Without rules it changes nothing.

    It remembers every call with its body, or only the last `remembered` ones in a long run.
    """

    url: str

    def __init__(self, endpoint_url: str, *, seed: int = 0, remembered: int | None = None) -> None:
        self.calls: deque[Call] = deque(maxlen=remembered)
        self._numbers = count(1)
        self.endpoint_url = endpoint_url
        self._rules: list[Rule] = []
        self._watchers: list[Watcher] = []
        self._draw = random.Random(seed)
        self._closing = asyncio.Event()
        self._runner = web.ServerRunner(
            web.Server(self._serve, access_log=None), shutdown_timeout=0.2
        )

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        self._http = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            connector=aiohttp.TCPConnector(limit=0),
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and end the calls that hang."""
        self._closing.set()
        await self._runner.cleanup()
        await self._http.close()

    def add(self, rule: Rule) -> Rule:
        """Append a rule; earlier rules win."""
        self._rules.append(rule)
        return rule

    def watch(self, watcher: Watcher) -> None:
        """Call a function with every call and its answer, before the answer is sent."""
        self._watchers.append(watcher)

    def count(self, operation: str, text: str = "") -> int:
        """Count the calls of an operation, including those that failed."""
        return len(self.of(operation, text))

    def of(self, operation: str, text: str = "") -> list[Call]:
        """List the calls of an operation in the order of their arrival."""
        return [
            call for call in self.calls
            if call.operation == operation and (text in call.path or text.encode() in call.body)
        ]  # fmt: skip

    def counts(self) -> Counter[str]:
        """Count all calls by operation."""
        return Counter(call.operation for call in self.calls)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await _read(request)
        except ConnectionError:
            return web.Response()  # the worker was killed while it sent
        call = _named(request, body, next(self._numbers))
        self.calls.append(call)

        async def forward() -> Answer:
            return await self._forward(request, body)

        rule = next((one for one in self._rules if one.takes(call, self._draw)), None)
        try:
            answer = await (rule.fault(call, forward) if rule else forward())
        except (ConnectionCut, aiohttp.ClientError):
            return _cut(request)
        for watcher in self._watchers:
            watcher(call, answer)
        return await self._answer(request, answer)

    async def _forward(self, request: web.BaseRequest, body: bytes) -> Answer:
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _NOT_HANDED_ON
        )
        url = URL(self.endpoint_url + request.raw_path, encoded=True)
        skipped = ("User-Agent", "Accept-Encoding", "Accept", "Content-Type")
        async with self._http.request(
            request.method,
            url,
            headers=headers,
            data=io.BytesIO(body) if body else None,
            skip_auto_headers=skipped,
        ) as answer:
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in _NOT_HANDED_BACK
            }
            return Answer(status=answer.status, headers=kept, body=await answer.read())

    async def _answer(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        response = web.StreamResponse(status=answer.status, headers=headers)
        try:
            await response.prepare(request)
            if answer.cut_after is None:
                await response.write(answer.body)
                await response.write_eof()
                return response
            await response.write(answer.body[: answer.cut_after])
            if answer.stalls:
                await self._closing.wait()
        except ConnectionError:
            return response  # the worker was killed meanwhile
        if request.transport is not None:
            request.transport.close()
        return response


async def _read(request: web.BaseRequest) -> bytes:
    """Read a request's body; to S3 the SDK sends it only after `100 Continue`."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await request.content.read(-1)


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    """Reset the connection, as if the service's machine had died."""
    if request.transport is not None:
        peer: socket.socket | None = request.transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


def _named(request: web.BaseRequest, body: bytes, number: int) -> Call:
    service, operation = _service_and_operation(request, body)
    attempt = _ATTEMPT.search(request.headers.get("amz-sdk-request", ""))
    caller = _CALLER.search(request.headers.get("User-Agent", ""))
    return Call(
        number=number,
        service=service,
        operation=operation,
        path=unquote(request.raw_path.partition("?")[0]),
        query=unquote(request.raw_path.partition("?")[2]),
        body=body,
        invocation=request.headers.get("amz-sdk-invocation-id", ""),
        attempt=int(attempt[1]) if attempt else 1,
        caller=caller[1] if caller else "",
        at=time.monotonic(),
    )


def _service_and_operation(request: web.BaseRequest, body: bytes) -> tuple[str, str]:
    if target := request.headers.get("X-Amz-Target"):
        prefix, _, operation = target.rpartition(".")
        return _SERVICES.get(prefix, prefix), operation
    if (named := _INVALIDATION.match(request.path)) is not None:
        return "cloudfront", "GetInvalidation" if named[1] else "CreateInvalidation"
    if request.content_type == "application/x-www-form-urlencoded":
        return "sns", parse_qs(body.decode()).get("Action", ["?"])[0]
    return "s3", _S3_OPERATIONS.get(request.method, request.method)


def _error(service: str, status: int, code: str, message: str) -> Answer:
    """Make an error in the service's protocol: rest-xml, query or json."""
    if service == "s3":
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return _text(status, "application/xml", body)
    if service in ("sns", "cloudfront"):
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return _text(status, "text/xml", f"<ErrorResponse>{error}</ErrorResponse>")
    body = f'{{"__type": "com.amazonaws#{code}", "message": "{message}"}}'
    return _text(status, "application/x-amz-json-1.0", body)


def _text(status: int, media_type: str, body: str) -> Answer:
    return Answer(status=status, headers={"Content-Type": media_type}, body=body.encode())
