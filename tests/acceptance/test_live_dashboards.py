"""Every line of every dashboard has data, from a Prometheus that scrapes a busy Safelight."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ops.local.emulator import ROOT
from ops.local.system import LocalSystem
from safelight.presets import load_presets
from safelight.queued import Demand, Ingest
from tests.acceptance.conftest import API_KEYS
from tests.support.declared import rules
from tests.support.person import Person
from tests.support.prometheus import Prometheus
from tools.dashboards import dashboards

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.needs("prometheus"),
]
SECONDS = 300
PHOTOGRAPH = (ROOT / "samples" / "cat-451px.jpg").read_bytes()
LINES = [
    pytest.param(expression, id=f"{page.uid}: {panel.title}: {legend}")
    for page in dashboards()
    for panel in page.panels
    for legend, expression in panel.lines.items()
]
RECORDED = [pytest.param(rule["record"], id=rule["record"]) for rule in rules("record")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system() -> AsyncIterator[LocalSystem]:
    settings = {"SAFELIGHT_API_KEYS": API_KEYS}
    async with LocalSystem(delivers=True, renders=True, api_settings=settings) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prometheus(
    system: LocalSystem, alice: Person, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    """Start one that scrapes completed and rejected pictures, then errors of a deleted topic."""
    worker, renders = (system.worker_urls[one] for one in system.workers)
    jobs = {
        "api": [system.api_url],
        "delivery": [system.delivery_url],
        "worker": [worker],
        "renders": [renders],
    }
    directory: Path = tmp_path_factory.mktemp("prometheus")
    async with Prometheus(directory, jobs) as running:
        await asyncio.sleep(3)  # first values, from which rates rise
        settled = [
            await alice.upload(PHOTOGRAPH),
            await alice.upload(b"not a picture at all", content_type="image/jpeg"),
        ]
        for image_id in settled:
            await alice.settled(image_id)
        async with system.account.client("sns") as sns:
            await sns.delete_topic(TopicArn=system.stack.topic_arn)
        going_on = asyncio.create_task(_ask_forever(system, alice))
        yield running
        going_on.cancel()


async def _ask_forever(system: LocalSystem, person: Person) -> None:
    """Keep rates above zero: rules over days are evaluated only every five minutes."""
    (preset, *_) = load_presets(ROOT / "presets.toml")
    demand = Demand(image_id="01M8J1TZA6AQNZGH7GSKKKT0JR", revision="none", preset=preset)
    async with system.account.client("sqs") as sqs:
        while True:
            image_id = await person.upload(PHOTOGRAPH)
            await person.found()
            await person.change(image_id, addTags=["live"])
            for message in (demand, Ingest(key="uploads/nothing/is/here")):
                await sqs.send_message(
                    QueueUrl=system.stack.renders_queue_url, MessageBody=message.to_json()
                )
            await asyncio.sleep(10)


@pytest.mark.parametrize("expression", LINES + RECORDED)
async def test_a_line_has_data(prometheus: Prometheus, expression: str) -> None:
    async with asyncio.timeout(SECONDS):
        while not await prometheus.query(expression):
            await asyncio.sleep(0.5)
