"""Uploads become variants: over HTTP, with real processes and photographs, policies enforced."""

import asyncio
import hashlib
import io
import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ops.local.completions import Completions
from ops.local.system import LocalSystem
from tests.acceptance.conftest import uploads_worker
from tests.support import pictures
from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.jpg"))
CAT = (ROOT / "samples" / "cat-451px.jpg").read_bytes()
CAMERA = (ROOT / "samples" / "camera-10mp-5mb.jpg").read_bytes()
BOXES = {"small": 150, "medium": 300, "large": 600}
PILLOWS_NAMES = {"image/webp": "WEBP", "image/jpeg": "JPEG"}


async def until_completed(
    completions: Completions, image_id: str, *, number: int = 1
) -> list[dict[str, Any]]:
    """Wait for an image's completions; drop those of other images."""
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while len(told) < number:
            told += [dict(one) for one in await completions.receive() if one["subject"] == image_id]
    return told


async def depth(system: LocalSystem, url: str) -> dict[str, int]:
    async with system.account.client("sqs") as sqs:
        answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {
        "visible": int(answer["Attributes"]["ApproximateNumberOfMessages"]),
        "in_flight": int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"]),
    }


async def until_empty(system: LocalSystem) -> None:
    async with asyncio.timeout(30):
        while any((await depth(system, system.stack.uploads_queue_url)).values()):
            await asyncio.sleep(0.05)


# The camera's file is one frame of a two-frame MPO, and says so.
@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file")
@pytest.mark.parametrize("photograph", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_photograph_becomes_its_variants(
    alice: Person, photograph: Path, method: str
) -> None:
    body = photograph.read_bytes()
    source = Image.open(io.BytesIO(body))
    told = await alice.settled(await alice.upload(body, filename=photograph.name, method=method))
    assert told["status"] == "completed"
    assert (told["width"], told["height"]) == source.size
    assert (told["mediaType"], told["originalSize"]) == ("image/jpeg", len(body))
    assert told["sha256"] == hashlib.sha256(body).hexdigest()
    assert 5 <= len(b64decode(told["placeholder"])) <= 25
    assert re.fullmatch(r"#[0-9a-f]{6}", told["dominantColour"])
    assert re.fullmatch(r"[0-9a-f]{16}", told["perceptualHash"])
    assert set(told["variants"]) == {"compressed", *BOXES}
    for preset, variant in told["variants"].items():
        media_type, variant_body = await alice.download(variant["url"])
        assert media_type == variant["mediaType"]
        assert len(variant_body) == variant["size"]
        assert hashlib.sha256(variant_body).hexdigest() == variant["sha256"]
        with Image.open(io.BytesIO(variant_body)) as picture:
            picture.load()
            assert picture.format == PILLOWS_NAMES[media_type]
            assert picture.size == (variant["width"], variant["height"])
            assert max(picture.size) == min(BOXES.get(preset, 10**6), max(source.size))
            assert not picture.getexif()
    saved = 100 * (1 - told["variants"]["compressed"]["size"] / len(body))
    assert told["savingsPercent"] == pytest.approx(saved, abs=0.051)


async def test_an_image_is_pending_until_its_source_has_arrived(alice: Person) -> None:
    ticket = await alice.ask(CAT)
    status, told = await alice.image(ticket["imageId"])
    assert (status, told["status"]) == (200, "pending")
    await alice.send(ticket, CAT)
    assert (await alice.settled(ticket["imageId"]))["status"] == "completed"


async def test_a_completion_says_what_the_record_says(
    alice: Person, completions: Completions
) -> None:
    image_id = await alice.upload(CAT, tags=["cat"])
    (completion,) = await until_completed(completions, image_id)
    told = await alice.settled(image_id)
    assert completion["type"] == "safelight.image.completed"
    assert completion["data"]["tags"] == ["cat"]
    for preset, variant in completion["data"]["variants"].items():
        assert variant["sha256"] == told["variants"][preset]["sha256"]


async def test_two_people_who_upload_the_same_name_at_once_have_two_images(
    alice: Person, bob: Person
) -> None:
    first, second = await asyncio.gather(
        alice.upload(CAT, filename="photo.jpg"), bob.upload(CAMERA, filename="photo.jpg")
    )
    assert (await alice.settled(first))["width"] == 451
    assert (await bob.settled(second))["width"] == 3648
    assert (await bob.image(first))[0] == (await alice.image(second))[0] == 404


@pytest.mark.parametrize(
    "filename", ["a b+ü(1)&=#%.jpg", "../../etc/passwd", "日本.jpg", "x" * 255]
)
async def test_any_file_name_works_and_is_remembered(alice: Person, filename: str) -> None:
    told = await alice.settled(await alice.upload(CAT, filename=filename))
    assert (told["status"], told["filename"]) == ("completed", filename)


async def test_pictures_at_fault_are_rejected_with_their_reasons_and_harm_nobody(
    alice: Person, system: LocalSystem, completions: Completions
) -> None:
    sources = {
        "unsupported": b"this is no picture\n" * 100,
        "empty": b"",
        "truncated": CAMERA[: len(CAMERA) // 2],
        "too_many_pixels": pictures.png_bomb(50_000, 50_000, bits=8, colour=2),
    }
    images = {reason: await alice.upload(body) for reason, body in sources.items()}
    good = await alice.upload(CAT)
    for reason, image_id in images.items():
        told = await alice.settled(image_id)
        assert (told["status"], told["reason"]) == ("rejected", reason), told
        assert told["detail"]
        assert not told.get("variants")
    assert (await alice.settled(good))["status"] == "completed"
    await until_empty(system)
    dead_letters = await depth(system, system.stack.dead_letter_queue_url)
    assert dead_letters == {"visible": 0, "in_flight": 0}


async def test_an_object_put_without_the_api_is_adopted(
    system: LocalSystem, completions: Completions
) -> None:
    key = "uploads/key%3Aalice/holiday/a b+ü(1)&=#%.jpg"
    async with system.account.client("s3") as s3:
        await s3.put_object(Bucket=system.stack.uploads_bucket, Key=key, Body=CAT)
    async with asyncio.timeout(60):
        while True:
            for completion in await completions.receive():
                if completion["data"].get("originalKey") == key:
                    assert completion["data"]["status"] == "completed"
                    assert completion["data"]["userId"] == "key:alice"
                    derived = system.stack.image_ids.of_object(
                        bucket=system.stack.uploads_bucket, key=key
                    )
                    assert completion["data"]["imageId"] == derived
                    return


async def test_a_picture_is_replaced_by_a_new_upload_of_its_image_alone(
    alice: Person, system: LocalSystem, completions: Completions
) -> None:
    ticket = await alice.ask(b"x" * 60_000)
    image_id = ticket["imageId"]
    await alice.send(ticket, CAT)
    assert (await alice.settled(image_id))["width"] == 451
    await alice.send(ticket, pictures.encoded(pictures.noise(60, 30), "JPEG"))
    await until_empty(system)
    assert (await alice.image(image_id))[1]["width"] == 451
    await alice.replace(image_id, pictures.encoded(pictures.noise(40, 30), "JPEG"))
    await until_completed(completions, image_id, number=2)
    image = (await alice.image(image_id))[1]
    assert (image["width"], "replacing" in image) == (40, False)


async def test_a_put_may_be_repeated(alice: Person) -> None:
    ticket = await alice.ask(CAT, method="PUT")
    assert [await alice.send(ticket, CAT) for _ in range(2)] == [200, 200]
    assert (await alice.settled(ticket["imageId"]))["status"] == "completed"


async def test_storage_takes_nothing_longer_than_was_announced(alice: Person) -> None:
    for method in ("POST", "PUT"):
        ticket = await alice.ask(CAT, method=method)
        assert await alice.send(ticket, CAT + b"x") in (400, 403)


async def test_a_picture_whose_worker_was_killed_is_completed_once(
    alice: Person, system: LocalSystem, completions: Completions
) -> None:
    await until_empty(system)
    worker = uploads_worker(system)
    ticket = await alice.ask(CAMERA)
    await alice.send(ticket, CAMERA)
    spool = system.directory / f"{worker.name}-spool"
    async with asyncio.timeout(30):
        while not any(path.stat().st_size == len(CAMERA) for path in spool.rglob("source")):
            await asyncio.sleep(0.005)
    worker.kill()
    assert (await alice.image(ticket["imageId"]))[1]["status"] == "pending"
    await system.start_worker()
    (completion,) = await until_completed(completions, ticket["imageId"])
    assert completion["data"]["status"] == "completed"
    await until_empty(system)
    again = [one for one in await completions.receive() if one["subject"] == ticket["imageId"]]
    assert {one["id"] for one in again} <= {completion["id"]}


async def test_a_worker_told_to_stop_finishes_what_it_began_and_exits_cleanly(
    alice: Person, system: LocalSystem
) -> None:
    images = [await alice.upload(CAMERA) for _ in range(4)]
    worker = uploads_worker(system)
    worker.terminate()
    worker.terminate()
    assert await worker.wait() == 0
    assert (await depth(system, system.stack.uploads_queue_url))["in_flight"] == 0
    await system.start_worker()
    for image_id in images:
        assert (await alice.settled(image_id))["status"] == "completed"


async def test_logs_tell_every_message_once_and_no_signature(system: LocalSystem) -> None:
    lines = [
        line for log in system.directory.glob("*.log") if "emulator" not in log.name
        for line in log.read_text().splitlines()
    ]  # fmt: skip
    events = [json.loads(line) for line in lines]
    settled = [event for event in events if event["event"] == "message"]
    assert settled
    for event in settled:
        assert {"message_id", "verdict", "receive_count"} <= event.keys()
    assert not [line for line in lines if "X-Amz-Signature" in line or "sl_alice" in line]


async def test_what_is_measured_is_documented(system: LocalSystem, http: Any) -> None:
    documented = (ROOT / "docs" / "operate" / "metrics.md").read_text()
    for url in (system.api_url, system.worker_urls[uploads_worker(system)]):
        async with http.get(f"{url}/metrics") as answer:
            page = await answer.text()
        names = {
            line.split()[2] for line in page.splitlines() if line.startswith("# TYPE safelight_")
        }
        assert names
        series = [line for line in page.splitlines() if line.startswith("safelight_")]
        assert len(series) <= 400
        for name in names - {"safelight_build_info"}:
            assert f"`{name}`" in documented or name.endswith("_created"), name
        async with http.get(f"{url}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"{url}/readyz") as answer:
            assert answer.status == 200
