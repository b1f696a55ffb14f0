"""User ids: one form for every kind of user, and no text that is two of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight import users


def test_a_user_id_says_which_kind_of_user_it_is() -> None:
    assert users.of_key("alice") == "key:alice"
    assert users.of_token("alice") == "oidc:alice"
    made = {users.of_key("alice"), users.of_token("alice"), users.ANONYMOUS, users.ADOPTED}
    assert len(made) == 4
    assert all(map(users.is_user_id, made))


@given(st.text(), st.text())
def test_a_key_and_a_token_never_make_the_same_user_id(name: str, subject: str) -> None:
    key = users.of_key(name) if users.is_key_name(name) else None
    token = users.of_token(subject) if users.is_subject(subject) else None
    assert key is None or key != token
    assert {key, token}.isdisjoint({users.ANONYMOUS, users.ADOPTED})


@pytest.mark.parametrize("name", ["", "a/b", "a,b", "a b", "a\n", "zoë", "x" * 65])
def test_an_api_key_cannot_have_a_name_that_would_be_ambiguous(name: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII characters without commas and slashes"):
        users.of_key(name)
    assert not users.is_user_id(f"key:{name}") or users.naming_key(f"key:{name}") == "key:a"


def test_a_user_whom_a_key_names_is_of_that_key_alone() -> None:
    named = users.of_named(users.of_key("shop"), "a/b")
    assert (named, users.naming_key(named)) == ("key:shop/a/b", "key:shop")
    assert users.is_user_id(named)
    assert users.naming_key("key:shop") is users.naming_key("oidc:key:shop/a") is None
    assert [users.is_person(one) for one in (named, "oidc:a", "key:shop", "anonymous")] == [
        True, True, False, False,
    ]  # fmt: skip
    for name in ("", "zoë", "a\nb", "x" * 256):
        with pytest.raises(ValueError, match="the name of a user has"):
            users.of_named("key:shop", name)
        assert not users.is_user_id(f"key:shop/{name}")


@pytest.mark.parametrize("subject", ["", "zoë", "a\nb", "a\n", "x" * 256])
def test_a_subject_that_openid_connect_forbids_is_no_user(subject: str) -> None:
    with pytest.raises(ValueError, match="1 to 255 printable ASCII characters"):
        users.of_token(subject)
    assert not users.is_user_id(f"oidc:{subject}")


@pytest.mark.parametrize("text", ["", "alice", "KEY:alice", "Anonymous", "adopted", "sl_x", ":"])
def test_a_text_without_a_known_prefix_is_no_user_id(text: str) -> None:
    assert not users.is_user_id(text)
