"""The embedded AWS refuses web pages in a browser on the same machine."""

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from ops.local.emulator import Emulator
from ops.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = {"Origin": "http://localhost:3000"}
FOREIGN_PAGE = {"Origin": "https://foreign.example"}
UPLOAD = {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "content-type",
}
HEALTH = "/_ministack/health"


@pytest_asyncio.fixture(loop_scope="session")
async def http(emulator: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(emulator.endpoint_url) as session:
        yield session


def permissions(answer: aiohttp.ClientResponse) -> list[str]:
    return [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    "host",
    ["foreign.example", "foreign.example:80", "127.0.0.1.foreign.example", "foreignlocalhost", ""],
)
async def test_a_foreign_host_is_misdirected(http: aiohttp.ClientSession, host: str) -> None:
    async with http.get(HEALTH, headers={"Host": host}) as answer:
        assert answer.status == 421
        assert "answers only to 127.0.0.1, [::1], localhost" in await answer.text()


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "LocalHost", "127.0.0.1", "[::1]:80", "bucket.localhost"]
)
async def test_a_name_of_loopback_is_answered(http: aiohttp.ClientSession, host: str) -> None:
    async with http.get(HEALTH, headers={"Host": host}) as answer:
        assert answer.status == 200


async def test_no_other_port_is_open(http: aiohttp.ClientSession) -> None:
    """ministack would serve devices on all interfaces, beside the guard."""
    async with http.get(HEALTH) as answer:
        assert (await answer.json())["iot_mtls"] == "disabled"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/%5Fministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/sqs/messages"),
        ("GET", "/_localstack/health"),
        ("GET", "/_aws/execute-api/x/y"),
    ],
)
async def test_the_emulators_own_paths_are_closed(
    http: aiohttp.ClientSession, emulator: Emulator, stack: Stack, method: str, path: str
) -> None:
    async with http.request(method, path) as answer:
        assert answer.status == 403
        assert f"only {HEALTH} is open" in await answer.text()
    async with emulator.account.client("s3") as s3:
        await s3.head_bucket(Bucket=stack.uploads_bucket)  # nothing was reset


async def test_a_caller_without_keys_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.post("/", data={"Action": "ListUsers", "Version": "2010-05-08"}) as answer:
        assert answer.status == 403


async def test_no_page_may_read_what_has_no_rule_of_its_own(http: aiohttp.ClientSession) -> None:
    for page in (PAGE, FOREIGN_PAGE):
        form = {"Action": "ListUsers", "Version": "2010-05-08"}
        async with http.post("/", data=form, headers=page) as answer:
            assert not permissions(answer)
        async with http.options("/", headers=page | UPLOAD) as answer:
            assert not permissions(answer)


async def test_a_page_on_loopback_may_upload_as_the_bucket_allows(
    http: aiohttp.ClientSession, stack: Stack
) -> None:
    path = f"/{stack.uploads_bucket}/uploads/x"
    async with http.options(path, headers=PAGE | UPLOAD) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE["Origin"]
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "content-type"
    async with http.put(path, data=b"x", headers=PAGE) as answer:  # unsigned: the page may read why
        assert answer.status == 403
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE["Origin"]
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]


async def test_a_page_on_loopback_may_read_a_picture_by_its_presigned_url(
    http: aiohttp.ClientSession, emulator: Emulator, stack: Stack
) -> None:
    place = {"Bucket": stack.assets_bucket, "Key": "images/x"}
    async with emulator.account.client("s3") as s3:
        await s3.put_object(**place, Body=b"picture")
        url = await s3.generate_presigned_url("get_object", Params=place)
    for page, allowed in ((PAGE, PAGE["Origin"]), (FOREIGN_PAGE, None)):
        async with http.get(url, headers=page) as answer:
            assert (answer.status, await answer.read()) == (200, b"picture")
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    async with http.options(url, headers=PAGE | {"Access-Control-Request-Method": "GET"}) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE["Origin"]


async def test_a_foreign_page_may_not_upload(http: aiohttp.ClientSession, stack: Stack) -> None:
    path = f"/{stack.uploads_bucket}/uploads/x"
    async with http.options(path, headers=FOREIGN_PAGE | UPLOAD) as answer:
        assert answer.status == 403
        assert not permissions(answer)


async def test_a_page_may_not_open_a_websocket(http: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect("/", headers=FOREIGN_PAGE)
    assert refused.value.status == 403


async def test_a_request_without_a_host_is_refused(emulator: Emulator) -> None:
    port = int(emulator.endpoint_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /_ministack/health HTTP/1.0\r\n\r\n")
        assert b" 421 " in connection.recv(100)
