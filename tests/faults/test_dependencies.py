"""Services that throttle, fail, or return outdated or wrong data: rows 19 to 26 of the faults."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from safelight.aws.session import connect
from safelight.aws.settings import AwsSettings
from safelight.record import Record, Status
from tests.support import pictures
from tests.support.faults.proxy import (
    Answer,
    Call,
    Fault,
    Rule,
    altered,
    answer_lost,
    refused,
    reset,
    stalled,
    together,
    truncated,
)
from tests.support.faults.rig import Rig
from tests.support.faults.supervisor import until

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
ATTEMPTS = 3


@pytest.mark.slow
async def test_row_19_slow_downs_on_a_third_of_calls_cost_time_only(rig: Rig) -> None:
    rule = rig.proxy.add(Rule("s3", refused(503, "SlowDown"), share=0.3))
    await rig.worker(SLOTS="2", PREFETCH="2")
    for _ in range(20):
        await rig.injector.upload(CAT)
    await rig.settled(seconds=120)
    assert rule.used > 20
    calls = Counter(call.invocation for call in rig.proxy.calls if call.service == "s3")
    assert max(calls.values()) <= ATTEMPTS
    assert max(call.attempt for call in rig.proxy.calls) <= ATTEMPTS


def _another_etag(_: Call, answer: Answer) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "etag"}
    return replace(answer, headers={**headers, "ETag": '"00000000000000000000000000000000"'})


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(stalled(1000), id="stalls"),
        pytest.param(truncated(1000), id="is shorter than announced"),
        pytest.param(altered(_another_etag), id="has another ETag"),
        pytest.param(reset, id="is reset"),
    ],
)
async def test_row_20_a_source_that_does_not_come_whole_frees_its_slot_and_is_tried_again(
    rig: Rig, fault: Fault
) -> None:
    bad, good = await rig.injector.put(CAT), await rig.injector.put(CAT)
    rule = rig.proxy.add(Rule("GetObject", fault, text=bad.key, times=1))
    worker = await rig.worker(VISIBILITY_SECONDS="6")
    await rig.injector.notify(bad)
    await until(lambda: rule.used, "the fetch goes wrong")
    await rig.injector.notify(good)
    await rig.settled(seconds=90)
    assert not [event for event in worker.events("message") if event["level"] == "error"]


@pytest.mark.parametrize(
    "operation", ["UpdateItem", pytest.param("GetItem", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ProvisionedThroughputExceededException"),
        pytest.param(500, "InternalServerError", marks=pytest.mark.slow),
    ],
)
async def test_row_21_nothing_is_published_before_a_commit_that_is_throttled_or_fails(
    rig: Rig, operation: str, status: int, code: str
) -> None:
    rule = rig.proxy.add(Rule(operation, refused(status, code), times=2 * ATTEMPTS))
    await rig.worker(VISIBILITY_SECONDS="3")
    source = await rig.injector.upload(CAT)
    await rig.settled()
    assert rule.used == 2 * ATTEMPTS
    committed = rig.proxy.of("UpdateItem", source.image_id)[-1].number
    assert [call.number > committed for call in rig.proxy.of("Publish")] == [True]


@pytest.mark.slow
async def test_row_22_of_sixteen_commits_at_once_one_wins_and_none_is_repeated(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen workers' connections to the table in one process: DynamoDB decides the race."""
    for name, value in rig.stack.uploads_worker.environment(rig.proxy.url).items():
        monkeypatch.setenv(name, value)
    settings = AwsSettings(
        uploads_bucket=rig.stack.uploads_bucket,
        assets_bucket=rig.stack.assets_bucket,
        table=rig.stack.table,
    )
    rig.proxy.add(Rule("UpdateItem", together(16), times=16))
    async with AsyncExitStack() as opened:
        tables = [
            await (await opened.enter_async_context(connect(settings))).records() for _ in range(16)
        ]
        commits = await asyncio.gather(
            *(table.commit(_settlement(number)) for number, table in enumerate(tables))
        )
    assert Counter(commit.result for commit in commits) == {"written": 1, "repeated": 15}
    assert len({commit.record.completed_at for commit in commits}) == 1
    assert rig.proxy.count("UpdateItem") == 16


def _settlement(number: int) -> Record:
    return Record(
        image_id="01JZ6V8M7Q2N4R5T6W8X9Y0ZAB", user_id="key:alice", uploaded_at=1, original_key="k",
        status=Status.COMPLETED, revision="v1", sequencer="0" * 40, completed_at=number,
    )  # fmt: skip


async def test_row_24_a_publish_whose_answer_is_lost_tells_the_same_id_twice(rig: Rig) -> None:
    rig.proxy.add(Rule("Publish", answer_lost, times=1))
    await rig.worker()
    await rig.injector.upload(CAT)
    world = await rig.settled()
    first, second = world.completions
    assert first["id"] == second["id"]
    assert rig.proxy.count("UpdateItem") == 1


CLOCK = {
    "GetObject": (403, "RequestTimeTooSkewed"),
    "GetItem": (400, "InvalidSignatureException"),
    "Publish": (403, "SignatureDoesNotMatch"),
    "ReceiveMessage": (403, "InvalidSignatureException"),
}


@pytest.mark.slow
@pytest.mark.parametrize("operation", sorted(CLOCK))
async def test_row_25_a_refused_signature_is_a_wrong_setting_and_no_pictures_fault(
    rig: Rig, operation: str
) -> None:
    """Simulated: the proxy refuses as AWS does when a clock is five minutes off.

    Only S3's sequencers order revisions, so no clock of a worker can cause a wrong commit.
    """
    rule = rig.proxy.add(Rule(operation, refused(*CLOCK[operation]), times=2))
    worker = await rig.worker()
    await rig.injector.upload(CAT)
    await rig.settled(seconds=120)
    assert rule.used >= 1
    told = [event for event in worker.events() if "misconfigured" in str(event.get("error"))]
    assert told


EXPIRED = {
    "GetObject": (400, "ExpiredToken"),
    "PutObject": (400, "ExpiredToken"),
    "GetItem": (400, "ExpiredTokenException"),
    "UpdateItem": (400, "ExpiredTokenException"),
    "Publish": (403, "ExpiredToken"),
    "DeleteMessageBatch": (403, "ExpiredToken"),
}


@pytest.mark.slow
@pytest.mark.parametrize("operation", sorted(EXPIRED))
async def test_row_26_credentials_that_expire_cost_time_only(rig: Rig, operation: str) -> None:
    """Simulated: the proxy refuses as AWS does for expired credentials."""
    rule = rig.proxy.add(Rule(operation, refused(*EXPIRED[operation]), times=2))
    await rig.worker()
    await rig.injector.upload(CAT)
    await rig.settled(seconds=90)
    assert rule.used == 2
