"""`safelight doctor`: checks settings, credentials, clock, permissions and setup, in that order."""

import time
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

from api.settings import ApiSettings
from ops.doctor.findings import Finding, report
from ops.doctor.permissions import POLICIES, RENDERING, look_at_permissions
from ops.doctor.places import DoctorSettings, Places
from ops.doctor.setup import look_at_setup
from safelight.aws.failures import FOREIGN
from safelight.aws.session import Aws, connect
from safelight.errors import SafelightError, Unavailable
from safelight.imaging.pool import RenderPool
from safelight.presets import InvalidPresets
from safelight.settings import InvalidSettings, Settings
from worker.cleanup.settings import CleanupSettings
from worker.settings import WorkerSettings

ROLES = tuple(POLICIES)
_SETTINGS: dict[str, type[Settings]] = {
    "worker": WorkerSettings,
    "api": ApiSettings,
    "delivery": ApiSettings,
    "cleanup": CleanupSettings,
}
MOST_SKEW_SECONDS = 60
"""The largest accepted clock skew. AWS refuses signatures that are five minutes off."""


async def doctor(role: str | None, *, as_json: bool) -> int:
    """Run every possible check, with a role those of its program; return 1 if any failed."""
    findings = look_at_configuration(role)
    if role in RENDERING:
        findings.append(await look_at_confinement())
    try:
        settings = DoctorSettings.load()
    except InvalidSettings as error:
        if role is None:
            findings += [_failed("configuration", "settings", fault) for fault in error.faults]
        return report(findings, as_json=as_json)
    try:
        async with connect(settings) as aws:
            findings += await _look_at_aws(role, settings, aws)
    except SafelightError as error:  # without a region or profile nothing can be checked
        findings.append(_failed("credentials", "AWS's standard chain", str(error)))
    return report(findings, as_json=as_json)


def look_at_configuration(role: str | None) -> list[Finding]:
    """Load the settings of a role as its program would."""
    if role is None:
        return []
    try:
        settings = _SETTINGS[role].load()
        if isinstance(settings, WorkerSettings):
            settings.load_presets()
    except InvalidSettings as error:
        return [_failed("configuration", f"settings of {role}", fault) for fault in error.faults]
    except InvalidPresets as error:
        return [_failed("configuration", "presets", str(error))]
    return [Finding(area="configuration", what=f"settings of {role}")]


async def look_at_confinement() -> Finding:
    """Start a render child and check how it is confined."""
    finding = Finding(area="confinement", what="render children")
    try:
        async with RenderPool(slots=1) as pool:
            return finding_of(finding, pool.gaps)
    except Unavailable as error:
        return replace(finding, state="failed", detail=str(error))


def finding_of(finding: Finding, gaps: Sequence[str]) -> Finding:
    """Judge the missing confinements. Landlock is a second line that not every kernel has."""
    if not gaps:
        return replace(finding, detail="seccomp and Landlock are on")
    detail = "; ".join(f"no {gap}" for gap in gaps)
    if any(gap.startswith("seccomp") for gap in gaps):
        advice = "install libseccomp2, and use a kernel that has CONFIG_SECCOMP_FILTER"
        return replace(finding, state="failed", detail=f"{detail}: {advice}")
    return replace(finding, detail=f"seccomp is on; {detail}")


async def _look_at_aws(role: str | None, settings: DoctorSettings, aws: Aws) -> list[Finding]:
    who = Finding(area="credentials", what="identity")
    sts = await aws.client("sts")
    try:
        answer = await sts.get_caller_identity()
    except FOREIGN as error:
        return [replace(who, state="failed", detail=str(error))]
    places = Places(
        settings=settings,
        partition=answer["Arn"].split(":")[1],
        region=sts.meta.region_name,
        account=answer["Account"],
        s3=await aws.client("s3"),
        dynamodb=await aws.client("dynamodb"),
        sqs=await aws.client("sqs"),
        sns=await aws.client("sns"),
        rekognition=await aws.client("rekognition"),
        cloudfront=await aws.client("cloudfront"),
    )
    return [
        replace(who, detail=f"{answer['Arn']} at {places.sqs.meta.endpoint_url}"),
        look_at_clock(answer, now=time.time()),
        *(await look_at_permissions(role, places) if role else []),
        *await look_at_setup(places),
    ]


def look_at_clock(answer: Any, *, now: float) -> Finding:
    """Compare this machine's clock with the Date header of an AWS response."""
    finding = Finding(area="clock", what="this machine")
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        return replace(finding, state="unknown", detail="the response has no Date header")
    skew = now - parsedate_to_datetime(date).timestamp()
    detail = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS"
    if abs(skew) > MOST_SKEW_SECONDS:
        return replace(finding, state="failed", detail=f"{detail}: synchronize it (NTP, chrony)")
    return replace(finding, detail=detail)


def _failed(area: str, what: str, detail: str) -> Finding:
    return Finding(area=area, what=what, state="failed", detail=detail)
