"""The program of the guide to events, run as a page would."""

import asyncio
import json

import pytest

from safelight.record import Status
from tests.support.pages import blocks
from tests.unit.api.clients import ALICE, Start
from tests.unit.api.test_images import IMAGE_ID, completed, record, stored

PAGE = """
const [url, headers] = process.argv.slice(1).map((each) => JSON.parse(each));
const found = [];
for await (const { event, data } of eventsOf(url, headers)) found.push([event, data.status]);
console.log(JSON.stringify(found));
"""


@pytest.mark.needs("node")
async def test_the_program_of_the_guide_reads_a_stream_to_its_end(start: Start) -> None:
    async def settle(_: asyncio.Event, seconds: float) -> None:
        stored(api, completed() if api.records.calls["get"] > 3 else record())

    api = await start(sleep=settle)
    stored(api, record())
    (program,) = blocks("guide/events.md", "js")
    node = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "--eval",
        program.replace("1000 * pause", "pause") + PAGE,
        *map(json.dumps, (str(api.client.make_url(f"/v1/images/{IMAGE_ID}/events")), ALICE)),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await node.communicate()
    assert node.returncode == 0
    states = json.loads(output)
    assert states == [["image", str(Status.PENDING)], ["image", str(Status.COMPLETED)]]
    # It connected again with the last id, and was told that there are no more events.
    path = "/v1/images/{imageId}/events"
    labels = {"route": path, "method": "GET", "status": "204"}
    assert api.value("safelight_http_request_duration_seconds_count", **labels) == 1
