"""`safelight sign` and `explain` know the URLs of presets as delivery reads them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.delivery.signing import SigningKeys
from ops.__main__ import app
from safelight.keys import asset_key

IMAGE = "01KAJ0000000000000000000AB"
KEYS = "web:a-secret-of-the-web,old:another-old-secret,shop:secret-of-the-shop:key:alice"
PRESETS = """
[small]
format = "jpeg"
formats = ["webp"]
access = "public"

[paid]
format = "webp"

[secret]
format = "png"
access = "private"
"""
ALIASES = '[avatars]\nbucket = "acme-pictures"\nprefix = "public/"\npresets = ["paid", "small"]\n'
ASSET = asset_key(
    image_id=IMAGE, revision="v", preset="paid", fingerprint="b" * 12, extension="webp"
)

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, text in (("presets", PRESETS), ("aliases", ALIASES)):
        (tmp_path / f"{name}.toml").write_text(text)
        monkeypatch.setenv(f"SAFELIGHT_{name.upper()}", str(tmp_path / f"{name}.toml"))
    monkeypatch.setenv("SAFELIGHT_SIGNING_KEYS", KEYS)
    return lambda *words: CliRunner().invoke(app, words)


def explained(run: Run, url: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(run("explain", url, "--json").stdout)
    return facts


@pytest.mark.parametrize(
    "wanted",
    [
        f"paid/{IMAGE}", f"/paid/{IMAGE}.webp", f"paid/{IMAGE}.webp?download=1", f"small/{IMAGE}",
        ASSET, "avatars/team/anna bell.jpg", "avatars/a.jpg?preset=small&format=webp",
    ],
)  # fmt: skip
def test_a_signed_preset_url_is_accepted_by_delivery_and_explained(run: Run, wanted: str) -> None:
    signed = run("sign", wanted)
    assert signed.exit_code == 0, signed.output
    facts = explained(run, f"https://cdn.example.com{signed.stdout.strip()}")
    assert facts["signature"] == "holds, by key web"
    assert "refused" not in facts
    assert "redirectedTo" not in facts
    assert facts["signed"].startswith("safelight-1\n/")


def test_a_url_expires_when_asked_and_a_private_one_must(run: Run) -> None:
    refused = run("sign", f"secret/{IMAGE}")
    assert refused.exit_code == 3
    assert refused.stderr == "The URL must expire, and does not say when. Add --expires-in.\n"
    url = run("sign", f"secret/{IMAGE}", "--expires-in", "60").stdout.strip()
    assert explained(run, url)["expires"].startswith(time.strftime("%Y-%m-%d", time.gmtime()))


@pytest.mark.parametrize(
    ("wanted", "code", "said"),
    [
        ("foo", 2, "as in small/IMAGE_ID"),
        ("paid/foo", 3, "'foo' is not an image id."),
        (f"paid/{IMAGE}.jpg", 3, "'paid' is not delivered as jpeg, but as webp."),
        (f"paid/{IMAGE}?size=9", 3, "There is no query parameter 'size' here."),
        (f"paid/{IMAGE}?key=web", 3, "key comes from the signature: leave it out."),
        ("avatars/a.jpg?preset=secret", 3, "'avatars' allows only the presets paid, small."),
        ("images/none", 3, "The path begins with none of small, paid, secret, avatars, images."),
    ],
)
def test_a_url_that_would_be_refused_is_not_signed(
    run: Run, wanted: str, code: int, said: str
) -> None:
    done = run("sign", wanted)
    assert done.exit_code == code
    assert said in done.stderr


@pytest.mark.parametrize("keys", ["", "web:a-secret-of-the-web"])
@pytest.mark.parametrize("wanted", [f"full/{IMAGE}", f"/full/{IMAGE}.webp?download=1"])
def test_a_preset_that_there_is_not_is_named_with_those_there_are(
    run: Run, monkeypatch: pytest.MonkeyPatch, keys: str, wanted: str
) -> None:
    if keys:
        monkeypatch.setenv("SAFELIGHT_OPTIONS_KEYS", keys)
    said = "presets.toml (SAFELIGHT_PRESETS) has no preset full; it has paid, secret, small."
    done = run("sign", wanted)
    assert (done.exit_code, done.stderr) == (3, f"{said}\n")
    facts = explained(run, f"https://cdn.example.com/{wanted.lstrip('/')}")
    assert facts["refused"] == said


def test_an_unknown_grammar_is_refused_with_all_names(run: Run) -> None:
    done = run("sign", "foo", "--as", "cloudinary")
    assert done.exit_code == 2
    assert "--as must be one of preset, own, thumbor" in done.stderr


def test_without_keys_the_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAFELIGHT_SIGNING_KEYS")
    done = run("sign", f"paid/{IMAGE}")
    assert (done.exit_code, done.stderr) == (2, "SAFELIGHT_SIGNING_KEYS has no key\n")
    assert "SAFELIGHT_SIGNING_KEYS has no key" in explained(run, f"/paid/{IMAGE}")["refused"]
    assert explained(run, f"/small/{IMAGE}")["signature"] == "none is needed"


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        (f"/paid/{IMAGE}", "The URL must be signed, and is not."),
        (f"/paid/{IMAGE}?key=web&signature=x", "The signature does not match"),
        (f"/paid/{IMAGE}?key=nobody&signature=x", "or its key is unknown."),
        (f"/small/{IMAGE}.png", "'small' is not delivered as png, but as webp, jpeg."),
        ("/small/x", "'x' is not an image id."),
        (f"/small/{IMAGE}?a=1&a=2", "A query parameter is given twice."),
    ],
)
def test_the_reason_of_a_refusal_is_that_of_delivery(run: Run, url: str, refused: str) -> None:
    done = run("explain", url, "--json")
    assert done.exit_code == 3
    assert refused in json.loads(done.stdout)["refused"]


def test_an_expired_url_and_one_of_a_tenant_say_so(run: Run) -> None:
    keys = SigningKeys.read(KEYS)
    past = keys.sign(f"/paid/{IMAGE}", expires_at=1)
    assert explained(run, past)["refused"] == "The URL has expired."
    tenant = explained(run, keys.sign(f"/paid/{IMAGE}", key_id="shop"))
    assert (tenant["user"], tenant["signature"]) == ("key:alice", "holds, by key shop")


def test_another_spelling_is_shown_with_the_one_that_is_delivered(run: Run) -> None:
    facts = explained(run, f"/small/{IMAGE[:-1]}%42")
    assert facts["redirectedTo"] == f"/small/{IMAGE}"
