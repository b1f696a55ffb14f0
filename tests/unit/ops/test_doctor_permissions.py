"""Permissions are probed by calls without effect, that for faces only where it is needed."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.doctor.permissions import (
    POLICIES,
    PROBES,
    RENDERS_POLICY,
    look_at_permissions,
    permissions_of,
)
from ops.doctor.places import DoctorSettings, Places

WHAT = "rekognition:DetectFaces on *"


class Client:
    """A client of AWS whose every call fails with a code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __getattr__(self, operation: str) -> Any:
        async def call(**_: object) -> None:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, operation)

        return call


def places(code: str, faces: str = "rekognition", distribution_id: str | None = None) -> Places:
    other = Client("NoSuchKey")
    return Places(
        settings=DoctorSettings(
            uploads_bucket="uploads",
            assets_bucket="assets",
            table="images",
            faces=faces,
            distribution_id=distribution_id,
        ),
        partition="aws",
        region="eu-central-1",
        account="1",
        s3=other,
        dynamodb=other,
        sqs=other,
        sns=other,
        rekognition=Client(code),
        cloudfront=Client(code),
    )


async def found(code: str, *, role: str, **settings: Any) -> dict[str, Any]:
    findings = await look_at_permissions(role, places(code, **settings))
    return {finding.what: finding for finding in findings}


@pytest.mark.parametrize("role", ["worker", "delivery"])
async def test_a_program_that_renders_may_have_faces_looked_for(role):
    seen = (await found("InvalidImageFormatException", role=role))[WHAT]
    assert seen.state == "ok"


@pytest.mark.parametrize("role", ["worker", "delivery"])
async def test_a_missing_permission_to_look_for_faces_is_named(role):
    seen = (await found("AccessDeniedException", role=role))[WHAT]
    assert (seen.state, seen.detail) == ("failed", "allow rekognition:DetectFaces on *")


@pytest.mark.parametrize("faces", ["off", "local"])
async def test_the_permission_is_not_probed_where_it_is_not_used(faces):
    assert WHAT not in await found("AccessDeniedException", role="worker", faces=faces)


CACHES = [f"cloudfront:{action}Invalidation on Distribution" for action in ("Create", "Get")]


@pytest.mark.parametrize("code", ["InconsistentQuantities", "NoSuchInvalidation"])
async def test_cleanup_may_invalidate_the_caches_of_its_distribution(code):
    seen = await found(code, role="cleanup", distribution_id="E1")
    assert [seen[what].state for what in CACHES] == ["ok", "ok"]


async def test_a_missing_permission_to_invalidate_caches_is_named():
    seen = await found("AccessDenied", role="cleanup", distribution_id="E1")
    assert [seen[what].detail for what in CACHES] == [
        f"allow {what.partition(' ')[0]} on arn:aws:cloudfront::1:distribution/E1"
        for what in CACHES
    ]


@pytest.mark.parametrize(("role", "distribution"), [("cleanup", None), ("api", "E1")])
async def test_invalidations_are_probed_only_for_a_cleanup_with_a_distribution(role, distribution):
    seen = await found("AccessDenied", role=role, distribution_id=distribution)
    assert not seen.keys() & {*CACHES}


async def test_a_distribution_that_does_not_exist_is_reported():
    seen = await found("NoSuchDistribution", role="cleanup", distribution_id="E1")
    assert {seen[what].state for what in CACHES} == {"failed"}


@pytest.mark.parametrize("policy", sorted({*POLICIES.values(), RENDERS_POLICY}))
def test_every_permission_of_a_program_has_a_probe(policy):
    assert set(permissions_of(policy)) <= PROBES.keys()
