import json
from itertools import pairwise
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.openapi import OPERATIONS, document
from api.problems import Problem
from api.uploads import CONTENT_TYPES
from tests.unit.api.clients import MAX_UPLOAD_BYTES, Api

DOCUMENT = document(
    max_upload_bytes=1000,
    anonymous=False,
    presets=("small",),
    aliases=("avatars",),
    freeform=True,
)


@pytest.mark.parametrize("anonymous", [True, False])
def test_the_document_is_openapi_3_1(anonymous: bool) -> None:
    told = document(
        max_upload_bytes=1,
        anonymous=anonymous,
        presets=("small",),
        aliases=("a",),
        freeform=True,
    )
    OpenAPIV31SpecValidator(told).validate()


async def test_every_route_is_described_and_nothing_else(api: Api) -> None:
    routes = {
        (route.method.lower(), route.resource.canonical)
        for route in api.client.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    of_delivery = {
        "/{preset}/{image}",
        "/{alias}/{path}",
        "/images/{shard}/{imageId}/{secret}/{asset}",
    }
    of_delivery |= {"/s/{signature}/{options}/{source}"}
    of_uploads = {(row.method, row.path) for row in OPERATIONS if row.path not in of_delivery}
    assert routes == of_uploads
    _, told = await api.ask("GET", "/openapi.json")
    assert {(method, path) for path, one in told["paths"].items() for method in one} == routes


async def test_the_document_is_served_with_the_limits_that_hold(api: Api) -> None:
    answer, told = await api.ask("GET", "/openapi.json")
    assert answer.status == 200
    size = told["components"]["schemas"]["UploadRequest"]["properties"]["size"]
    assert (size["minimum"], size["maximum"]) == (0, MAX_UPLOAD_BYTES)


def test_an_upload_request_is_described_as_it_is_read() -> None:
    schema = DOCUMENT["components"]["schemas"]["UploadRequest"]
    assert schema["required"] == ["filename", "contentType", "size"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["contentType"]["enum"] == list(CONTENT_TYPES)
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


def test_nobody_is_asked_for_credentials_where_none_are_set_up() -> None:
    told: dict[str, Any] = document(max_upload_bytes=1, anonymous=True)
    assert "securitySchemes" not in told["components"]
    assert not any(one["security"] for path in told["paths"].values() for one in path.values())


def test_operations_of_one_path_stand_together() -> None:
    paths = [row.path for row in OPERATIONS]
    changes = sum(one != other for one, other in pairwise(paths))
    assert changes == len(set(paths)) - 1


def test_ids_of_operations_are_unique() -> None:
    ids = [one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(set(ids)) == len(ids)
