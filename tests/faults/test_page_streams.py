"""Streams of events while processes and the table fail: row 48 of the faults."""

import asyncio
import json
from dataclasses import dataclass, field

import aiohttp
import pytest

from ops.local.processes import Child
from tests.support import pictures
from tests.support.faults.proxy import Rule, refused
from tests.support.faults.rig import Rig
from tests.support.faults.supervisor import until

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
IMAGES = 4


@dataclass
class Page:
    """A page that follows a stream, and connects again with the id of the last event it has."""

    http: aiohttp.ClientSession
    path: str
    states: dict[str, str] = field(default_factory=dict)
    """The status of each image, as the page shows it."""
    connected: int = 0
    last_id: str = ""
    over: bool = False

    async def follow(self, api_url: list[str]) -> None:
        """Read events until the API says that there are no more."""
        while not self.over:
            try:
                await self._read(api_url[-1])
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)

    async def _read(self, api_url: str) -> None:
        headers = {"X-Api-Key": "sl_alice", "Last-Event-ID": self.last_id}
        async with self.http.get(api_url + self.path, headers=headers) as answer:
            self.over = answer.status == 204
            self.connected += answer.status == 200
            name = ""
            async for line in answer.content:
                key, _, value = line.decode().rstrip("\n").partition(": ")
                if key == "id":
                    self.last_id = value
                elif key == "event":
                    name = value
                elif key == "data" and name == "image":
                    image = json.loads(value)
                    assert self.states.get(image["imageId"]) != "completed" or (
                        image["status"] == "completed"
                    )
                    self.states[image["imageId"]] = image["status"]


async def _kill_later(rig: Rig, api: Child, urls: list[str]) -> Child:
    """Kill the API at a random moment of the uploads, and start another."""
    await asyncio.sleep(rig.random.uniform(0, 2))
    api.kill()
    second = await rig.api()
    urls.append(await second.listening())
    return second


@pytest.mark.slow
async def test_row_48_streams_go_on_after_a_kill_and_while_the_table_is_down(rig: Rig) -> None:
    """The API is killed at a random moment, and another process takes its place."""
    alice = await rig.alice()
    first = await rig.api()
    urls = [await first.listening()]
    await rig.worker()
    tickets = [await alice.ask(CAT) for _ in range(IMAGES)]
    ids = [ticket["imageId"] for ticket in tickets]
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        pages = [Page(http, f"/v1/images/{image_id}/events") for image_id in ids]
        gallery = Page(http, "/v1/events")
        async with asyncio.TaskGroup() as group:
            followers = [group.create_task(page.follow(urls)) for page in (*pages, gallery)]
            await until(lambda: all(page.states for page in pages), "each page shows its image")
            outage = rig.proxy.add(Rule("dynamodb", refused(500, "InternalServerError")))
            await until(lambda: outage.used > IMAGES, "streams read in vain")
            outage.on = False
            killing = group.create_task(_kill_later(rig, first, urls))
            for ticket in tickets:
                await rig.injector.upload(CAT, key=ticket["key"])
            second = await killing
            done = dict.fromkeys(ids, "completed")
            await until(lambda: gallery.states == done, "the gallery shows all images", seconds=60)
            await until(lambda: gallery.connected == 2, "the gallery connects again")
            await until(lambda: all(page.over for page in pages), "no page waits", seconds=60)
            # The stream of the gallery is open. A request under way would hold SIGTERM for 5 s.
            assert await second.stop(seconds=4) == 0
            followers[-1].cancel()
    assert [page.states for page in pages] == [{image_id: "completed"} for image_id in ids]
    # Only the kill ended streams, not the outage.
    assert max(page.connected for page in (*pages, gallery)) == 2
    await rig.settled()
