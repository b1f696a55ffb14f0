import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.declared_types import ACCEPTED
from api.openapi import document
from api.problems import Problem
from api.routes import ROUTES
from safelight.completion import Completion
from safelight.errors import Reason
from safelight.record import Record, Status
from tests.unit.api.clients import MAX_UPLOAD_BYTES, Api

NAMES = {"preset": ("small",), "alias": ("avatars",)}
DOCUMENT = document(ROUTES, max_upload_bytes=1000, anonymous=False, names=NAMES)


@pytest.mark.parametrize("anonymous", [True, False])
def test_the_document_is_openapi_3_1(anonymous: bool) -> None:
    described = document(ROUTES, max_upload_bytes=1, anonymous=anonymous, names=NAMES)
    OpenAPIV31SpecValidator(described).validate()


async def test_the_document_is_served_with_the_limits_that_hold(api: Api) -> None:
    answer, described = await api.ask("GET", "/openapi.json")
    assert answer.status == 200
    size = described["components"]["schemas"]["UploadRequest"]["properties"]["size"]
    assert (size["minimum"], size["maximum"]) == (0, MAX_UPLOAD_BYTES)


def test_an_upload_request_is_described_as_it_is_read() -> None:
    schema = DOCUMENT["components"]["schemas"]["UploadRequest"]
    assert schema["required"] == ["size"]
    assert schema["oneOf"] == [{"required": ["filename"]}, {"required": ["imageId"]}]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["contentType"]["pattern"] == ACCEPTED
    assert schema["properties"]["method"]["enum"] == ["POST", "PUT"]


def test_every_problem_is_described_where_it_can_happen() -> None:
    described = json.dumps(DOCUMENT["paths"])
    aside = {Problem.METHOD_NOT_ALLOWED}  # what OpenAPI describes are the methods that there are
    for problem in set(Problem) - aside:
        assert f"`{problem.slug}`" in described, problem


def test_only_public_operations_need_no_credentials() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            assert bool(operation["security"]) is path.startswith("/v1/")


def test_no_credentials_are_required_where_none_are_set_up() -> None:
    described: dict[str, Any] = document(ROUTES, max_upload_bytes=1, anonymous=True)
    assert "securitySchemes" not in described["components"]
    operations = [one for path in described["paths"].values() for one in path.values()]
    assert not any(operation["security"] for operation in operations)


def test_ids_of_operations_are_unique() -> None:
    ids = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(set(ids)) == len(ids)


def test_a_completion_is_described_as_it_is_published() -> None:
    webhook = DOCUMENT["webhooks"]["completion"]["post"]
    (content,) = webhook["requestBody"]["content"].items()
    reference = {"$ref": "#/components/schemas/Completion"}
    assert content == ("application/cloudevents+json", {"schema": reference})
    schemas = {"components": DOCUMENT["components"]}
    record = Record(
        image_id="01M7YB1NC8XE9XQ3H3PCRZFKK6",
        user_id="key:alice",
        uploaded_at=1,
        original_key="uploads/x",
        status=Status.REJECTED,
        reason=Reason.CORRUPT,
        revision="v1",
        sequence=1,
    )
    event = json.loads(Completion.of(record).to_json())
    validator = Draft202012Validator(schemas | reference)
    validator.validate(event)
    assert not validator.is_valid(event | {"type": "another"})
