"""`safelight doctor` on a backend that checks every call against the template's own policies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from ops.doctor.command import ROLES, doctor, look_at_clock
from ops.doctor.permissions import POLICIES, PROBES, RENDERS_POLICY, permissions_of, policy_of
from ops.local.account import Account, Principal
from ops.local.emulator import ROOT, Emulator
from ops.local.stack import LOCAL_PARAMETERS, create, create_principal
from tests.support.permissions import Permission, principal_without
from tests.support.permissions import permissions_of as granted

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOW = 1_800_000_000.0
_numbers = count(1)

Findings = list[dict[str, str]]


QUEUES = ("UploadsQueue", "RendersQueue", "CleanupQueue", "DeadLetterQueue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A stack of data.yaml and a principal for each program."""

    name: str
    outputs: Mapping[str, str]
    urls: Mapping[str, str]
    """Queue URLs by queue."""
    principals: Mapping[str, Principal]
    """Principals by policy."""


async def deploy(account: Account, name: str) -> Deployment:
    outputs = await create(account, name=name, parameters=LOCAL_PARAMETERS)
    async with account.client("sqs") as sqs:
        answers = [await sqs.get_queue_url(QueueName=outputs[f"{one}Name"]) for one in QUEUES]
    principals = {
        policy: await create_principal(
            account, f"{name}-{policy}", policy_arn=outputs[f"{policy}Arn"]
        )
        for policy in (*POLICIES.values(), RENDERS_POLICY)
    }
    urls = {name: one["QueueUrl"] for name, one in zip(QUEUES, answers, strict=True)}
    return Deployment(name=name, outputs=outputs, urls=urls, principals=principals)


class Patient:
    """A deployment that the doctor can examine."""

    def __init__(
        self,
        emulator: Emulator,
        stack: Deployment,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.stack = stack
        self._emulator, self._monkeypatch, self._capsys = emulator, monkeypatch, capsys

    async def looked_at(
        self,
        role: str | None = None,
        who: Principal | None = None,
        worker_role: str = "uploads",
        **changes: str | None,
    ) -> tuple[int, Findings]:
        """Run the doctor as a program or as the owner; return exit code and findings."""
        stack = self.stack
        if who is None:
            who = stack.principals[policy_of(role, worker_role)] if role else self._emulator.root
        own = {"uploads": "UploadsQueue", "renders": "RendersQueue"}[worker_role]
        environment: Mapping[str, str | None] = {
            "AWS_PROFILE": None,
            **who.environment(self._emulator.endpoint_url),
            "SAFELIGHT_UPLOADS_BUCKET": stack.outputs["UploadsBucketName"],
            "SAFELIGHT_ASSETS_BUCKET": stack.outputs["AssetsBucketName"],
            "SAFELIGHT_TABLE": stack.outputs["TableName"],
            "SAFELIGHT_ID_SECRET": "s" * 32,
            "SAFELIGHT_WORKER_ROLE": worker_role,
            "SAFELIGHT_QUEUE_URL": stack.urls[own],
            "SAFELIGHT_RENDERS_QUEUE_URL": None if role == "worker" else stack.urls["RendersQueue"],
            "SAFELIGHT_CLEANUP_QUEUE_URL": stack.urls["CleanupQueue"],
            "SAFELIGHT_DEAD_LETTER_QUEUE_URL": stack.urls["DeadLetterQueue"],
            "SAFELIGHT_TOPIC_ARN": stack.outputs["TopicArn"],
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
async def standing(emulator: Emulator) -> Deployment:
    return await deploy(emulator.account, "doctor")


@pytest.fixture
def patient(emulator: Emulator, standing: Deployment, monkeypatch, capsys) -> Patient:
    """Return the deployment that no test changes."""
    return Patient(emulator, standing, monkeypatch, capsys)


@pytest_asyncio.fixture(loop_scope="session")
async def victim(emulator: Emulator, monkeypatch, capsys) -> Patient:
    """Deploy a stack of the test's own, which it may break."""
    stack = await deploy(emulator.account, f"doctor-{next(_numbers)}")
    return Patient(emulator, stack, monkeypatch, capsys)


def failed(findings: Findings) -> list[tuple[str, str]]:
    return [(one["what"], one["detail"]) for one in findings if one["state"] == "failed"]


async def test_every_permission_of_every_policy_has_a_probe() -> None:
    for policy in (*POLICIES.values(), RENDERS_POLICY):
        assert set(permissions_of(policy)) <= set(PROBES)
        assert len(permissions_of(policy)) >= len(granted(policy))


@pytest.mark.parametrize(
    ("role", "worker_role"), [*((role, "uploads") for role in ROLES), ("worker", "renders")]
)
async def test_a_role_with_its_policy_is_well(
    patient: Patient, role: str, worker_role: str
) -> None:
    code, findings = await patient.looked_at(role, worker_role=worker_role)
    assert failed(findings) == []
    assert code == 0
    tried = [one for one in findings if one["area"] == "permission"]
    assert {one["state"] for one in tried} == {"ok"}
    assert len(tried) == len(permissions_of(policy_of(role, worker_role)))


async def test_an_owner_sees_that_all_is_set_up(patient: Patient) -> None:
    code, findings = await patient.looked_at()
    assert code == 0
    assert {one["state"] for one in findings} == {"ok"}
    queues = {"uploads queue", "renders queue", "cleanup queue"}
    parts = queues | {"bucket notification", "table", "topic"}
    assert {one["what"] for one in findings} >= parts


async def test_a_worker_looks_at_its_own_queue_and_at_no_other(patient: Patient) -> None:
    for worker_role, other in (("uploads", "renders"), ("renders", "uploads")):
        _, findings = await patient.looked_at("worker", worker_role=worker_role)
        what = {one["what"] for one in findings}
        assert f"{worker_role} queue" in what
        assert f"{other} queue" not in what


async def test_a_worker_on_the_queue_of_the_other_role_is_told(patient: Patient) -> None:
    """The worker's policy is for its own queue, but its settings name the other."""
    url = patient.stack.urls["UploadsQueue"]
    code, findings = await patient.looked_at(
        "worker", worker_role="renders", SAFELIGHT_QUEUE_URL=url
    )
    assert code == 1
    refused = dict(failed(findings))["sqs:ReceiveMessage on RendersQueue"]
    assert refused.startswith("allow sqs:ReceiveMessage on arn:aws:sqs:")


async def test_an_uploads_queue_that_lets_others_send_is_told(victim: Patient) -> None:
    url = victim.stack.urls["UploadsQueue"]
    answer = await victim.owner("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    policy = json.loads(answer["Attributes"]["Policy"])
    kept = [one for one in policy["Statement"] if one["Effect"] == "Allow"]
    attributes = {"Policy": json.dumps({**policy, "Statement": kept})}
    await victim.owner("sqs", "set_queue_attributes", QueueUrl=url, Attributes=attributes)
    code, findings = await victim.looked_at()
    assert code == 1
    assert "does not deny sqs:SendMessage" in dict(failed(findings))["uploads queue"]


async def test_a_worker_has_no_right_to_look_at_the_bucket_and_says_so(patient: Patient) -> None:
    _, findings = await patient.looked_at("worker")
    (finding,) = [one for one in findings if one["what"] == "bucket notification"]
    assert finding["state"] == "unknown"
    assert "s3:GetBucketNotification" in finding["detail"]


async def test_it_leaves_nothing_behind(victim: Patient) -> None:
    stack = victim.stack
    before = [await held(victim, url) for url in stack.urls.values()]
    for role in ROLES:
        await victim.looked_at(role)
    await victim.looked_at("worker", worker_role="renders")
    after = [await held(victim, url) for url in stack.urls.values()]
    assert after == before
    for bucket in (stack.outputs["UploadsBucketName"], stack.outputs["AssetsBucketName"]):
        versions = await victim.owner("s3", "list_object_versions", Bucket=bucket)
        assert not versions.keys() & {"Versions", "DeleteMarkers"}
    assert not (await victim.owner("dynamodb", "scan", TableName=stack.outputs["TableName"]))[
        "Count"
    ]


async def held(victim: Patient, url: str) -> dict[str, str]:
    answer = await victim.owner("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
    return {k: v for k, v in answer["Attributes"].items() if k.startswith("Approximate")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "permission",
    [one for policy in (*POLICIES.values(), RENDERS_POLICY) for one in granted(policy)],
    ids=str,
)
async def test_the_one_permission_that_is_missing_is_named(
    emulator: Emulator, patient: Patient, permission: Permission
) -> None:
    role, worker_role = {
        RENDERS_POLICY: ("worker", "renders"),
        **{policy: (role, "uploads") for role, policy in POLICIES.items()},
    }[permission.policy]
    who = await principal_without(emulator.account, permission, stack=patient.stack.name)
    code, findings = await patient.looked_at(role, who, worker_role)
    granted_here = permissions_of(permission.policy)
    lacking = {one.resource for one in granted_here if one.action == permission.action}
    named = {detail for _, detail in failed(findings)}
    assert code == 1
    assert named
    for what, detail in failed(findings):
        if "permission" in {one["area"] for one in findings if one["what"] == what}:
            assert detail.startswith(f"allow {permission.action} on arn:aws:"), detail
            assert what.removeprefix(f"{permission.action} on ") in lacking


BREAKAGES: dict[str, tuple[str, str, dict[str, str]]] = {
    "no redrive policy": ("uploads queue", "UploadsQueue", {"RedrivePolicy": ""}),
    "visibility time-out is 900 s": (
        "uploads queue", "UploadsQueue", {"VisibilityTimeout": "900"}
    ),
    "visibility time-out is 600 s": (
        "cleanup queue", "CleanupQueue", {"VisibilityTimeout": "600"}
    ),
    "less than a day": ("uploads queue", "UploadsQueue", {"MessageRetentionPeriod": "3600"}),
    "dead letters are kept no longer": (
        "dead-letter queue", "UploadsQueue", {"MessageRetentionPeriod": "1209600"}
    ),
    "dead letters of CleanupQueue go to None": (
        "dead-letter queue", "CleanupQueue", {"RedrivePolicy": ""}
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", BREAKAGES)
async def test_a_queue_that_is_set_up_wrongly_is_told(victim: Patient, said: str) -> None:
    what, queue, attributes = BREAKAGES[said]
    url = victim.stack.urls[queue]
    await victim.owner("sqs", "set_queue_attributes", QueueUrl=url, Attributes=attributes)
    code, findings = await victim.looked_at()
    assert code == 1
    assert said in dict(failed(findings))[what]


async def test_a_bucket_that_tells_nobody_is_told(victim: Patient) -> None:
    bucket = victim.stack.outputs["UploadsBucketName"]
    await victim.owner(
        "s3",
        "put_bucket_notification_configuration",
        Bucket=bucket,
        NotificationConfiguration={},
    )
    code, findings = await victim.looked_at()
    assert code == 1
    assert "no s3:ObjectCreated:* events" in dict(failed(findings))["bucket notification"]


async def test_a_bucket_without_versions_is_told(victim: Patient) -> None:
    await victim.owner(
        "s3",
        "put_bucket_versioning",
        Bucket=victim.stack.outputs["UploadsBucketName"],
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
        ("SAFELIGHT_MAX_RECEIVES", "5", "uploads queue"),
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
    assert [one["what"] for one in findings if one["state"] == "failed"] == ["identity"]


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
        (None, "unknown", "no Date header"),
    ],
)
async def test_a_clock_that_is_off_is_told(date: str | None, state: str, said: str) -> None:
    finding = look_at_clock(answered(date), now=NOW)
    assert finding.state == state
    assert said in finding.detail
