"""Long outages of services, and jobs that fail every time: rows 14, 17, 18 and 23."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.support import pictures
from tests.support.faults.proxy import Answer, Call, Rule, after, altered, in_turn, refused, reset
from tests.support.faults.rig import MAX_RECEIVES, Rig
from tests.support.faults.supervisor import Worker, until
from worker.consumer import LONGEST_PAUSE_SECONDS

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()
SMALL = pictures.encoded(pictures.noise(64, 48), "JPEG")


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.slow
async def test_row_14_a_queue_that_fails_in_every_way_is_waited_for(rig: Rig) -> None:
    """Scaled: an outage of 30 s, not 60."""
    ways = in_turn(
        refused(500, "InternalError"),
        refused(503, "ServiceUnavailable"),
        refused(400, "RequestThrottled"),
        reset,
    )
    outage = rig.proxy.add(Rule("sqs", ways))
    worker = await rig.worker()
    await rig.injector.upload(CAT)
    await asyncio.sleep(30)
    failures = worker.events("receive_failed")
    pauses = [float(event["again_in_seconds"]) for event in failures]
    outage.on = False
    back = now()
    await rig.settled()
    (fetched,) = rig.proxy.of("GetObject")
    assert fetched.at - back < LONGEST_PAUSE_SECONDS + 5  # the row requires 10 s in all
    assert max(pauses) <= LONGEST_PAUSE_SECONDS
    assert len(pauses) == len(set(pauses)), "pauses are jittered"
    assert pauses[-1] > LONGEST_PAUSE_SECONDS / 2, "pauses grow"
    assert len(pauses) < 12
    assert worker.exit_code is None


async def test_row_14_a_queue_whose_name_is_unknown_is_waited_for(rig: Rig) -> None:
    """The name fails from the start: a running worker's endpoint cannot be changed."""
    worker = await rig.worker(environment={"AWS_ENDPOINT_URL_SQS": "http://queue.invalid"})
    await until(lambda: len(worker.events("receive_failed")) >= 2, "two receives have failed")
    assert {event["code"] for event in worker.events("receive_failed")} == {"Unavailable"}
    assert (await worker.get("/healthz"))[0] == 200
    assert (await worker.get("/readyz"))[0] == 503
    assert worker.exit_code is None


def _nonsense(_: Call, answer: Answer) -> Answer:
    """The record is one that no version of Safelight wrote."""
    item = {"imageId": {"S": "x"}, "status": {"S": "nonsense"}}
    return replace(answer, body=json.dumps({"Item": item}).encode())


@pytest.mark.slow
async def test_row_17_what_always_fails_is_tried_as_often_as_allowed_and_explains_itself(
    rig: Rig,
) -> None:
    """Simulated: messages that the worker hides for later are visible again at once."""
    delays: list[int] = []

    async def fly(call: Call) -> None:
        entries = json.loads(call.body)["Entries"]
        released = [one for one in entries if one["VisibilityTimeout"] != VISIBILITY_SECONDS]
        for entry in released:
            delays.append(entry["VisibilityTimeout"])
            await rig.show(entry["ReceiptHandle"])

    rig.proxy.add(Rule("ChangeMessageVisibilityBatch", after(fly)))
    bug = rig.proxy.add(Rule("GetItem", altered(_nonsense)))
    worker = await rig.worker(VISIBILITY_SECONDS=str(VISIBILITY_SECONDS))
    source = await rig.injector.upload(CAT)
    await rig.until_empty()
    attempts = [event["receive_count"] for event in worker.events("message")]
    assert attempts == list(range(1, MAX_RECEIVES + 1))
    assert delays == sorted(delays)
    assert delays[0] < delays[3] < delays[-1] == 900
    assert len(delays) == MAX_RECEIVES - 1
    assert (await worker.metrics()).value("receive_messages_total") == MAX_RECEIVES

    listed = json.loads(await rig.safelight("redrive", "--json"))
    assert [(one["reason"], one["count"]) for one in listed] == [("unknown", 1)]
    assert listed[0]["exceptionType"] == "ValidationError"
    bug.on = False
    await rig.safelight("redrive", "unknown")
    await rig.worker(role="renders")
    world = await rig.settled()
    assert world.records[source.image_id].status == "completed"
    assert len(world.completions) == 1


VISIBILITY_SECONDS = 7
"""Different from every delay that a worker requests."""


@pytest.mark.slow
async def test_row_18_while_s3_is_down_receiving_stops_and_a_backlog_keeps_its_receives(
    rig: Rig,
) -> None:
    """Scaled: an outage of 30 s, not ten minutes, with a backlog of 1,000."""
    outage = rig.proxy.add(Rule("s3", refused(503, "ServiceUnavailable")))
    for _ in range(1000):
        await rig.injector.upload(SMALL)
    workers = await rig.fleet(2, SLOTS="2", PREFETCH="4")
    began = now()
    await asyncio.sleep(30)
    received = await _total(workers, "receive_messages_total")
    opened = [(await worker.metrics()).value("breaker_open", dependency="s3") for worker in workers]
    outage.on = False
    seconds = now() - began
    assert opened == [1, 1]
    # Until the breaker opens, as many as fit; then one in five seconds per worker.
    assert received <= 2 * (6 + 5 + seconds / 5 + 1)
    world = await rig.settled(seconds=400)
    assert len(world.records) == 1000
    print(f"{received:g} received in {seconds:.0f} s")
    await _assert_few_receives(workers)


async def _total(workers: list[Worker], name: str, **labels: str) -> float:
    return sum([(await worker.metrics()).value(name, **labels) for worker in workers])


@pytest.mark.slow
async def test_row_23_while_nobody_can_be_told_pictures_are_settled_readable_and_told_after(
    rig: Rig,
) -> None:
    """Scaled: an outage of 40 s, not five minutes; a worker is killed in it, and another starts."""
    outage = rig.proxy.add(Rule("Publish", refused(503, "ServiceUnavailable")))
    alice = await rig.alice()
    fleet = await rig.fleet(2, SLOTS="2")
    sources = []
    for number in range(60):
        sources.append(await rig.injector.upload(SMALL))
        await asyncio.sleep(0.5)
        if number == 30:
            fleet.pop().kill()
            fleet.append(await rig.worker(SLOTS="2"))
    async with asyncio.timeout(60):
        while len(await rig.records()) < len(sources):
            await asyncio.sleep(0.1)
    read = [await alice.image(source.image_id) for source in sources]
    assert {(status, image["status"]) for status, image in read} == {(200, "completed")}
    assert await rig.completions() == []
    outage.on = False
    back = now()
    await rig.settled()
    told_within = rig.proxy.of("Publish")[-1].at - back
    print(f"all published within {told_within:.1f} s")
    assert told_within < 30  # the row requires 60 s, after an outage of five minutes
    await _assert_few_receives(fleet)


async def _assert_few_receives(workers: list[Worker]) -> None:
    """Assert that no message was received more than three times."""
    few = await _total(workers, "receive_count_bucket", le="3.0")
    assert few == await _total(workers, "receive_count_count")
