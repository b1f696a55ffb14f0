"""What an outside client sees of a picture's way, whatever happens on it."""

import asyncio
from pathlib import Path

import pytest

from ops.client import ClientFailed, Refused, Ticket
from ops.demo import follow_all
from ops.journey import Journey

VARIANT = {"mediaType": "image/webp", "width": 8, "height": 4, "size": 10, "sha256": "0" * 64}


class OutsideWorld:
    """The API, the storage and the subscribed queue of one test."""

    def __init__(self, *, record: dict | None = None, announce=None, send=None) -> None:
        self.record = record
        self.faults = {"announce": announce, "send": send}
        self.published: asyncio.Queue[dict] = asyncio.Queue()
        self.uploading = 0
        self.most_uploading = 0

    async def announce(self, picture: Path) -> Ticket:
        if fault := self.faults["announce"]:
            raise fault
        return Ticket(image_id=picture.name, url="", fields={})

    async def send(self, ticket: Ticket, picture: Path) -> None:
        if fault := self.faults["send"]:
            raise fault
        self.uploading += 1
        self.most_uploading = max(self.uploading, self.most_uploading)
        await asyncio.sleep(0)
        self.uploading -= 1
        if self.record:
            completion = {"data": {"imageId": ticket.image_id, **self.record}}
            for _ in range(2):  # at least once means more than once
                self.published.put_nowait(completion)

    async def image(self, image_id: str) -> dict:
        return {"variants": {"compressed": {"url": "u"}}}

    async def download(self, url: str, to: Path, *, sha256_hex: str) -> None:
        to.write_bytes(b"")

    async def receive(self) -> tuple[dict, ...]:
        return (await self.published.get(),)


async def follow(world: OutsideWorld, folder: Path, *names: str, out: Path | None = None):
    pictures = [folder / name for name in names]
    for picture in pictures:
        picture.write_bytes(b"x")
    journey = Journey(client=world, completions=world, photos=folder, out=out)
    receiving = asyncio.create_task(journey.receive())
    settled = []
    outcomes = await follow_all(journey, pictures, settled.append, patience_seconds=0.2)
    receiving.cancel()
    return outcomes, settled


COMPLETED = {
    "status": "completed",
    "mediaType": "image/jpeg",
    "width": 8,
    "height": 4,
    "sha256": "1" * 64,
    "placeholder": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    "dominantColour": "#102030",
    "perceptualHash": "00ff00ff00ff00ff",
    "variants": {"compressed": VARIANT},
    "savingsPercent": 12.5,
    "processingTimeMs": 300,
    "renderTimeMs": 250,
}


async def test_a_completed_picture_carries_what_its_completion_says(tmp_path):
    (outcome,), _ = await follow(OutsideWorld(record=COMPLETED), tmp_path, "a.jpg")
    assert outcome.settled
    assert (outcome.status, outcome.image_id) == ("completed", "a.jpg")
    assert (outcome.savings_percent, outcome.renders_seconds) == (12.5, 0.25)
    assert (outcome.sha256, outcome.placeholder) == (COMPLETED["sha256"], COMPLETED["placeholder"])
    assert (outcome.dominant_colour, outcome.perceptual_hash) == ("#102030", "00ff00ff00ff00ff")
    assert outcome.seconds_to_completion >= 0


async def test_variants_are_saved_under_the_pictures_name_and_the_presets(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (outcome,), _ = await follow(OutsideWorld(record=COMPLETED), tmp_path, "a b.jpg", out=out)
    assert outcome.variants["compressed"].file == "a b.jpg/compressed.webp"
    assert (out / "a b.jpg" / "compressed.webp").exists()


async def test_a_picture_that_the_worker_rejects_is_settled_with_the_reason(tmp_path):
    record = {"status": "rejected", "reason": "truncated", "detail": "it ends early"}
    (outcome,), _ = await follow(OutsideWorld(record=record), tmp_path, "a.jpg", out=tmp_path)
    assert outcome.settled
    assert (outcome.reason, outcome.detail) == ("truncated", "it ends early")


async def test_a_file_that_the_api_refuses_is_rejected_with_its_reason(tmp_path):
    world = OutsideWorld(announce=Refused("too_many_bytes", "must be at most 3"))
    (outcome,), _ = await follow(world, tmp_path, "a.jpg")
    assert (outcome.status, outcome.reason) == ("rejected", "too_many_bytes")


@pytest.mark.parametrize("step", ["announce", "send"])
@pytest.mark.parametrize("fault", [ClientFailed("HTTP 500"), PermissionError("not yours")])
async def test_a_picture_that_cannot_be_uploaded_has_failed_and_stops_no_other(
    tmp_path, step, fault
):
    outcomes, _ = await follow(OutsideWorld(**{step: fault}), tmp_path, "a.jpg", "b.jpg")
    assert [outcome.status for outcome in outcomes] == ["failed", "failed"]
    assert not outcomes[0].settled
    assert outcomes[0].detail == str(fault)


async def test_a_picture_that_nothing_is_heard_of_is_pending_under_its_image_id(tmp_path):
    (outcome,), settled = await follow(OutsideWorld(), tmp_path, "a.jpg")
    assert (outcome.status, outcome.image_id) == ("pending", "a.jpg")
    assert outcome.detail == "no completion within 0.2 s"
    assert settled == []


async def test_many_pictures_keep_their_order_and_are_uploaded_a_few_at_a_time(tmp_path):
    world = OutsideWorld(record=COMPLETED)
    names = [f"{number:03}.jpg" for number in range(200)]
    outcomes, settled = await follow(world, tmp_path, *names)
    assert [outcome.file for outcome in outcomes] == names
    assert len(settled) == 200
    assert 1 < world.most_uploading <= 8
