"""The edges against services that stall, break off, throttle and lie."""

import asyncio
import hashlib

import pytest
from aiohttp import web

from safelight.aws.session import connect
from safelight.completion import Completion
from safelight.errors import Misconfigured, Reason, Refused, Rejection, Unavailable
from safelight.record import Record, Status

BODY = b"0123456789" * 1000
ETAG = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


def error(code: str, status: int) -> web.Response:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


async def whole(request: web.Request) -> web.Response:
    return web.Response(body=BODY, headers={"ETag": f'"{ETAG}"'})


async def broken_off(request: web.Request) -> web.StreamResponse:
    """Announce more than is sent, and hang up."""
    response = web.StreamResponse(headers={"ETag": f'"{ETAG}"', "Content-Length": str(len(BODY))})
    await response.prepare(request)
    await response.write(BODY[:5000])
    request.transport.close()
    return response


async def fetch(aws, tmp_path, **changes):
    wish = {"key": "uploads/u/i", "version_id": "v1", "etag": ETAG, "max_bytes": 1 << 20}
    return await (await aws.objects()).fetch(**{**wish, **changes}, to=tmp_path / "source")


async def put(aws, tmp_path, body: bytes = BODY):
    path = tmp_path / "asset"
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    objects = await aws.objects()
    await objects.put(key="images/x", path=path, media_type="image/webp", sha256=digest)


async def publish(aws):
    topic = await aws.topic("arn:aws:sns:eu-west-1:000000000000:any")
    record = Record(
        image_id="i", user_id="u", uploaded_at=1, original_key="k", status=Status.COMPLETED
    )
    await topic.publish(Completion.of(record))


async def test_a_body_shorter_than_announced_is_unavailable(unwell, tmp_path):
    with pytest.raises(Unavailable):
        await fetch(await unwell(broken_off), tmp_path)


async def test_bytes_of_another_etag_than_the_events_are_unavailable(unwell, tmp_path):
    with pytest.raises(Unavailable, match="ETag"):
        await fetch(await unwell(whole), tmp_path, etag="another")


async def test_a_body_that_stalls_is_cancelled_with_the_work(unwell, tmp_path):
    begun, over = asyncio.Event(), asyncio.Event()

    async def stall(request):
        response = web.StreamResponse(headers={"ETag": f'"{ETAG}"', "Content-Length": "10000"})
        await response.prepare(request)
        await response.write(b"x")
        begun.set()
        await over.wait()
        return response

    task = asyncio.create_task(fetch(await unwell(stall), tmp_path))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    over.set()


async def test_too_many_bytes_are_rejected_before_they_come(unwell, tmp_path):
    asked = []

    async def endless(request):
        asked.append(request.path)
        response = web.StreamResponse(headers={"ETag": f'"{ETAG}"', "Content-Length": "999999999"})
        await response.prepare(request)
        return response

    with pytest.raises(Rejection) as caught:
        await fetch(await unwell(endless), tmp_path)
    assert caught.value.reason is Reason.TOO_MANY_BYTES
    assert not (tmp_path / "source").exists()
    assert len(asked) == 1


async def test_one_throttled_answer_is_tried_again_with_the_whole_file(unwell, tmp_path):
    answers, bodies = [error("SlowDown", 503), web.Response(headers={"ETag": '"x"'})], []

    async def throttled_once(request):
        bodies.append((request.headers["Content-Length"], await request.read()))
        return answers.pop(0)

    body = b"whole" * 500_000
    await put(await unwell(throttled_once), tmp_path, body)
    assert bodies == [(str(len(body)), body)] * 2


async def test_a_service_that_goes_on_throttling_is_unavailable_after_three_attempts(
    unwell, tmp_path
):
    asked = []

    async def throttled(request):
        asked.append(request.path)
        return error("SlowDown", 503)

    with pytest.raises(Unavailable, match="SlowDown"):
        await fetch(await unwell(throttled), tmp_path)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AccessDenied", 403, Misconfigured),
        ("RequestTimeTooSkewed", 403, Misconfigured),
        ("NoSuchBucket", 404, Misconfigured),
        ("ExpiredToken", 400, Unavailable),
        ("InvalidArgument", 400, Refused),
    ],
)
async def test_a_refusal_is_tried_once_and_told_by_its_cause(
    unwell, tmp_path, code, status, expected
):
    asked = []

    async def refuse(request):
        asked.append(request.path)
        return error(code, status)

    aws = await unwell(refuse)
    with pytest.raises(expected, match="the-uploads/uploads/u/i"):
        await fetch(aws, tmp_path)
    assert len(asked) == 1


@pytest.mark.parametrize("status", [200, 400, 502])
async def test_garbage_for_an_answer_is_unavailable(unwell, status):
    async def garbage(request):
        return web.Response(status=status, text="<html>a gateway & its words")

    with pytest.raises(Unavailable):
        await publish(await unwell(garbage))


async def test_a_topic_that_hangs_keeps_a_picture_for_the_time_of_its_own_bound(
    unwell, monkeypatch
):
    monkeypatch.setattr("safelight.aws.topic.PUBLISH_SECONDS", 0.05)
    over = asyncio.Event()

    async def hang(request):
        await over.wait()
        return web.Response()

    with pytest.raises(Unavailable, match="Publish"):
        await publish(await unwell(hang))
    over.set()


async def test_a_put_says_that_the_asset_never_changes(unwell, tmp_path):
    seen = {}

    async def take(request):
        seen.update(request.headers)
        await request.read()
        return web.Response(headers={"ETag": '"x"'})

    await put(await unwell(take), tmp_path)
    assert seen["Cache-Control"] == "public, max-age=31536000, immutable"
    assert seen["Content-Type"] == "image/webp"
    assert seen["x-amz-checksum-sha256"]
    assert "Transfer-Encoding" not in seen


async def test_a_service_that_does_not_listen_is_unavailable(standard_chain, settings, tmp_path):
    standard_chain.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    async with connect(settings) as aws:
        with pytest.raises(Unavailable):
            await (await aws.records()).check()
