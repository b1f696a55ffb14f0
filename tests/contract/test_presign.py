"""Presigned URLs allow and refuse requests of a client that has HTTP and no credentials."""

import hashlib
import time
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
import time_machine

from safelight.keys import source_key
from tests.support.fakes import FakePresigner

pytestmark = pytest.mark.asyncio(loop_scope="session")

over_http = pytest.mark.parametrize("backend", ["ministack", "moto"], indirect=True)
"""A fake makes no signature that could be checked."""

BODY = b"these very bytes"
SHA256 = hashlib.sha256(BODY).hexdigest()
CHECKSUM = b64encode(hashlib.sha256(BODY).digest()).decode()
TOKEN = "01JZ6V8M9Z3N4R5T6W8X9Y0ZAB.5f70bf18a0860070.0f9d3c1b2a4e5d68"
OTHER_CHECKSUM = b64encode(hashlib.sha256(b"others").digest()).decode()


def wish(**changes: Any) -> dict[str, Any]:
    """A user id with every character that has a meaning in URLs and forms."""
    key = source_key(user_id="auth0|zo\u00eb a+b&c=d%/..", image_id=str(uuid4()))
    return {
        "key": key,
        "content_type": "image/jpeg",
        "size_bytes": len(BODY),
        "sha256": SHA256,
        "upload_token": TOKEN,
        "expires_seconds": 900,
        **changes,
    }


@pytest_asyncio.fixture(loop_scope="session")
async def presigner(place) -> Any:
    return FakePresigner() if place is None else await place.as_api.presigner()


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> Any:
    async with aiohttp.ClientSession() as session:
        yield session


async def post(http, signed, body: bytes = BODY, **changes: str) -> int:
    form = aiohttp.FormData()
    for name, value in {**signed.fields, **changes}.items():
        form.add_field(name, value)
    form.add_field("file", body, filename="x.jpg")
    async with http.post(signed.url, data=form) as answer:
        await answer.read()
        return answer.status


async def put(http, signed, body: bytes = BODY, without: str = "", **changes: str) -> int:
    headers = {**signed.headers, **changes, "Content-Length": str(len(body))}
    headers.pop(without, None)
    async with http.put(signed.url, data=body, headers=headers) as answer:
        await answer.read()
        return answer.status


async def stored(place, key: str) -> tuple[bytes, str]:
    answer = await place.clients["s3"].get_object(Bucket=place.settings.uploads_bucket, Key=key)
    return await answer["Body"].read(), answer["ContentType"]


async def test_a_form_says_key_and_type(presigner):
    asked = wish()
    signed = await presigner.post(**asked)
    assert signed.fields["key"] == asked["key"]
    assert signed.fields["Content-Type"] == "image/jpeg"
    assert signed.fields["policy"]


@pytest.mark.parametrize("sha256", [None, SHA256])
async def test_the_headers_of_a_put_say_all_that_a_client_has_to_set(presigner, sha256):
    signed = await presigner.put(**wish(sha256=sha256))
    checksum = {"x-amz-checksum-sha256": CHECKSUM} if sha256 else {}
    named = {"Content-Type": "image/jpeg", "x-amz-meta-upload-token": TOKEN}
    assert signed.headers == named | checksum


async def test_an_upload_without_a_token_names_none(presigner):
    """It was requested of a version that had no tokens."""
    form = await presigner.post(**wish(upload_token=None))
    put = await presigner.put(**wish(upload_token=None))
    assert "x-amz-meta-upload-token" not in {**form.fields, **put.headers}


@over_http
@pytest.mark.parametrize("method", ["post", "put"])
async def test_an_upload_has_the_token_that_was_signed(presigner, place, http, method):
    asked = wish()
    signed = await getattr(presigner, method)(**asked)
    assert await {"post": post, "put": put}[method](http, signed) in (200, 201)
    bucket = place.settings.uploads_bucket
    answer = await place.clients["s3"].head_object(Bucket=bucket, Key=asked["key"])
    assert answer["Metadata"] == {"upload-token": TOKEN}


@pytest.mark.parametrize("method", ["post", "put"])
async def test_a_url_says_when_it_ends(presigner, method):
    before = int(time.time())
    uploads = await getattr(presigner, method)(**wish(expires_seconds=900))
    asset = await presigner.get_asset(key="images/x", expires_seconds=60)
    after = int(time.time())
    assert before + 900 <= uploads.expires_at <= after + 900
    assert before + 60 <= asset.expires_at <= after + 60


@over_http
@pytest.mark.parametrize("sha256", [None, SHA256])
async def test_the_right_post_is_taken(presigner, place, http, sha256):
    asked = wish(sha256=sha256)
    assert await post(http, await presigner.post(**asked)) == 201
    assert await stored(place, asked["key"]) == (BODY, "image/jpeg")


@over_http
async def test_a_shorter_post_is_taken_as_well(presigner, place, http):
    asked = wish(sha256=None)
    assert await post(http, await presigner.post(**asked), body=b"x") == 201
    assert (await stored(place, asked["key"]))[0] == b"x"


@over_http
async def test_an_empty_source_may_be_posted_where_it_was_announced(presigner, place, http):
    asked = wish(size_bytes=0, sha256=None)
    assert await post(http, await presigner.post(**asked), body=b"") == 201
    assert (await stored(place, asked["key"]))[0] == b""


@over_http
@pytest.mark.parametrize(
    "changes",
    [
        {"key": "uploads/somebody/else"},
        {"Content-Type": "text/html"},
        {"x-amz-checksum-sha256": OTHER_CHECKSUM},
        {"success_action_redirect": "https://elsewhere.example"},
        {"x-amz-meta-note": "more than was agreed"},
        {"x-amz-meta-upload-token": "another"},
        {"body": BODY + b"!"},
        {"body": b""},
    ],
    ids=lambda changes: next(iter(changes)) + str(len(next(iter(changes.values())))),
)
async def test_a_post_of_anything_else_is_refused(presigner, http, changes):
    signed = await presigner.post(**wish())
    assert await post(http, signed, **changes) in (400, 403)


@over_http
async def test_a_post_of_other_bytes_of_the_same_length_is_refused(presigner, http):
    signed = await presigner.post(**wish())
    assert await post(http, signed, body=b"x" * len(BODY)) == 400


@over_http
@pytest.mark.parametrize("sha256", [None, SHA256])
async def test_the_right_put_is_taken(presigner, place, http, sha256):
    asked = wish(sha256=sha256)
    assert await put(http, await presigner.put(**asked)) == 200
    assert await stored(place, asked["key"]) == (BODY, "image/jpeg")


@over_http
@pytest.mark.parametrize(
    "changes",
    [
        {"Content-Type": "text/html"},
        {"body": BODY + b"!"},
        {"body": b"x"},
        {"body": b"x" * len(BODY)},
        {"x-amz-checksum-sha256": OTHER_CHECKSUM},
        {"without": "x-amz-checksum-sha256"},
        {"without": "x-amz-meta-upload-token"},
        {"x-amz-meta-upload-token": "another"},
    ],
    ids=lambda changes: next(iter(changes)) + str(len(next(iter(changes.values())))),
)
async def test_a_put_of_anything_else_is_refused(presigner, http, changes):
    signed = await presigner.put(**wish())
    assert await put(http, signed, **changes) in (400, 403)


@over_http
async def test_a_put_with_another_key_is_refused(presigner, http):
    signed = await presigner.put(**wish())
    elsewhere = replace(signed, url=signed.url.replace("/auth0", "/other"))
    assert await put(http, elsewhere) == 403


@over_http
@pytest.mark.parametrize("sha256", [None, SHA256])
async def test_a_put_may_be_repeated(presigner, place, http, sha256):
    """A client whose answer was lost cannot know that the bytes arrived."""
    asked = wish(sha256=sha256)
    signed = await presigner.put(**asked)
    assert [await put(http, signed) for _ in range(2)] == [200, 200]
    assert await stored(place, asked["key"]) == (BODY, "image/jpeg")


@over_http
@pytest.mark.parametrize("method", ["post", "put", "get"])
async def test_an_expired_url_is_refused(presigner, http, method):
    asked = wish()
    with time_machine.travel(datetime.now(UTC) - timedelta(seconds=1000), tick=True):
        if method == "get":
            url = (await presigner.get_asset(key="images/x", expires_seconds=900)).url
        else:
            signed = await getattr(presigner, method)(**asked)
    if method == "get":
        async with http.get(url) as answer:
            assert answer.status == 403
    else:
        assert await {"post": post, "put": put}[method](http, signed) in (400, 403)


@over_http
async def test_an_asset_can_be_read_by_its_url(presigner, place, http):
    key = f"images/{uuid4()}/v1~1/small-abc.webp"
    bucket = place.settings.assets_bucket
    await place.clients["s3"].put_object(Bucket=bucket, Key=key, Body=b"asset")
    signed = await presigner.get_asset(key=key, expires_seconds=900)
    async with http.get(signed.url) as answer:
        assert (answer.status, await answer.read()) == (200, b"asset")


@over_http
async def test_a_source_is_downloaded_by_its_url_under_a_name(place, http):
    key = source_key(user_id="key:alice", image_id=str(uuid4()))
    bucket = place.settings.uploads_bucket
    await place.clients["s3"].put_object(Bucket=bucket, Key=key, Body=b"source")
    presigner = await place.as_owner.presigner()  # the API's role has no right to, by default
    signed = await presigner.get_source(
        key=key, content_disposition='attachment; filename="a.jpg"', expires_seconds=300
    )
    async with http.get(signed.url) as answer:
        assert (answer.status, await answer.read()) == (200, b"source")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="a.jpg"'


@over_http
@pytest.mark.parametrize("signed_for", ["GET", "HEAD"])
async def test_a_url_of_a_source_allows_one_method(place, http, signed_for):
    key = source_key(user_id="key:alice", image_id=str(uuid4()))
    bucket = place.settings.uploads_bucket
    await place.clients["s3"].put_object(Bucket=bucket, Key=key, Body=b"source")
    presigner = await place.as_owner.presigner()
    signed = await presigner.get_source(
        key=key,
        content_disposition='attachment; filename="a.jpg"',
        expires_seconds=300,
        method=signed_for,
    )
    for method in ("GET", "HEAD"):
        async with http.request(method, signed.url) as answer:
            assert answer.status == (200 if method == signed_for else 403)
            if answer.status == 200:
                assert answer.headers["Content-Length"] == "6"
