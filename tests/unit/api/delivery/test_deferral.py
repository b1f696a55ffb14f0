"""How often delivery demands one result from the workers."""

from itertools import pairwise

from api.delivery.deferral import FIRST_AGAIN_SECONDS, LONGEST_AGAIN_SECONDS, Deferral
from api.delivery.sources import SourceImage
from safelight.errors import Unavailable
from safelight.making import Source
from safelight.presets import Preset
from safelight.wish.wish import Wish
from tests.support.fakes import FakeDeadLetters, FakeObjects

PRESET = Preset(name="small", wish=Wish(format="avif", box=(150, 150)))
IMAGE = SourceImage(
    image_id="01JZ6V8M7Q2N4R5T6W8X9Y0ZAB",
    revision="v1",
    source=Source(bucket=FakeObjects(), key="uploads/u/i"),
    transparent=False,
    pixels=150 * 150,
    recorded=True,
)
FOUR_HOURS = 4 * 3600


async def demand(deferral: Deferral) -> None:
    demand = deferral.demand_for(PRESET, PRESET.wish, IMAGE)
    assert demand is not None
    await deferral.send(demand)


async def demanded_at(queue: FakeDeadLetters, *, until: float, ask_every: float) -> list[float]:
    """Ask repeatedly for a result that stays missing; return when demands were sent."""
    now, times = 0.0, []
    deferral = Deferral(queue, least_pixels=1, now=lambda: now)
    while now < until:
        before = len(queue.letters)
        await demand(deferral)
        times += [now] * (len(queue.letters) - before)
        now += ask_every
    return times


async def test_what_is_late_is_demanded_ever_less_often() -> None:
    times = await demanded_at(FakeDeadLetters(), until=FOUR_HOURS, ask_every=10)
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[:5] == [FIRST_AGAIN_SECONDS * 2**step for step in range(5)]
    assert set(pauses[5:]) == {LONGEST_AGAIN_SECONDS}


async def test_a_demand_that_did_not_reach_the_queue_is_not_counted() -> None:
    queue = FakeDeadLetters()
    queue.fail_next["send"] = [Unavailable("sqs", "down")]
    times = await demanded_at(queue, until=FIRST_AGAIN_SECONDS + 20, ask_every=10)
    assert times == [10, 10 + FIRST_AGAIN_SECONDS]


async def test_what_was_late_long_ago_is_demanded_like_new() -> None:
    queue, now = FakeDeadLetters(), [0.0]
    deferral = Deferral(queue, least_pixels=1, now=lambda: now[0])
    for now[0] in (0.0, 60.0, FOUR_HOURS, FOUR_HOURS + FIRST_AGAIN_SECONDS):
        await demand(deferral)
    assert len(queue.letters) == 4
