"""The version has one place, and what a release wrote is read by every later one."""

import asyncio
import json
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from boto3.dynamodb.types import TypeDeserializer
from jsonschema import Draft202012Validator

from safelight import __version__, keys
from safelight.completion import Completion
from safelight.image_ids import ImageIds
from safelight.queued import Demand, OfCleanup, OfRenders, read_ours
from safelight.record import SINCE, Record, Variant
from tests.support.fakes import ID_SECRET
from tests.support.schemas import breaches
from tools import released
from worker.envelopes import parsed
from worker.events import read_events, source_keys

ROOT = Path(__file__).parents[2]
UPGRADING = (ROOT / "docs" / "operate" / "upgrading.md").read_text()
RECORDS = sorted(released.RECORDS)
RELEASES = sorted(path.parent.name for path in released.DATA.glob("*/schemas.json"))
every_release = pytest.mark.parametrize("release", RELEASES)


def saved(release: str, name: str):
    return json.loads((released.DATA / release / f"{name}.json").read_text())


def saved_record(release: str, name: str) -> Record:
    item = saved(release, f"{name}-record")
    read = TypeDeserializer().deserialize
    return Record.from_item({attribute: read(value) for attribute, value in item.items()})


def test_the_package_reads_its_version_where_the_programs_do():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "safelight.__version__"}


def test_no_other_file_of_code_or_of_deployment_writes_the_version():
    files = [
        path
        for folder in ("safelight", "api", "worker", "ops", "deploy")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".yaml", ".yml", ".toml", ".sh"}
    ]
    files += [ROOT / name for name in ("Dockerfile", "Makefile", "docker-compose.yml")]
    whole = re.compile(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])")
    writers = [path for path in files if whole.search(path.read_text())]
    assert writers == [ROOT / "safelight" / "__init__.py"]


def test_security_md_supports_this_version():
    assert f"| {__version__} | yes |" in (ROOT / "SECURITY.md").read_text()


def test_the_newest_release_of_the_changelog_is_this_version():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", __version__]


def test_this_version_has_saved_what_it_writes():
    assert __version__ in RELEASES


@pytest.mark.parametrize(
    ("release", "name"),
    [
        (release, name)
        for release in RELEASES
        for name in RECORDS
        if (released.DATA / release / f"{name}-record.json").exists()
    ],
)
def test_the_record_of_a_release_is_read_as_it_was(release, name):
    known = saved(release, "schemas")["Record"]["properties"].keys() - {"schemaVersion"}
    read, then = (
        {key: value for key, value in one.to_item().items() if key in known}
        for one in (saved_record(release, name), released.RECORDS[name])
    )
    assert read == then


@every_release
@pytest.mark.parametrize("name", ["completed", "rejected"])
def test_the_record_of_a_release_gives_the_completion_that_it_published(release, name):
    then = saved(release, f"{name}-completion")
    now = Completion.of(saved_record(release, name))
    assert json.loads(now.to_json()) == json.loads(then["body"])
    attributes = {key: value["StringValue"] for key, value in then["attributes"].items()}
    assert attributes == {"outcome": now.outcome, "userId": now.user_id}


def saved_messages(release: str) -> list[str]:
    """List the kinds of our own messages that a release sent."""
    path = released.DATA / release
    return [kind for kind in released.OURS if (path / f"{kind}-message.json").exists()]


@every_release
def test_a_message_of_a_release_means_what_it_meant(release):
    kinds = saved_messages(release)
    assert {"ingest", "demand"} <= {*kinds}
    for kind in kinds:
        body = saved(release, f"{kind}-message")["body"]
        assert read_ours(parsed(body)) == released.OURS[kind]


def test_every_message_of_ours_is_saved_with_the_next_release_whole():
    assert {type(one) for one in released.OURS.values()} == {*get_args(OfRenders | OfCleanup)}
    for kind, message in released.OURS.items():
        assert message.type == f"safelight.{kind}"
        assert json.loads(message.to_json()).keys() == names_of(type(message))


@every_release
def test_an_event_of_a_release_is_the_upload_that_it_was(release):
    body = saved(release, "s3-event-message")["body"]
    (upload,) = read_events(body, bucket=released.BUCKET, ids=ImageIds(ID_SECRET)).uploads
    completed = released.COMPLETED
    assert (upload.image_id, upload.key) == (completed.image_id, completed.original_key)
    assert (upload.user_id, upload.revision) == (completed.user_id, completed.revision)
    assert upload.sequencer == completed.sequencer


@every_release
def test_a_dead_letter_of_a_release_can_be_sent_back(release):
    letter = saved(release, "dead-letter")
    assert letter["attributes"]["reason"]["StringValue"] == "unknown"
    assert source_keys(letter["body"], bucket=released.BUCKET) == ((released.KEY,), ())


@every_release
def test_the_asset_key_of_a_release_is_still_the_one_that_its_record_gives(release):
    asset, record = saved(release, "asset"), saved_record(release, "completed")
    name = keys.read_asset_key(asset["Key"])
    assert asset["Metadata"]["cache-tag"] == name.cache_tags
    assert asset["Key"] == record.variants["small"].key
    assert asset["Key"] == keys.asset_key(
        image_id=record.image_id,
        revision=record.revision,
        preset=name.preset,
        fingerprint=released.PRESET.wish.fingerprint,
        extension=name.extension,
    )


@every_release
def test_the_models_of_a_release_have_changed_compatibly_only(release):
    now = {model.__name__: model.model_json_schema() for model in released.MODELS}
    for name, then in saved(release, "schemas").items():
        assert list(breaches(then, now[name])) == []


def plain(item):
    """Return a stored item as JSON has it: DynamoDB's numbers are decimals."""
    read = TypeDeserializer().deserialize
    values = {attribute: read(value) for attribute, value in item.items()}
    return json.loads(json.dumps(values, default=float))


@every_release
def test_a_release_reads_what_this_version_writes(release):
    """Additions are ignored, unless a schema of the release allows none: that of presets."""
    schemas, written = saved(release, "schemas"), asyncio.run(released.documents())
    told = {
        **{f"{name} record": ("Record", plain(written[f"{name}-record"])) for name in RECORDS},
        **{
            f"{kind} message": (type(one).__name__, json.loads(written[f"{kind}-message"]["body"]))
            for kind, one in released.OURS.items()
        },
        **{
            f"{name} completion": ("Completion", json.loads(written[f"{name}-completion"]["body"]))
            for name in ("completed", "rejected")
        },
    }
    faults = [
        f"{document}: {fault.json_path}: {fault.message}"
        for document, (model, body) in told.items()
        if model in schemas
        for fault in Draft202012Validator(schemas[model]).iter_errors(body)
    ]
    assert faults == []


def test_the_samples_of_this_version_have_every_attribute():
    """So that each is compared with the schemas of releases, and saved with the next one."""
    items = [record.to_item() for record in released.RECORDS.values()]
    assert {name for item in items for name in item} >= names_of(Record)
    variants = items[1]["variants"].values()
    assert {name for variant in variants for name in variant} == names_of(Variant)


@every_release
def test_an_attribute_that_a_release_did_not_know_says_since_when_it_is_there(release):
    known = saved(release, "schemas")["Record"]["properties"]
    assert names_of(Record) - known.keys() <= SINCE.keys(), "safelight/record.py: SINCE"


def names_of(model) -> set[str]:
    return {field.alias for field in model.model_fields.values()}


@every_release
def test_values_that_a_release_cannot_read_are_listed_for_those_who_roll_back(release):
    for model in (Record, Demand):
        then, now = saved(release, "schemas")[model.__name__], model.model_json_schema()
        for word in words_of(read_by(then, now)) - words_of(then):
            assert f"| `{word}` |" in UPGRADING, f"docs/operate/upgrading.md lacks {word}"


def read_by(then, now):
    """Return the part of a newer schema that an older version reads: it ignores new attributes."""
    read = {key: now["properties"][key] for key in now["properties"].keys() & then["properties"]}
    models = {key: now["$defs"][key] for key in now["$defs"].keys() & then["$defs"]}
    return {"properties": read, "$defs": models}


def words_of(schema) -> set[str]:
    """Return every word of the closed lists in a schema."""
    if isinstance(schema, dict):
        listed = schema.get("enum", [])
        return {*listed, *(word for one in schema.values() for word in words_of(one))}
    if isinstance(schema, list):
        return {word for one in schema for word in words_of(one)}
    return set()


OLD = {
    "properties": {"name": {"type": "string"}, "kind": {"enum": ["a", "b"]}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"title": "a word for people"},
        {"required": []},
        {"properties": OLD["properties"] | {"size": {"type": "integer", "default": 0}}},
        {"properties": OLD["properties"] | {"kind": {"enum": ["a", "b", "c"]}}},
    ],
)
def test_a_field_with_a_default_or_one_more_choice_is_compatible(change):
    assert list(breaches(OLD, OLD | change)) == []


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        ({"properties": {"kind": {"enum": ["a", "b"]}}}, "/properties/name is gone"),
        ({"required": ["kind", "name"]}, "/kind is required"),
        (
            {"properties": OLD["properties"] | {"name": {"type": "integer"}}},
            "/properties/name/type is 'integer', was 'string'",
        ),
        (
            {"properties": OLD["properties"] | {"name": {"type": "string", "maxLength": 9}}},
            "/properties/name/maxLength is new",
        ),
        (
            {"properties": OLD["properties"] | {"kind": {"enum": ["a"]}}},
            "/properties/kind/enum lacks 'b'",
        ),
    ],
)
def test_a_field_removed_retyped_narrowed_or_required_is_not_compatible(change, breach):
    assert list(breaches(OLD, OLD | change)) == [breach]
