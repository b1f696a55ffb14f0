"""A little of `make mutate`, so that it is known to work."""

from tests.fuzz.mutate import run
from tests.fuzz.mutations import MUTATIONS, mutated
from tests.fuzz.seeds import seeds


async def test_mutated_pictures_are_rendered_or_rejected_and_hurt_nothing():
    figures = await run(iter(range(60)), seed=5, slots=1)
    assert figures.findings == []
    assert figures.rendered > 0
    assert figures.pictures == 60 == figures.rendered + figures.rejected.total()


def test_a_mutated_picture_is_known_by_its_number():
    samples = seeds()
    made = [mutated(number, 3, samples) for number in range(1500)]
    assert made == [mutated(number, 3, samples) for number in range(1500)]
    assert {mutation for _, mutation, _ in made} == set(MUTATIONS)
    assert {sample for sample, *_ in made} == set(samples)
