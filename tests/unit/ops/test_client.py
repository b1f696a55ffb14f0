"""The client, against an API and a storage that answer over real HTTP."""

import json
from hashlib import sha256

import aiohttp
import pytest
from aiohttp import web

from ops.client import Client, ClientFailed, Refused, declared_type, why_failed

PICTURE = b"\xff\xd8\xff picture"


class Service:
    """Gives the prepared answers, and keeps the requests."""

    def __init__(self) -> None:
        self.answer = web.json_response({})
        self.headers = None
        self.body = b""

    async def handle(self, request: web.Request) -> web.Response:
        self.headers = request.headers
        self.body = await request.read()
        return self.answer


@pytest.fixture
def service():
    return Service()


@pytest.fixture
async def url(service, aiohttp_server):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    server = await aiohttp_server(app)
    return str(server.make_url("/")).rstrip("/")


@pytest.fixture
async def client(url):
    async with aiohttp.ClientSession() as http:
        yield Client(http, url + "/", key="secret")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a\nb.JPG"
    path.write_bytes(PICTURE)
    return path


def ticket(url: str) -> dict:
    return {"imageId": "01", "url": f"{url}/bucket", "fields": {"key": "k", "policy": "p"}}


async def test_an_address_without_an_uploads_api_is_told_as_that(client, service, url, picture):
    problem = {"status": 404, "detail": "Compare the path with /openapi.json."}
    service.answer = web.json_response(problem, status=404)
    with pytest.raises(ClientFailed) as failed:
        await client.announce(picture)
    assert str(failed.value) == (f"There is no uploads API at {url}; is this delivery's address?")


async def test_an_announcement_says_what_will_be_uploaded(client, service, url, picture):
    service.answer = web.json_response(ticket(url), status=201)
    assert (await client.announce(picture)).image_id == "01"
    assert json.loads(service.body) == {
        "filename": "a\ufffdb.JPG",  # the API takes no control characters
        "contentType": "image/jpeg",
        "size": len(PICTURE),
    }
    assert service.headers["Authorization"] == "Bearer secret"


async def test_a_client_names_the_user_that_it_acts_for(service, url, picture):
    service.answer = web.json_response(ticket(url), status=201)
    async with aiohttp.ClientSession() as http:
        await Client(http, url, key="secret", user="customer 4711").announce(picture)
        assert service.headers["X-Safelight-User"] == "customer 4711"
        service.answer = web.json_response(ticket(url), status=201)
        await Client(http, url, key="secret").announce(picture)
        assert "X-Safelight-User" not in service.headers


async def test_an_announcement_of_another_picture_names_its_image(client, service, url, picture):
    service.answer = web.json_response(ticket(url), status=201)
    await client.announce(picture, replacing="01M8J1")
    assert json.loads(service.body) == {
        "imageId": "01M8J1",
        "contentType": "image/jpeg",
        "size": len(PICTURE),
    }


async def test_an_image_that_cannot_be_replaced_is_quoted_by_its_problem(client, service, picture):
    problem = {"type": "/problems/unknown_image", "detail": "You have no image of this id."}
    service.answer = web.json_response(problem, status=404)
    with pytest.raises(ClientFailed, match="You have no image of this id"):
        await client.announce(picture, replacing="01M8J1")


async def test_every_announcement_of_a_client_has_its_tags(service, url, picture):
    service.answer = web.json_response(ticket(url), status=201)
    async with aiohttp.ClientSession() as http:
        await Client(http, url, tags=("cat", "summer")).announce(picture)
    assert json.loads(service.body)["tags"] == ["cat", "summer"]


async def test_every_announcement_of_a_client_says_how_long_to_keep_the_image(
    service, url, picture
):
    service.answer = web.json_response(ticket(url), status=201)
    async with aiohttp.ClientSession() as http:
        await Client(http, url, keep_days=30).announce(picture)
    assert json.loads(service.body)["keepDays"] == 30


async def test_a_form_has_its_fields_in_order_the_file_last_and_an_exact_length(
    client, service, url, picture
):
    service.answer = web.json_response(ticket(url), status=201)
    leave = await client.announce(picture)
    service.answer = web.Response(status=204)
    await client.send(leave, picture)
    places = [service.body.index(part) for part in (b'"key"', b'"policy"', b'"file"', PICTURE)]
    assert places == sorted(places)
    assert int(service.headers["Content-Length"]) == len(service.body)
    assert "Authorization" not in service.headers


async def test_a_refusal_names_the_member_at_fault(client, service, picture):
    errors = [{"pointer": "#/size", "detail": "must be at most 3."}]
    service.answer = web.json_response(
        {"type": "/problems/invalid_request", "detail": "1 member", "errors": errors}, status=422
    )
    with pytest.raises(Refused, match="must be at most 3") as refused:
        await client.announce(picture)
    assert refused.value.reason == "too_many_bytes"


async def test_any_other_answer_is_a_failure_that_quotes_it(client, service, picture):
    service.answer = web.Response(status=503, text="busy")
    with pytest.raises(ClientFailed, match="HTTP 503: busy"):
        await client.announce(picture)


async def test_a_problem_is_quoted_by_its_detail(client, service, picture):
    problem = {"type": "/problems/unauthenticated", "title": "No", "detail": "Send a key."}
    service.answer = web.json_response(problem, status=401)
    with pytest.raises(ClientFailed, match=r"^/v1/uploads: HTTP 401: Send a key\.$"):
        await client.announce(picture)


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", "7"])
async def test_an_address_of_another_service_is_recognised(client, service, picture, body):
    service.answer = web.Response(text=body)
    with pytest.raises(ClientFailed, match="not one of Safelight's API; is the address right"):
        await client.announce(picture)
    if body != "{}":
        service.answer = web.Response(text=body)
        with pytest.raises(ClientFailed, match="not one of Safelight's API"):
            await client.image("01")


async def test_a_failed_connection_is_explained_in_one_plain_line(picture, unused_tcp_port):
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await Client(http, f"http://127.0.0.1:{unused_tcp_port}").announce(picture)
    words = f"cannot connect to 127.0.0.1:{unused_tcp_port}: Connection refused"
    assert why_failed(failed.value) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (aiohttp.ServerTimeoutError(), "no answer in time"),
        (aiohttp.ServerDisconnectedError(), "Server disconnected"),
        (aiohttp.ClientPayloadError(), "ClientPayloadError"),
    ],
)
def test_no_failure_is_without_a_reason(error, words):
    assert why_failed(error) == words


async def test_a_download_must_have_the_promised_checksum(client, service, url, tmp_path):
    service.answer = web.Response(body=PICTURE)
    await client.download(url, tmp_path / "a", sha256_hex=sha256(PICTURE).hexdigest())
    assert (tmp_path / "a").read_bytes() == PICTURE
    service.answer = web.Response(body=b"another")
    with pytest.raises(ClientFailed, match="another checksum"):
        await client.download(url, tmp_path / "b", sha256_hex=sha256(PICTURE).hexdigest())


@pytest.mark.parametrize(
    ("name", "declared"),
    [("a.jpg", "image/jpeg"), ("a.PNG", "image/png"), ("a.webp", "image/webp"),
     ("a.avif", "image/avif"), ("a.txt", "application/octet-stream"),
     ("a", "application/octet-stream"), ("a.svg", "application/octet-stream")],
)  # fmt: skip
def test_only_types_that_safelight_reads_are_declared(tmp_path, name, declared):
    assert declared_type(tmp_path / name) == declared
