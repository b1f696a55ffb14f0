"""`safelight sign` makes URLs that are answered; `safelight explain` says why one is not."""

import json
import re
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from api.dialects.table import DIALECTS, DialectSettings, read
from ops.__main__ import app
from ops.explain import explain, explained
from safelight.keys import assets_prefix

IMAGE = "01KAJ0000000000000000000AB"
KEYS = {
    "SAFELIGHT_OPTIONS_KEYS": "web:a-secret-of-the-web",
    "SAFELIGHT_THUMBOR_KEYS": "correct horse battery,staple for a horse",
    "SAFELIGHT_IMGPROXY_KEYS": "aa" * 16 + ":" + "bb" * 16,
    "SAFELIGHT_AWS_HANDLER_KEYS": "correct horse battery",
    "SAFELIGHT_IMGIX_KEYS": "correct horse battery",
}
WANTED = {
    "own": f"box=300x200/{IMAGE}.webp",
    "thumbor": "300x200/smart/a.jpg",
    "imgproxy": "w:300/plain/a.jpg@webp",
    "aws": "a.jpg?width=300&format=webp",
    "imgix": "a.jpg?w=300&fm=webp",
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    for name, keys in KEYS.items():
        monkeypatch.setenv(name, keys)


def run(*words):
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_signed_is_answered_and_explained(name):
    signed = run("sign", WANTED[name], "--as", name)
    assert signed.exit_code == 0
    url = signed.stdout.strip()
    path, _, query = url.partition("?")
    dialects = DialectSettings.load().dialects
    assert read(path, query, dialects, now=datetime.now(UTC)).options.width == 300
    told = json.loads(run("explain", f"https://cdn.example.com{url}", "--json").stdout)
    assert told["dialect"] == name
    assert "holds, by key 1" in told["signature"]
    assert told["options"].startswith("box=300x")
    assert "refused" not in told


@pytest.mark.parametrize("name", DIALECTS)
def test_the_help_of_sign_names_every_dialect(name):
    assert re.search(rf"\b{name}\b", run("sign", "--help").stdout)


def test_the_asset_key_is_told_for_an_image():
    url = run("sign", WANTED["own"]).stdout.strip()
    told = json.loads(run("explain", url, "--json").stdout)
    key = f"{assets_prefix(IMAGE)}{{secret}}/options-{told['fingerprint']}.webp"
    assert told["assetKey"] == key


def test_a_url_of_an_hour_says_until_when():
    url = run("sign", f"_/{IMAGE}.webp", "--expires-in", "3600").stdout.strip()
    told = json.loads(run("explain", url, "--json").stdout)
    expires = datetime.fromisoformat(told["expires"])
    assert 3590 <= (expires - datetime.now(UTC)).total_seconds() <= 3600
    assert told["options"] == "format=webp"


def test_a_wrong_signature_is_told_with_what_it_is_of():
    url = run("sign", WANTED["thumbor"], "--as", "thumbor").stdout.strip()
    answer = run("explain", url.replace("=/", "/"), "--json")
    assert answer.exit_code == 3
    told = json.loads(answer.stdout)
    assert "without its padding" in told["signature"]
    assert told["signed"] == "300x200/smart/a.jpg"
    assert told["options"].startswith("box=300x200")
    assert "signature" in told["refused"]


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("sign", "nope=1/a.jpg"), 3, "nope: is none of"),
        (("sign", "box=300x200"), 3, "OPTIONS/SOURCE"),
        (("sign", "x", "--as", "cloudinary"), 2, "cloudinary"),
        (("sign", "x/a.jpg", "--as", "thumbor", "--expires-in", "5"), 2, "--expires-in"),
    ],
)
def test_a_wish_that_would_be_refused_is_not_signed(words, code, expected):
    answer = run(*words)
    assert answer.exit_code == code
    assert expected in answer.stderr


def test_a_dialect_without_keys_says_which_setting(monkeypatch):
    monkeypatch.delenv("SAFELIGHT_IMGIX_KEYS")
    answer = run("sign", "a.jpg", "--as", "imgix")
    assert answer.exit_code == 2
    assert "SAFELIGHT_IMGIX_KEYS" in answer.stderr


def test_a_path_of_no_dialect_is_told():
    told = explained("/small/x", "", DialectSettings.load().dialects, now=datetime.now(UTC))
    assert told.refused is not None
    assert "belongs to none" in told.refused
    assert told.dialect is None


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("SAFELIGHT_OPTIONS_KEYS", "web:short", "at least 16 characters"),
        ("SAFELIGHT_OPTIONS_KEYS", "web:a-secret-of-the-web:", "names no user"),
        ("SAFELIGHT_OPTIONS_KEYS", "web:a-secret-of-the-web:alice", "as in id:secret:key:alice"),
        ("SAFELIGHT_OPTIONS_KEYS", "a:" + "x" * 16 + ",a:" + "y" * 16, "is there twice"),
        ("SAFELIGHT_IMGPROXY_KEYS", "aa:bb", "at least 16 bytes"),
        ("SAFELIGHT_OPTIONS_KEYS", "a-secret-without-a-name", "id:secret"),
        ("SAFELIGHT_IMGPROXY_KEYS", "aa" * 16 + ":", "salts not empty"),
        ("SAFELIGHT_IMGPROXY_KEYS", ":", "salts not empty"),
        ("SAFELIGHT_IMGPROXY_KEYS", "aabb", "pairs"),
        ("SAFELIGHT_THUMBOR_KEYS", "MY_SECURE_KEY", "public documents"),
        ("SAFELIGHT_THUMBOR_KEYS", "k" * 16 + "," + "s" * 15, "at least 16 characters"),
        ("SAFELIGHT_AWS_HANDLER_KEYS", "s" * 15, "at least 16 characters"),
        ("SAFELIGHT_IMGIX_KEYS", "s" * 15, "at least 16 characters"),
        ("SAFELIGHT_IMGPROXY_KEYS", "aa" * 15 + ":bb", "at least 16 bytes"),
        ("SAFELIGHT_THUMBOR_KEYS", " , ", "names no key"),
        ("SAFELIGHT_ROOT_DIALECT", "gravity", "imgix"),
    ],
)
def test_a_weak_or_misspelt_key_is_refused_and_never_shown(monkeypatch, name, keys, expected):
    monkeypatch.setenv(name, keys)
    answer = run("explain", "/x")
    assert answer.exit_code == 2
    assert name in answer.stderr
    assert expected in answer.stderr
    assert name == "SAFELIGHT_ROOT_DIALECT" or f"found {keys!r}" not in answer.stderr


def test_a_root_dialect_needs_keys(monkeypatch):
    monkeypatch.delenv("SAFELIGHT_THUMBOR_KEYS")
    monkeypatch.setenv("SAFELIGHT_ROOT_DIALECT", "thumbor")
    assert "SAFELIGHT_THUMBOR_KEYS" in run("explain", "/x").stderr


def test_a_path_that_a_proxy_changed_is_explained():
    url = run("sign", "w:300/plain/s3://photos/a.jpg", "--as", "imgproxy").stdout.strip()
    answer = run("explain", url.replace("s3://", "s3:/"), "--json")
    facts = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert "one slash" in facts["changed"]
    assert facts["signed"] == "/w:300/plain/s3://photos/a.jpg"
    assert facts["source"] == "photos/a.jpg"
    assert "changed" not in json.loads(run("explain", url, "--json").stdout)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_url_of_another_system_is_explained_without_our_prefix(name):
    prefix = DIALECTS[name].PREFIX.removesuffix("/")
    url = run("sign", WANTED[name], "--as", name).stdout.strip().removeprefix(prefix)
    assert run("explain", url).exit_code == 3
    answer = run("explain", url, "--as", name, "--json")
    told = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert told["dialect"] == name
    assert "holds, by key 1" in told["signature"]
    assert told["options"].startswith("box=300x")


def test_a_url_of_a_named_dialect_is_explained_without_its_keys(monkeypatch):
    monkeypatch.delenv("SAFELIGHT_IMGPROXY_KEYS")
    answer = run("explain", "/sig/w:300/plain/a.jpg", "--as", "imgproxy", "--json")
    told = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert told["signature"] == "not verified: SAFELIGHT_IMGPROXY_KEYS has no key"
    assert told["options"].startswith("box=300x")
    assert run("explain", "/sig/nope:1/plain/a.jpg", "--as", "imgproxy").exit_code == 3


def test_differences_are_told_in_words():
    url = run("sign", "w:300/sa:0.5/plain/a.jpg", "--as", "imgproxy").stdout.strip()
    told = " ".join(run("explain", url).stdout.split())
    assert "sa: imgproxy Pro" in told
    assert "{" not in told


PRESETS = """
[small]
format = "jpeg"
box = [30, 30]
access = "public"

[secret]
format = "jpeg"
box = [30, 30]
access = "private"
"""


@pytest.fixture
def _deployed(monkeypatch, tmp_path):
    """The files that delivery reads are on this machine."""
    (tmp_path / "presets.toml").write_text(PRESETS)
    aliases = '[photos]\nbucket = "acme"\nprefix = "public/"\npresets = ["small"]\n'
    (tmp_path / "aliases.toml").write_text(aliases)
    monkeypatch.setenv("SAFELIGHT_PRESETS", str(tmp_path / "presets.toml"))
    monkeypatch.setenv("SAFELIGHT_ALIASES", str(tmp_path / "aliases.toml"))


def signed_url(wanted, dialect):
    return run("sign", wanted, "--as", dialect).stdout.strip()


@pytest.mark.usefixtures("_deployed")
@pytest.mark.parametrize(
    ("dialect", "wanted", "expected"),
    [
        ("thumbor", "300x200/photos/a.jpg", None),
        ("thumbor", "300x200/s3://acme/public/a.jpg", None),
        ("thumbor", f"300x200/{IMAGE}", None),
        ("imgproxy", "pr:small/plain/photos/a.jpg", None),
        ("thumbor", "300x200/nowhere/a.jpg", "no alias includes 'nowhere/a.jpg'"),
        ("thumbor", "300x200/s3://acme/private/a.jpg", "no alias includes"),
        ("thumbor", "300x200/photos/", "no alias includes"),
        ("thumbor", "filters:watermark(logos/a.png,0,0,0)/photos/a.jpg", "watermark: no alias"),
        ("imgproxy", "pr:nope/plain/photos/a.jpg", "preset: there is no 'nope'"),
        ("imgproxy", "pr:small/plain/photos/a.jpg@webp", "not delivered as webp"),
        ("imgproxy", "pr:secret/plain/photos/a.jpg", "must expire"),
    ],
)
def test_a_url_for_which_viewers_would_get_an_error_is_explained_so(dialect, wanted, expected):
    answer = run("explain", signed_url(wanted, dialect), "--json")
    told = json.loads(answer.stdout)
    assert answer.exit_code == (3 if expected else 0)
    assert (expected in told["refused"]) if expected else "refused" not in told
    assert ("unchecked" in told) is (expected is None)


@pytest.mark.usefixtures("_deployed")
def test_the_key_of_a_tenant_is_explained_to_open_no_object_of_an_alias(monkeypatch):
    monkeypatch.setenv("SAFELIGHT_OPTIONS_KEYS", "alices:a-secret-of-alice:key:alice")
    answer = run("explain", signed_url("box=9x9/photos/a.jpg", "own"), "--json")
    assert answer.exit_code == 3
    assert "tenant" in json.loads(answer.stdout)["refused"]
    assert run("explain", signed_url(f"box=9x9/{IMAGE}", "own")).exit_code == 0


def test_what_cannot_be_known_here_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("SAFELIGHT_PRESETS", str(tmp_path / "missing.toml"))
    url = signed_url("pr:small/plain/photos/a.jpg", "imgproxy")
    told = json.loads(run("explain", url, "--json").stdout)
    assert "refused" not in told
    unchecked = "; ".join(told["unchecked"])
    for each in ("--ask", "SAFELIGHT_ALIASES is not set", "SAFELIGHT_PRESETS is not here"):
        assert each in unchecked
    assert "--ask" in run("explain", url).stdout


def test_faults_of_the_files_are_reported(monkeypatch, tmp_path):
    (tmp_path / "aliases.toml").write_text("[photos]")
    monkeypatch.setenv("SAFELIGHT_ALIASES", str(tmp_path / "aliases.toml"))
    answer = run("explain", "/x")
    assert answer.exit_code == 2
    assert "aliases.toml" in answer.stderr


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(200, "a picture", 0), (202, "", 0), (404, '{"detail": "no picture"}', 3), (503, "busy", 3)],
)
async def test_the_answer_that_viewers_get_is_requested_if_asked(capsys, status, body, code):
    asked = []

    async def answer(request):
        asked.append((request.raw_path, request.headers["Accept"]))
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    dialects = DialectSettings.load().dialects
    dialect, _ = dialects.find("/thumbor/")
    signed = dialect.unsigned("300x200/a%20b.jpg")
    path = dialect.join(dialect.signature(dialect.keys[0], signed.messages[0]), signed.target, "")
    async with TestServer(app) as server:
        url = str(server.make_url("/")).rstrip("/") + f"/thumbor{path}"
        assert await explain(url, ask=True, as_json=True) == code
    told = json.loads(capsys.readouterr().out)
    assert told["answer"] == f"{status}: {body if status >= 400 else 'text/plain'}"
    assert "unchecked" not in told
    ((sent, accept),) = asked
    assert sent == f"/thumbor{path}"
    assert "image/avif" in accept


async def test_no_answer_is_an_error_too(capsys, unused_tcp_port):
    url = f"http://127.0.0.1:{unused_tcp_port}/thumbor/x/a.jpg"
    assert await explain(url, ask=True, as_json=True) == 3
    assert "no answer" in json.loads(capsys.readouterr().out)["answer"]


def test_only_a_whole_url_can_be_requested():
    answer = run("explain", "/thumbor/x/a.jpg", "--ask")
    assert answer.exit_code == 2
    assert "https://" in answer.stderr
