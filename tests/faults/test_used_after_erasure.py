"""What was issued, sent or saved before an erasure, and is used after it: row 55 of the faults."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from safelight import keys
from safelight.presets import Preset
from safelight.queued import Demand, Ingest
from safelight.wish.wish import Wish
from tests.support import pictures
from tests.support.faults.cleaning import Cleaning
from tests.support.faults.injector import Source, s3_record
from tests.support.faults.rig import Rig
from tests.support.person import Person

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
ACCEPTED = (200, 201, 204)


@dataclass
class Image:
    """An image of alice, and what was issued, sent and saved while it was there."""

    ticket: dict[str, Any]
    source: Source
    key: str
    """The Idempotency-Key of its upload."""
    urls: list[str]
    """URLs of its variants."""


@dataclass
class Client:
    """The programs, and the ways to use what was issued before an erasure."""

    cleaning: Cleaning
    alice: Person

    async def image(self, method: str = "POST") -> Image:
        """Return an image that is completed."""
        key = f"key-{keys.new_image_id()}"
        ticket = await self.alice.ask(CAT, method=method, key=key, tags=["sea", "sand"])
        assert await self.alice.send(ticket, CAT) in ACCEPTED
        source = await self._stored(ticket)
        body = await self.alice.settled(ticket["imageId"])
        urls = [variant["url"] for variant in body["variants"].values()]
        return Image(ticket, source, key, urls)

    async def _stored(self, ticket: dict[str, Any]) -> Source:
        """Send the event of the version that was stored last."""
        injector = self.cleaning.rig.injector
        source = await injector.latest(ticket["key"])
        await injector.notify(source)
        return source

    async def ticket(self, image: Image) -> None:
        """Upload again with the form or the URL."""
        assert await self.alice.send(image.ticket, CAT) in ACCEPTED
        await self._stored(image.ticket)

    async def unannounced(self, image: Image) -> None:
        """Upload again with the form; S3's event is lost, and an operator has the key ingested."""
        assert await self.alice.send(image.ticket, CAT) in ACCEPTED
        await self._to_renders(Ingest(key=image.source.key).to_json())

    async def demand(self, image: Image) -> None:
        """Let a demand of delivery arrive that was sent before."""
        await self._to_renders(self._demand(image))

    async def letters_of(self, image: Image) -> None:
        """Put into the dead-letter queue what failed before; an operator sends it back later."""
        event = json.dumps({"Records": [s3_record(image.source)]})
        url = self.cleaning.rig.stack.dead_letter_queue_url
        for body in (event, self._demand(image)):
            await self.cleaning.rig.injector.send(body, queue_url=url)

    def _demand(self, image: Image) -> str:
        preset = Preset(name="small", wish=Wish(format="webp"))
        source = image.source
        return Demand(image_id=source.image_id, revision=source.revision, preset=preset).to_json()

    async def _to_renders(self, body: str) -> None:
        rig = self.cleaning.rig
        await rig.injector.send(body, queue_url=rig.stack.renders_queue_url)

    async def request_all(self, image: Image, delivery: str) -> None:
        """Request the image in every way that there is: it is gone."""
        image_id = image.source.image_id
        path = f"/v1/images/{image_id}"
        await self.alice.request("GET", path, status=410)
        await self.alice.request("PATCH", path, status=410, json={"addTags": ["wind"]})
        await self.alice.ask(CAT, key=image.key, tags=["sea", "sand"], status=410,
                             method=image.ticket["method"])  # fmt: skip
        await self.alice.ask(CAT, imageId=image_id, status=410)
        await self.alice.erase(image_id)
        assert image_id not in await self.alice.found()
        assert image_id not in await self.alice.found(tag="sea")
        async with aiohttp.ClientSession() as http:
            for url in image.urls:
                async with http.get(url) as answer:
                    assert answer.status in (403, 404), url
            for url in (f"{delivery}/small/{image_id}", f"{delivery}/small/{image_id}.webp"):
                async with http.get(url) as answer:
                    assert answer.status == 410, url


USES: dict[str, Callable[[Client, Image], Awaitable[None]]] = {
    "form": Client.ticket,
    "URL": Client.ticket,
    "lost event": Client.unannounced,
    "demand": Client.demand,
    "dead letters": Client.letters_of,
}


@pytest.mark.slow
@pytest.mark.parametrize("state", ["removed", "invalidated", "complete"])
async def test_row_55_what_is_used_after_an_erasure_brings_nothing_back(
    cleaning: Cleaning, state: str
) -> None:
    await asyncio.gather(*(cleaning.start(role) for role in ("uploads", "renders", "cleanup")))
    client = Client(cleaning, await cleaning.rig.alice())
    delivery = await (await cleaning.rig.delivery()).listening()

    async def use(name: str) -> None:
        image = await client.image("PUT" if name == "URL" else "POST")
        await cleaning.erase(image.source)
        await cleaning.until_state(client.alice, image.source.image_id, state, "complete")
        await USES[name](client, image)
        await client.request_all(image, delivery)

    await asyncio.gather(*map(use, USES))
    await cleaning.rig.safelight("redrive", "unexplained", "--rate", "100")
    world = await cleaning.cleaned()
    assert {record.erasure is not None for record in world.records.values()} == {True}
    assert len(world.records) == len(USES)


@dataclass(frozen=True)
class Backup:
    """A copy of an image: its items of the table, and its objects in both buckets."""

    items: list[dict[str, Any]]
    objects: list[dict[str, Any]]

    @classmethod
    async def of(cls, rig: Rig, image: Image) -> "Backup":
        """Copy what is stored of an image."""
        stack, image_id = rig.stack, image.source.image_id
        places = [
            (stack.uploads_bucket, image.source.key),
            (stack.assets_bucket, keys.assets_prefix(image_id)),
        ]
        async with rig.emulator.account.client("dynamodb") as dynamodb:
            scanned = await dynamodb.scan(TableName=stack.table, ConsistentRead=True)
        objects = []
        async with rig.emulator.account.client("s3") as s3:
            for bucket, prefix in places:
                listed = await s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
                for one in listed["Contents"]:
                    stored = await s3.get_object(Bucket=bucket, Key=one["Key"])
                    body = await stored["Body"].read()
                    where = {"Bucket": bucket, "Key": one["Key"], "Metadata": stored["Metadata"]}
                    objects.append(where | {"Body": body, "ContentType": stored["ContentType"]})
        items = [one for one in scanned["Items"] if one["imageId"]["S"].startswith(image_id)]
        return cls(items, objects)

    async def restore(self, rig: Rig) -> None:
        """Store the copy again."""
        async with rig.emulator.account.client("dynamodb") as dynamodb:
            for item in self.items:
                await dynamodb.put_item(TableName=rig.stack.table, Item=item)
        async with rig.emulator.account.client("s3") as s3:
            for one in self.objects:
                await s3.put_object(**one)


@pytest.mark.slow
async def test_row_55_what_a_backup_brings_back_is_erased_again(cleaning: Cleaning) -> None:
    """Of three images: the whole of one, the objects of one, the record of one."""
    await asyncio.gather(*(cleaning.start(role) for role in ("uploads", "renders", "cleanup")))
    client = Client(cleaning, await cleaning.rig.alice())
    delivery = await (await cleaning.rig.delivery()).listening()
    images = [await client.image() for _ in range(3)]
    backups = [await Backup.of(cleaning.rig, image) for image in images]
    for image in images:
        await cleaning.erase(image.source)
    world = await cleaning.cleaned()
    earlier = {f"{one}:erased:{record.erased_at}" for one, record in world.records.items()}
    whole, objects, record = backups
    assert (len(whole.items), len(whole.objects)) == (3, 5)
    for backup in (whole, replace(objects, items=[]), replace(record, objects=[])):
        await backup.restore(cleaning.rig)
    again = await client.image()
    assert (await client.alice.image(images[0].source.image_id))[0] == 200
    await cleaning.rig.safelight("erase", "--again", "--since", "2026-01-01")
    await cleaning.cleaned(earlier=earlier)
    for image in images:
        await client.request_all(image, delivery)
    world = await cleaning.cleaned(earlier=earlier)
    assert world.records[again.source.image_id].erasure is None
