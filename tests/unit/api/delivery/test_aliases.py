"""URL names for pictures in other buckets."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from api.delivery.aliases import Alias, InvalidAliases, faults_of_names, load_aliases
from safelight import keys
from tests.support import pictures
from tests.support.fakes import IDS
from tests.unit.api.delivery.conftest import PRESETS
from tests.unit.api.delivery.gallery import SOURCE, Gallery

AVATARS = Alias(name="avatars", bucket="acme", prefix="public/", presets=("small", "plain"))
SECRETS = Alias(name="secrets", bucket="acme", presets=("signed",))


@pytest.fixture
async def gallery(open_: Any) -> Gallery:
    opened: Gallery = await open_(aliases=(AVATARS, SECRETS))
    return opened


async def test_an_object_is_delivered_by_the_aliass_first_preset(gallery: Gallery) -> None:
    version = gallery.elsewhere.upload("public/team a/anna.jpg", SOURCE)
    for outcome in ("rendered", "stored"):
        answer, body = await gallery.ask("/avatars/team%20a/anna.jpg", accept="image/webp,*/*")
        assert (answer.status, answer.content_type) == (200, "image/webp")
        assert f'desc="{outcome}"' in answer.headers["Server-Timing"]
    assert Image.open(io.BytesIO(body)).size == (30, 20)
    (key,) = gallery.objects.assets
    name = keys.read_asset_key(key)
    assert name is not None
    assert name.image_id == IDS.of_object(bucket="acme", key="public/team a/anna.jpg")
    assert name.preset == "small"
    assert key == keys.asset_key(
        image_id=name.image_id,
        revision=version.version_id,
        preset="small",
        fingerprint=name.fingerprint,
        extension="webp",
    )


async def test_another_of_its_presets_can_be_named_and_no_other(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/a.jpg", SOURCE)
    answer, _ = await gallery.ask("/avatars/a.jpg?preset=plain", accept="image/webp,*/*")
    assert answer.content_type == "image/jpeg"
    answer, body = await gallery.ask("/avatars/a.jpg?preset=hinted")
    assert (answer.status, json.loads(body)["type"]) == (400, "/problems/invalid_url")
    assert "small, plain" in json.loads(body)["detail"]


async def test_a_replaced_object_is_another_revision(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/a.jpg", SOURCE)
    await gallery.ask("/avatars/a.jpg")
    gallery.elsewhere.upload("public/a.jpg", pictures.encoded(Image.new("RGB", (40, 60)), "JPEG"))
    _, body = await gallery.ask("/avatars/a.jpg")
    assert Image.open(io.BytesIO(body)).size == (20, 30)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("missing.jpg", 404),
        ("..%2Fprivate.jpg", 400),
        ("a/%2E%2E/b.jpg", 400),
        ("a%09b.jpg", 400),
        ("a%E2%80%A8b.jpg", 400),
        ("a%00b.jpg", 400),
        ("%F0%9F%98%80" * 300, 400),
    ],
)
async def test_no_path_leads_out_of_the_prefix(gallery: Gallery, path: str, status: int) -> None:
    gallery.elsewhere.upload("private.jpg", SOURCE)
    assert (await gallery.ask(f"/avatars/{path}"))[0].status == status


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a//b.jpg", "a//b.jpg"),
        ("/a.jpg", "/a.jpg"),
        ("a/", "a/"),
        ("Screenshot at 9.41.00\u202fAM.png", "Screenshot%20at%209.41.00%E2%80%AFAM.png"),
        ("\U0001f468\u200d\U0001f469.jpg", "%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9.jpg"),
        ("caf\u00e9.jpg", "cafe%CC%81.jpg"),
        ("cafe\u0301.jpg", "caf%C3%A9.jpg"),
        ("\u00e9-e\u0301.jpg", "%C3%A9-e%CC%81.jpg"),
        ("a[1]|b.jpg", "a%5B1%5D%7Cb.jpg"),
    ],
)
async def test_an_object_is_delivered_whatever_its_key_is_made_of(
    gallery: Gallery, key: str, path: str
) -> None:
    gallery.elsewhere.upload(f"public/{key}", SOURCE)
    answer, _ = await gallery.ask(f"/avatars/{path}")
    assert answer.status == 200
    (asset,) = gallery.objects.assets
    name = keys.read_asset_key(asset)
    assert name is not None
    assert name.image_id == IDS.of_object(bucket="acme", key=f"public/{key}")


async def test_of_two_spellings_of_a_name_each_is_delivered_as_itself(gallery: Gallery) -> None:
    gallery.elsewhere.upload("public/\u00e9.jpg", SOURCE)
    other = pictures.encoded(Image.new("RGB", (40, 60)), "JPEG")
    gallery.elsewhere.upload("public/e\u0301.jpg", other)
    for path, size in (("%C3%A9.jpg", (30, 20)), ("e%CC%81.jpg", (20, 30))):
        _, body = await gallery.ask(f"/avatars/{path}")
        assert Image.open(io.BytesIO(body)).size == size


async def test_a_name_in_mixed_spellings_is_no_other_name(gallery: Gallery) -> None:
    """Otherwise a client could fill caches with copies: 2**n of a name with n accents."""
    gallery.elsewhere.upload("public/\u00e9-\u00e9.jpg", SOURCE)
    assert (await gallery.ask("/avatars/%C3%A9-e%CC%81.jpg"))[0].status == 404


async def test_an_alias_is_as_open_as_its_preset(gallery: Gallery) -> None:
    gallery.elsewhere.upload("ä b.jpg", SOURCE)
    path = "/secrets/ä b.jpg"
    assert (await gallery.ask("/secrets/%C3%A4%20b.jpg"))[0].status == 403
    answer, _ = await gallery.ask(gallery.signing.sign(path))
    assert answer.status == 200
    tenants = gallery.signing.sign(path, key_id="alices")
    assert (await gallery.ask(tenants))[0].status == 404


def load(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "aliases.toml"
    path.write_text(text)
    return load_aliases(path, presets=[preset.name for preset in PRESETS])


ROLE = "arn:aws:iam::111122223333:role/pictures"


def test_a_file_is_read(tmp_path: Path) -> None:
    text = f'[a]\nbucket = "acme"\npresets = ["small"]\nrole_arn = "{ROLE}"\nexternal_id = "of us"'
    assert load(tmp_path, text)["a"].role_arn == ROLE
    assert load_aliases(None, presets=()) == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a", "not TOML"),
        ("a = 1", r"\[a\] expected a table"),
        ('[a]\nbucket = "acme"', r"\[a\] presets: is missing"),
        ('[a]\nbucket = "acme"\npresets = []', r"\[a\] presets: "),
        ('[a]\nbucket = "acme"\npresets = ["nope"]', "there is no preset 'nope'"),
        ('[small]\nbucket = "acme"\npresets = ["small"]', "a preset has this name"),
        ('[v1]\nbucket = "acme"\npresets = ["small"]', "the name is reserved by the API"),
        ('[a]\nbucket = "acme"\npresets = ["small"]\nurl = "x"', r"\[a\] url: is not a known name"),
        ('[a]\nbucket = "acme"\npresets = ["small"]\nrole_arn = "me"', r"\[a\] role_arn: "),
        ('[a]\nbucket = "acme"\npresets = ["small"]\nexternal_id = "of us"', "needs a role_arn"),
        ('[a]\nbucket = "acme"\npresets = ["small"]\nprefix = "Team/a"', 'write "Team/a/"'),
    ],
)
def test_a_file_at_fault_is_told(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(InvalidAliases, match=fault):
        load(tmp_path, text)


@pytest.mark.parametrize("prefix", ["", "team/a/"])
def test_a_prefix_is_empty_or_ends_with_a_slash(tmp_path: Path, prefix: str) -> None:
    text = f'[a]\nbucket = "acme"\npresets = ["small"]\nprefix = "{prefix}"'
    assert load(tmp_path, text)["a"].prefix == prefix


def test_a_preset_cannot_have_the_apis_own_name() -> None:
    assert faults_of_names(["small", "v1"]) == ["[v1] the name is reserved by the API"]
