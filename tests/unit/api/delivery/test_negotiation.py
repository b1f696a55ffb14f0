"""Accept and client hints, as RFC 9110 defines them and as browsers send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.delivery.negotiation import in_order, wants_picture

ALL = ("avif", "webp", "jpeg", "png")


@pytest.mark.parametrize(
    ("accept", "alpha", "best"),
    [
        ("image/avif,image/webp,*/*", False, "avif"),
        ("image/webp,image/apng,image/*,*/*;q=0.8", False, "webp"),
        ("*/*", False, "jpeg"),
        ("image/*", False, "jpeg"),
        ("", False, "jpeg"),
        (None, False, "jpeg"),
        (None, True, "png"),
        ("*/*", True, "png"),
        ("image/webp;q=0.5, image/avif;q=0.9", False, "avif"),
        ("image/avif;q=0.1, image/webp;q=0.9", False, "webp"),
        ("image/avif;q=0.5, image/jpeg", False, "jpeg"),
        ("image/avif;q=0, */*", False, "jpeg"),
        ("IMAGE/AVIF", False, "avif"),
        ("image/avif ; q=1.0 , */*;q=0.1", False, "avif"),
        ("image/avif;q=x, image/webp", False, "webp"),
        ("image/jpeg, image/png;q=0.1", True, "png"),
        ("image/jpeg;q=0, image/png;q=0", False, "jpeg"),
        ("text/html", False, "jpeg"),
        ("image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", False, "jpeg"),
        ("image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", True, "png"),
        ("image/png,image/*;q=0.8,image/webp;q=0.9", False, "webp"),
        ("image/webp;q=0.5,image/jpeg,image/png;q=0.1", False, "jpeg"),
        ("image/png", False, "png"),
    ],
)
def test_the_best_format(accept: str | None, alpha: bool, best: str) -> None:
    assert in_order(accept, ALL, alpha=alpha)[0] == best


def test_a_preset_of_one_format_gives_that_to_everybody() -> None:
    assert in_order("image/png", ("webp",), alpha=True) == ("webp",)


@given(st.text(), st.booleans())
def test_no_header_is_too_odd_to_be_answered(accept: str, alpha: bool) -> None:
    order = in_order(accept, ALL, alpha=alpha)
    assert order
    assert set(order) <= set(ALL)


@pytest.mark.parametrize(
    ("accept", "destination", "wants"),
    [
        ("image/avif,*/*", None, True),
        ("image/avif,*/*", "image", True),
        ("*/*", "image", True),
        ("*/*", None, False),
        ("application/json", None, False),
        ("text/html,image/avif,*/*", "document", False),
    ],
)
def test_who_looks_is_told_from_who_reads(
    accept: str, destination: str | None, wants: bool
) -> None:
    assert wants_picture(accept, destination) is wants
