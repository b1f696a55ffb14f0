"""The `Server` header, and the hosts that a server on loopback answers."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from safelight.serving import is_loopback, is_loopback_host, loopback_names_only


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("", False), ("10.0.0.1", False),  # noqa: S104 - compared, not bound
        ("example.com", False), ("localhost.evil.example", False), ("127.0.0.1.evil", False),
    ],
)  # fmt: skip
def test_loopback_addresses_are_recognised(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("LocalHost:8080", True), ("127.0.0.1", True), ("127.9.9.9:1", True),
        ("[::1]", True), ("[::1]:8080", True), ("localhost:", True),
        ("", False), ("::1", False), ("evil.example", False), ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:80", False), ("evil@localhost", False), ("0.0.0.0", False),  # noqa: S104 - compared, not bound
        ("localhost:80:80", False), ("[::1", False), ("10.0.0.1", False), ("localhost/x", False),
    ],
)  # fmt: skip
def test_loopback_hosts_are_recognised(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (b"", 400),
        (b"Host:\r\n", 421),
        (b"Host: evil.example\r\n", 421),
        (b"Host: localhost\r\nHost: evil.example\r\n", 400),
        (b"Host: localhost\r\n", 404),
    ],
)
async def test_a_request_must_name_loopback_once(hosts: bytes, status: int) -> None:
    app = web.Application(middlewares=[loopback_names_only])
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n" + hosts + b"\r\n")
        answer = await reader.read()
        writer.close()
    assert int(answer.split()[1]) == status
