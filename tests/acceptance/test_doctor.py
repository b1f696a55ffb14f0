"""`safelight doctor` on a backend that checks every call against the template's own policies."""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from ops.doctor.command import ROLES, doctor, look_at_clock
from ops.doctor.permissions import PROBES, permissions_of
from ops.local.account import Principal
from ops.local.emulator import ROOT, Emulator
from ops.local.stack import Stack, deploy
from tests.support.permissions import Permission, principal_without
from tests.support.permissions import permissions_of as granted

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("doctor")]
POLICIES = {"worker": "WorkerPolicy", "api": "ApiPolicy", "delivery": "DeliveryPolicy"}
NOW = 1_800_000_000.0
_numbers = count(1)

Findings = list[dict[str, str]]


class Patient:
    """A deployment, and the doctor's way to it."""

    def __init__(
        self,
        emulator: Emulator,
        stack: Stack,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.stack = stack
        self._emulator, self._monkeypatch, self._capsys = emulator, monkeypatch, capsys

    async def looked_at(
        self, role: str | None = None, who: Principal | None = None, **changes: str | None
    ) -> tuple[int, Findings]:
        """Run the doctor with somebody's credentials: the exit code, and what it found."""
        stack = self.stack
        principals = {"worker": stack.worker, "api": stack.api, "delivery": stack.delivery}
        who = who or principals.get(role or "", self._emulator.root)
        environment: Mapping[str, str | None] = {
            "AWS_PROFILE": None,
            **who.environment(self._emulator.endpoint_url),
            **stack.settings(),
            "SAFELIGHT_QUEUE_URL": stack.queue_url,
            "SAFELIGHT_DEAD_LETTER_QUEUE_URL": stack.dead_letter_queue_url,
            "SAFELIGHT_TOPIC_ARN": stack.topic_arn,
            "SAFELIGHT_PRESETS": str(ROOT / "presets.toml"),
            **changes,
        }
        for name, value in environment.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value)
        code = await doctor(role, as_json=True)
        return code, json.loads(self._capsys.readouterr().out)["findings"]

    async def owner(self, service: str, operation: str, **arguments: Any) -> Any:
        async with self._emulator.account.client(service) as client:
            return await getattr(client, operation)(**arguments)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def standing(emulator: Emulator) -> Stack:
    return await deploy(emulator.account, name="doctor")


@pytest.fixture
def patient(emulator: Emulator, standing: Stack, monkeypatch, capsys) -> Patient:
    """A deployment that no test changes."""
    return Patient(emulator, standing, monkeypatch, capsys)


@pytest_asyncio.fixture(loop_scope="session")
async def victim(emulator: Emulator, monkeypatch, capsys) -> Patient:
    """A deployment of the test's own, to be broken."""
    stack = await deploy(emulator.account, name=f"doctor-{next(_numbers)}")
    return Patient(emulator, stack, monkeypatch, capsys)


def failed(findings: Findings) -> list[tuple[str, str]]:
    return [(one["what"], one["detail"]) for one in findings if one["state"] == "failed"]


async def test_every_permission_of_every_policy_has_a_probe() -> None:
    for role in ROLES:
        assert set(permissions_of(role)) <= set(PROBES)
        assert len(permissions_of(role)) >= len(granted(POLICIES[role]))


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_with_its_policy_is_well(patient: Patient, role: str) -> None:
    code, findings = await patient.looked_at(role)
    assert failed(findings) == []
    assert code == 0
    tried = [one for one in findings if one["area"] == "permission"]
    assert {one["state"] for one in tried} == {"ok"}
    assert len(tried) == len(permissions_of(role))


async def test_an_owner_sees_that_all_is_set_up(patient: Patient) -> None:
    code, findings = await patient.looked_at()
    assert code == 0
    assert {one["state"] for one in findings} == {"ok"}
    assert {one["what"] for one in findings} >= {"queue", "bucket notification", "table", "topic"}


async def test_a_worker_has_no_right_to_look_at_the_bucket_and_says_so(patient: Patient) -> None:
    _, findings = await patient.looked_at("worker")
    (finding,) = [one for one in findings if one["what"] == "bucket notification"]
    assert finding["state"] == "unknown"
    assert "s3:GetBucketNotification" in finding["detail"]


async def test_it_leaves_nothing_behind(victim: Patient) -> None:
    stack = victim.stack
    before = [await held(victim, url) for url in (stack.queue_url, stack.dead_letter_queue_url)]
    for role in ROLES:
        await victim.looked_at(role)
    after = [await held(victim, url) for url in (stack.queue_url, stack.dead_letter_queue_url)]
    assert after == before
    for bucket in (stack.uploads_bucket, stack.assets_bucket):
        assert not (await victim.owner("s3", "list_objects_v2", Bucket=bucket))["KeyCount"]
    assert not (await victim.owner("dynamodb", "scan", TableName=stack.table))["Count"]


async def held(victim: Patient, url: str) -> dict[str, str]:
    answer = await victim.owner("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    return {k: v for k, v in answer["Attributes"].items() if k.startswith("Approximate")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "permission", [one for policy in POLICIES.values() for one in granted(policy)], ids=str
)
async def test_the_one_permission_that_is_missing_is_named(
    emulator: Emulator, patient: Patient, permission: Permission
) -> None:
    role = next(role for role, policy in POLICIES.items() if policy == permission.policy)
    who = await principal_without(emulator.account, permission, stack=patient.stack.name)
    code, findings = await patient.looked_at(role, who)
    lacking = {one.resource for one in permissions_of(role) if one.action == permission.action}
    named = {detail for _, detail in failed(findings)}
    assert code == 1
    assert named
    for what, detail in failed(findings):
        if "permission" in {one["area"] for one in findings if one["what"] == what}:
            assert detail.startswith(f"allow {permission.action} on arn:aws:"), detail
            assert what.removeprefix(f"{permission.action} on ") in lacking


BREAKAGES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "no redrive policy": ("queue", "sqs", "set_queue_attributes", {"RedrivePolicy": ""}),
    "visibility time-out is 900 s": (
        "queue", "sqs", "set_queue_attributes", {"VisibilityTimeout": "900"}
    ),
    "less than a day": ("queue", "sqs", "set_queue_attributes", {"MessageRetentionPeriod": "3600"}),
    "dead letters are kept no longer": (
        "dead-letter queue", "sqs", "set_queue_attributes", {"MessageRetentionPeriod": "1209600"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", BREAKAGES)
async def test_a_queue_that_is_set_up_wrongly_is_told(victim: Patient, said: str) -> None:
    what, service, operation, attributes = BREAKAGES[said]
    await victim.owner(service, operation, QueueUrl=victim.stack.queue_url, Attributes=attributes)
    code, findings = await victim.looked_at()
    assert code == 1
    assert said in dict(failed(findings))[what]


async def test_a_bucket_that_tells_nobody_is_told(victim: Patient) -> None:
    bucket = victim.stack.uploads_bucket
    await victim.owner(
        "s3",
        "put_bucket_notification_configuration",
        Bucket=bucket,
        NotificationConfiguration={},
    )
    code, findings = await victim.looked_at()
    assert code == 1
    assert "not told of s3:ObjectCreated:*" in dict(failed(findings))["bucket notification"]


async def test_a_bucket_without_versions_is_told(victim: Patient) -> None:
    await victim.owner(
        "s3",
        "put_bucket_versioning",
        Bucket=victim.stack.uploads_bucket,
        VersioningConfiguration={"Status": "Suspended"},
    )
    _, findings = await victim.looked_at()
    assert "versioning is off" in dict(failed(findings))["bucket versioning"]


async def test_an_origin_that_may_call_the_api_but_not_upload_is_told(patient: Patient) -> None:
    origins = "http://localhost:3000,https://app.example.com"
    _, findings = await patient.looked_at(SAFELIGHT_CORS_ORIGINS=origins)
    told = dict(failed(findings))["bucket CORS"]
    assert "pages of https://app.example.com may call the api, but not POST" in told
    assert "localhost" not in told


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("SAFELIGHT_TABLE", "nobody-knows", "table"),
        ("SAFELIGHT_UPLOADS_BUCKET", "nobody-knows", "bucket versioning"),
        ("SAFELIGHT_TOPIC_ARN", "arn:aws:sns:us-east-1:000000000000:nobody-knows", "topic"),
        ("SAFELIGHT_MAX_RECEIVES", "5", "queue"),
    ],
)
async def test_a_name_that_is_wrong_is_told(
    patient: Patient, variable: str, value: str, what: str
) -> None:
    code, findings = await patient.looked_at(**{variable: value})
    assert code == 1
    assert what in dict(failed(findings))


async def test_settings_that_are_missing_are_told_one_by_one(patient: Patient) -> None:
    code, findings = await patient.looked_at(
        "worker", SAFELIGHT_TABLE=None, SAFELIGHT_QUEUE_URL=None, SAFELIGHT_SLOTS="none"
    )
    told = " ".join(detail for _, detail in failed(findings))
    assert code == 1
    for name in ("SAFELIGHT_TABLE", "SAFELIGHT_QUEUE_URL", "SAFELIGHT_SLOTS"):
        assert name in told


async def test_a_key_that_nobody_issued_is_told(patient: Patient) -> None:
    nobody = Principal(access_key_id="AKIA0000000000000000", secret_access_key="guessed")
    code, findings = await patient.looked_at(who=nobody)
    assert code == 1
    assert [one["what"] for one in findings if one["state"] == "failed"] == ["who this is"]


async def test_a_region_that_nobody_names_is_told(patient: Patient) -> None:
    code, findings = await patient.looked_at(AWS_REGION=None, AWS_DEFAULT_REGION=None)
    assert code == 1
    assert "region" in failed(findings)[0][1]


def answered(date: str | None) -> dict[str, Any]:
    return {"ResponseMetadata": {"HTTPHeaders": {"date": date} if date else {}}}


@pytest.mark.parametrize(
    ("date", "state", "said"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", "ok", "0 s"),
        ("Fri, 15 Jan 2027 07:57:00 GMT", "failed", "180 s ahead of AWS"),
        ("Fri, 15 Jan 2027 08:03:00 GMT", "failed", "180 s behind AWS"),
        (None, "unknown", "tells no time"),
    ],
)
async def test_a_clock_that_is_off_is_told(date: str | None, state: str, said: str) -> None:
    finding = look_at_clock(answered(date), now=NOW)
    assert finding.state == state
    assert said in finding.detail
