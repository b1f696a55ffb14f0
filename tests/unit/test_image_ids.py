"""Image ids that are derived: the same for a repeat, and out of reach without the secret."""

from hashlib import sha256
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ulid import ULID

from api.settings import ApiSettings
from safelight import keys
from safelight.image_ids import ImageIds
from tests.support.fakes import ID_SECRET, IDS
from worker.settings import WorkerSettings

REQUEST = {"user_id": "key:shop", "idempotency_key": "order-1001"}
OBJECT = {"bucket": "acme", "key": "public/team a/anna.jpg"}
OTHERS = ImageIds("another-secret-of-another-deployment")
pairs = st.tuples(st.text(), st.text())


def plain(*words: str) -> str:
    """Derive an id from public words alone."""
    digest = sha256("\n".join(quote(word, safe="") for word in words).encode()).digest()
    return str(ULID.from_bytes(digest[:16]))


def test_an_id_cannot_be_computed_from_what_is_known() -> None:
    known = {plain("idempotency-key", *REQUEST.values()), plain(*OBJECT.values())}
    known.add(plain("object", *OBJECT.values()))
    assert known.isdisjoint({IDS.of_request(**REQUEST), IDS.of_object(**OBJECT)})


def test_two_deployments_give_two_ids() -> None:
    assert IDS.of_request(**REQUEST) != OTHERS.of_request(**REQUEST)
    assert IDS.of_object(**OBJECT) != OTHERS.of_object(**OBJECT)


@given(pairs)
def test_the_same_secret_and_words_give_the_same_image_id(words: tuple[str, str]) -> None:
    again = ImageIds(ID_SECRET)
    for one, other in (
        (IDS.of_request(user_id=words[0], idempotency_key=words[1]),
         again.of_request(user_id=words[0], idempotency_key=words[1])),
        (IDS.of_object(bucket=words[0], key=words[1]),
         again.of_object(bucket=words[0], key=words[1])),
    ):  # fmt: skip
        assert one == other
        assert keys.is_image_id(one)


@given(pairs, pairs)
def test_other_words_give_another_image_id_however_they_are_cut(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    assume(first != second)
    one = IDS.of_object(bucket=first[0], key=first[1])
    assert one != IDS.of_object(bucket=second[0], key=second[1])


@given(pairs)
def test_a_request_and_an_object_never_share_an_id(words: tuple[str, str]) -> None:
    request = IDS.of_request(user_id=words[0], idempotency_key=words[1])
    assert request != IDS.of_object(bucket=words[0], key=words[1])


def test_the_derivation_stays_what_it_is() -> None:
    """Another one would give every repeated request and adopted object a second image."""
    assert IDS.of_request(**REQUEST) == "15ZCQBZM283CNYWWM8Z6RBMDHD"
    assert IDS.of_object(**OBJECT) == "4GD7Y13VFWANWRNKTDAYDY0790"


def test_api_and_worker_derive_the_same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("UPLOADS_BUCKET", "ASSETS_BUCKET", "TABLE", "QUEUE_URL", "TOPIC_ARN")
    for name in names:
        monkeypatch.setenv(f"SAFELIGHT_{name}", "named")
    monkeypatch.setenv("SAFELIGHT_ID_SECRET", ID_SECRET)
    made = {kind.load().image_ids.of_object(**OBJECT) for kind in (ApiSettings, WorkerSettings)}
    assert made == {IDS.of_object(**OBJECT)}


def test_the_secret_is_not_shown() -> None:
    assert ID_SECRET not in repr(IDS)
