"""The programs and filters of docs/guide/completions.md work against the embedded AWS."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.local.emulator import Emulator
from safelight import keys
from safelight.completion import Completion
from safelight.record import Record, Status
from tests.contract.conftest import Place
from tests.contract.test_topic import AwsChannel, subscribe
from tests.support.pages import blocks, load

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROGRAMS = blocks("guide/completions.md", "python")
_, *FILTERS = blocks("guide/completions.md", "json")
PASSING: list[tuple[dict[str, str], Callable[[dict[str, Any]], bool]]] = [
    ({}, lambda data: data["status"] == "rejected"),
    ({}, lambda data: data["userId"].startswith("oidc:")),
    ({"FilterPolicyScope": "MessageBody"}, lambda data: "avatar" in data["tags"]),
]
"""Further attributes of the subscription of each filter, and which completions should pass it."""


def completion(image_id: str, sequence: int, **changes: Any) -> Completion:
    record = Record(
        image_id=image_id,
        user_id="key:alice",
        uploaded_at=1_700_000_000_000,
        original_key="uploads/x",
        status=Status.COMPLETED,
        revision=f"v{sequence}",
        sequence=sequence,
    )
    return Completion.of(record.model_copy(update=changes))


async def test_the_programs_of_the_page_subscribe_receive_and_order(
    emulator: Emulator, ministack: Place, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in emulator.root.environment(emulator.endpoint_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(sys, "argv", ["subscribe.py", ministack.topic_arn, "orders"])
    load(PROGRAMS[0], tmp_path, as_main=True)
    queue_url = capsys.readouterr().out.strip()
    first, second = keys.new_image_id(), keys.new_image_id()
    newest = [
        completion(first, 2),
        completion(second, 1, status=Status.REJECTED),
    ]
    edge = await ministack.as_worker.topic(ministack.topic_arn)
    for one in (*newest, completion(first, 1), *newest):
        await edge.publish(one)
    receiver = load(PROGRAMS[1], tmp_path)
    sqs, database = boto3.client("sqs"), receiver["connect"](tmp_path / "images")
    arrived: list[dict[str, Any]] = []
    while not {one.id for one in newest} <= {one["id"] for one in arrived}:
        arrived += receiver["receive"](sqs, queue_url, database)
    stored = dict(database.execute("SELECT id, sequence FROM images").fetchall())
    assert stored == {first: "0000000002", second: "0000000001"}
    database.close()


@pytest.mark.parametrize("backend", ["ministack", "moto"], indirect=True)
@pytest.mark.parametrize("number", range(len(PASSING)))
async def test_a_filter_of_the_page_lets_through_what_it_says(place: Place, number: int) -> None:
    assert len(FILTERS) == len(PASSING)
    attributes, passes = PASSING[number]
    url = await subscribe(place, FilterPolicy=FILTERS[number], **attributes)
    published = [
        completion(keys.new_image_id(), 1, **changes)
        for changes in (
            {"status": Status.REJECTED, "tags": ("cat",)},
            {"user_id": "oidc:5f7c"},
            {"tags": ("avatar", "cat")},
        )
    ]
    channel = AwsChannel(place, await place.as_worker.topic(place.topic_arn), url)
    for one in published:
        await channel.edge.publish(one)
    events = [json.loads(one.to_json()) for one in published]
    heard = [json.loads(body)["id"] for body, _, _ in await channel.heard()]
    assert heard == [event["id"] for event in events if passes(event["data"])]
