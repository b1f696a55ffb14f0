"""One picture uses as much of AWS as `safelight capacity` assumes."""

import asyncio
import json
import math
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ops.capacity.cost import PictureUse
from tests.acceptance.conftest import uploads_worker
from tests.support.pictures import encoded, noise

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

PAGE = 50
"""The images of a page of a list."""
READ_BYTES = 4096
"""The bytes of a read unit; an eventually consistent read takes half a unit for them."""
UPLOADS, SENDS, RECEIVES = 1, 1, 1
"""The client's put, S3's send of the event, and a receive; most receives are empty in this test."""


def size_bytes(value: dict[str, Any]) -> float:
    """Count an attribute's bytes as DynamoDB does; an upper bound for numbers."""
    match value:
        case {"S": text}:
            return len(text.encode())
        case {"N": text}:
            return len(text) / 2 + 2
        case {"M": inner}:
            return 3 + sum(len(name) + 1 + size_bytes(one) for name, one in inner.items())
        case {"L": inner}:
            return 3 + sum(1 + size_bytes(one) for one in inner)
    return 1


def kilobytes(item: dict[str, Any]) -> int:
    """Count the units of a write: kilobytes, rounded up."""
    return math.ceil(size_bytes({"M": item}) / 1024)


async def calls(http, *urls: str) -> dict[str, float]:
    """Count the calls of each operation so far."""
    counted: dict[str, float] = {}
    for url in urls:
        async with http.get(f"{url}/metrics") as answer:
            for family in text_string_to_metric_families(await answer.text()):
                for sample in family.samples:
                    if sample.name == "safelight_dependency_request_seconds_count":
                        name = sample.labels["operation"]
                        counted[name] = counted.get(name, 0) + sample.value
    return counted


async def one_picture(system, http, person, seed: int) -> tuple[str, dict[str, float]]:
    """Upload a picture and wait until its message is deleted; return image id and calls so far."""
    urls = (system.api_url, system.worker_urls[uploads_worker(system)])
    before = (await calls(http, *urls)).get("Publish", 0)
    image_id = await person.upload(encoded(noise(640, 480, seed=seed), "JPEG"))
    async with asyncio.timeout(60):
        while True:
            so_far = await calls(http, *urls)
            if so_far.get("Publish", 0) > before and await nothing_is_held(http, *urls):
                return image_id, await calls(http, *urls)
            await asyncio.sleep(0.05)


async def nothing_is_held(http, _: str, worker_url: str) -> bool:
    async with http.get(f"{worker_url}/metrics") as answer:
        held = re.findall(r"^safelight_messages_held{.*} (.*)$", await answer.text(), re.MULTILINE)
    return len(held) == 3 and not any(map(float, held))


async def test_a_picture_uses_what_its_price_is_worked_out_from(system, http, alice):
    _, before = await one_picture(system, http, alice, 1)  # opens all connections
    image_id, after = await one_picture(system, http, alice, 2)
    used = {name: after[name] - before[name] for name in after}
    async with system.account.client("dynamodb") as dynamodb:
        key = {"imageId": {"S": image_id}}
        item = (await dynamodb.get_item(TableName=system.stack.table, Key=key))["Item"]
        table = await dynamodb.describe_table(TableName=system.stack.table)
    entries = {}
    for index in table["Table"]["GlobalSecondaryIndexes"]:
        keys = {key["AttributeName"] for key in index["KeySchema"]}
        has = {"imageId", *keys, *index["Projection"]["NonKeyAttributes"]}
        assert keys <= item.keys()
        entries[index["IndexName"]] = {key: one for key, one in item.items() if key in has}
    entry, by_day = entries.pop("owner-index"), entries.pop("day-index")
    assert not entries
    (line,) = [
        line
        for line in uploads_worker(system).log.read_text().splitlines()
        if image_id in line and json.loads(line)["event"] == "message"
    ]
    use = PictureUse()
    assert used["PutObject"] + UPLOADS == use.s3_puts
    assert used["GetObject"] == use.s3_gets
    assert used["PutItem"] == used["UpdateItem"] == 1
    # The pending record and its entry in the index by owner, then the settled ones.
    settled = kilobytes(item) + kilobytes(entry) + kilobytes(by_day)
    assert 1 + 1 + settled == use.dynamodb_write_units
    assert math.ceil(PAGE * size_bytes({"M": entry}) / READ_BYTES) / 2 <= 2  # eventually consistent
    assert used["GetItem"] == use.dynamodb_read_units
    assert used["Publish"] == use.sns_publishes
    assert SENDS + RECEIVES + used["DeleteMessageBatch"] == use.sqs_requests
    assert len(line) <= use.log_bytes
