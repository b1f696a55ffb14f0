"""Access: signed, expiring and private URLs, keys of tenants, and replaced keys."""

import itertools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from api.delivery.signing import Grant, SigningKeys, canonical
from api.problems import Refusal
from tests.unit.api.delivery.gallery import IMAGE_ID, Gallery

NOW = 1_795_000_000
SECRET = "a-secret-of-the-web"
KEYS = SigningKeys.read(f"web:{SECRET}")


async def asked(gallery: Gallery, url: str) -> tuple[int, str | None, str]:
    answer, body = await gallery.ask(url)
    problem = json.loads(body)["type"] if "json" in answer.content_type else None
    return answer.status, problem, answer.headers["Cache-Control"]


@pytest.fixture
async def now(open_: Any) -> Gallery:
    gallery: Gallery = await open_(now=lambda: NOW)
    gallery.signing._now = lambda: NOW
    gallery.hang()
    return gallery


async def test_a_signed_url_opens_its_variant(now: Gallery) -> None:
    url = now.signing.sign(f"/signed/{IMAGE_ID}")
    assert await asked(now, url) == (200, None, "public, max-age=3600")


async def test_a_url_that_ends_soon_is_kept_no_longer(now: Gallery) -> None:
    url = now.signing.sign(f"/signed/{IMAGE_ID}", expires_at=NOW + 60)
    assert await asked(now, url) == (200, None, "public, max-age=60")


async def test_a_url_that_has_ended_opens_nothing(now: Gallery) -> None:
    url = now.signing.sign(f"/signed/{IMAGE_ID}", expires_at=NOW)
    assert await asked(now, url) == (403, "/problems/url_expired", "no-store")


async def test_a_private_picture_needs_a_url_that_ends_and_no_shared_cache_keeps_it(
    now: Gallery,
) -> None:
    forever = now.signing.sign(f"/secret/{IMAGE_ID}")
    assert await asked(now, forever) == (403, "/problems/invalid_signature", "no-store")
    url = now.signing.sign(f"/secret/{IMAGE_ID}", expires_at=NOW + 60)
    assert await asked(now, url) == (200, None, "private, max-age=60")


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.partition("?")[0],
        lambda url: url.replace("signature=", "signature=A"),
        lambda url: url.replace("signed/", "secret/"),
        lambda url: url.replace("key=web", "key=alices"),
        lambda url: url.replace("key=web", "key=nobody"),
        lambda url: url.replace("key=web&", ""),
        lambda url: url.replace("expires=1795000060", "expires=1795000061"),
        lambda url: url.replace("expires=1795000060&", ""),
        lambda url: url + "&download=1",
        lambda url: url + "&format=jpeg",
    ],
)
async def test_nothing_of_a_signed_url_can_be_changed(now: Gallery, change: Any) -> None:
    url = now.signing.sign(f"/signed/{IMAGE_ID}", key_id="web", expires_at=NOW + 60)
    assert await asked(now, change(url)) == (403, "/problems/invalid_signature", "no-store")


async def test_a_tenants_key_opens_that_users_images_only(now: Gallery) -> None:
    url = now.signing.sign(f"/signed/{IMAGE_ID}", key_id="alices")
    assert (await asked(now, url))[0] == 200
    for other in ("key:bob", "oidc:alice", "oidc:key:alice", "alice"):
        now.hang(user_id=other)
        assert await asked(now, url) == (404, "/problems/unknown_image", "no-store")


async def test_a_public_picture_with_a_wrong_signature_is_refused_all_the_same(
    now: Gallery,
) -> None:
    url = now.signing.sign(f"/plain/{IMAGE_ID}", expires_at=NOW + 5)
    assert (await asked(now, url))[0] == 200
    assert (await asked(now, url + "A"))[0] == 403


def test_keys_can_be_replaced_without_a_gap() -> None:
    url = KEYS.sign("/signed/x")
    both = SigningKeys.read(f"new:another-secret-16,web:{SECRET}")
    query = dict(pair.split("=") for pair in url.partition("?")[2].split("&"))
    assert both.check("/signed/x", query).key_id == "web"
    assert "key=new" in both.sign("/signed/x")
    with pytest.raises(Refusal, match="invalid_signature"):
        SigningKeys.read("new:another-secret-16").check("/signed/x", query)


@given(path=st.text(), query=st.dictionaries(st.sampled_from(["format", "download"]), st.text()))
def test_what_is_signed_is_accepted_however_it_is_escaped(path: str, query: dict[str, str]) -> None:
    path = "/" + path.encode("utf-8", "replace").decode()
    query = {name: text.encode("utf-8", "replace").decode() for name, text in query.items()}
    url = URL(KEYS.sign(path, query, expires_at=99_999_999_999), encoded=True)
    assert KEYS.check(path, dict(url.query)) == Grant(key_id="web", expires_at=99_999_999_999)


def test_the_signatures_form_stays_what_it_is() -> None:
    text = canonical("/small/x.webp", {"key": "web", "expires": "5", "signature": "s"})
    assert text == "safelight-1\n/small/x.webp\nexpires=5&key=web"
    signed = SigningKeys.read(f"web:{SECRET}").sign("/small/x.webp", expires_at=5)
    assert signed == ("/small/x.webp?expires=5&key=web&signature=" + signed.rpartition("=")[2])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("web", "must be id:secret"),
        ("web:", "must be id:secret"),
        ("w b:0123456789abcdef", "must be id:secret"),
        ("web:short", "key web: a secret must have at least 16 characters"),
        (f"web:{SECRET},web:{SECRET}", "key web is there twice"),
        (
            f"web:{SECRET}:alice",
            "key web: its user must be a user id, key:NAME, key:NAME/USER, oidc:SUB",
        ),
        (f"web:{SECRET}:Key:alice", "key web: its user must be a user id"),
        (f"web:{SECRET}:key:a/", "key web: its user must be a user id"),
        (f"web:{SECRET}:oidc:", "key web: its user must be a user id"),
        (f"web:{SECRET}:", "key web: names no user"),
    ],
)
def test_keys_at_fault_are_told_without_their_secret(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        SigningKeys.read(text)
    assert "short" not in str(caught.value).replace("at least", "")


def test_a_key_is_replaced_in_the_documents_three_steps_without_refusing_a_url() -> None:
    """Tasks change one after the other, so at any moment some have the step before."""
    page = (Path(__file__).parents[4] / "docs" / "guide" / "delivery.md").read_text()
    section = page.partition("### Replace a key\n")[2].partition("\n## ")[0]
    steps = re.findall(r"^(\d)\. .*?`((?:\w+:\.\.\.,?)+)`", section, re.MULTILINE | re.DOTALL)
    assert [number for number, _ in steps] == ["1", "2", "3"]
    secrets = {"old": "an-old-secret-of-16", "new": "a-new-secret-of-16"}

    def keys(value: str) -> SigningKeys:
        return SigningKeys.read(re.sub(r"(\w+):\.\.\.", lambda m: f"{m[1]}:{secrets[m[1]]}", value))

    values = ["old:...", *(value for _, value in steps)]
    signers = [keys(value).sign("/paid/image").partition("key=")[2][:3] for value in values]
    assert signers == ["old", "old", "new", "new"]
    for step, (before, after) in enumerate(itertools.pairwise(values), 1):
        for signer in (before, after):
            path, _, query = keys(signer).sign("/paid/image").partition("?")
            if step == 3 and "key=old" in query:
                continue  # they have expired
            for task in (before, after):
                keys(task).check(path, dict(parse_qsl(query)))
