"""A sealed document opens for its purpose, with the same keys, and as it was sealed only."""

import base64

import pytest

from api.pages.seal import Seal

ONE, OTHER = b"1" * 32, b"2" * 32
DOCUMENT = {"user": "key:alice", "name": "zoë", "exp": 17}


def test_a_document_opens_as_it_was_sealed() -> None:
    seal = Seal([ONE])
    sealed = seal.seal(DOCUMENT, purpose="session")
    assert seal.open(sealed, purpose="session") == DOCUMENT
    assert b"alice" not in base64.urlsafe_b64decode(sealed + "==")
    assert set(sealed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_no_two_sealed_documents_are_alike() -> None:
    assert len({Seal([ONE]).seal(DOCUMENT, purpose="session") for _ in range(100)}) == 100


def test_a_document_opens_for_its_purpose_only() -> None:
    seal = Seal([ONE])
    assert seal.open(seal.seal(DOCUMENT, purpose="session"), purpose="login") is None


def test_a_document_opens_with_any_key_and_is_sealed_with_the_first() -> None:
    sealed = Seal([ONE]).seal(DOCUMENT, purpose="session")
    rotated = Seal([OTHER, ONE])
    assert rotated.open(sealed, purpose="session") == DOCUMENT
    assert Seal([OTHER]).open(sealed, purpose="session") is None
    by_the_new = rotated.seal(DOCUMENT, purpose="session")
    assert Seal([OTHER]).open(by_the_new, purpose="session") == DOCUMENT


def test_a_document_with_one_changed_bit_does_not_open() -> None:
    seal = Seal([ONE])
    raw = base64.urlsafe_b64decode(seal.seal({"a": 1}, purpose="x") + "==")
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        text = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        assert seal.open(text, purpose="x") is None, place


@pytest.mark.parametrize("text", ["", "A", "AAAA", "A" * 16, "A" * 5000, "a b", "a+/b", "ä", "="])
def test_a_text_that_was_never_sealed_does_not_open(text: str) -> None:
    assert Seal([ONE]).open(text, purpose="x") is None


def test_keys_are_read_from_hexadecimal_digits() -> None:
    seal = Seal.read(f" {OTHER.hex().upper()} , {ONE.hex()},")
    assert seal.open(Seal([ONE]).seal(DOCUMENT, purpose="x"), purpose="x") == DOCUMENT
    assert Seal([OTHER]).open(seal.seal(DOCUMENT, purpose="x"), purpose="x") == DOCUMENT
