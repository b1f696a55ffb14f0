"""Sources in buckets of other accounts, read with a role; policies enforced."""

import json

import pytest

from ops.local.emulator import Emulator
from ops.local.stack import create_principal
from safelight.aws.session import connect
from safelight.aws.settings import AwsSettings
from safelight.errors import Misconfigured

pytestmark = pytest.mark.asyncio(loop_scope="session")

SETTINGS = AwsSettings(uploads_bucket="uploads", assets_bucket="assets", table="images")
BUCKET, KEY = "somebody-elses", "public/a b.jpg"


def policy(action: list[str], resource: list[str]) -> dict[str, object]:
    allow = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [allow]}


async def test_another_bucket_is_read_by_its_role_and_by_nothing_less(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = policy(["sts:AssumeRole"], [])
    (statement,) = trust["Statement"]
    del statement["Resource"]
    statement["Principal"] = {"AWS": "*"}
    arns = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    async with emulator.account.client("iam") as iam, emulator.account.client("s3") as s3:
        await s3.create_bucket(Bucket=BUCKET)
        await s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"picture")
        role = await iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
        await iam.put_role_policy(
            RoleName="reader",
            PolicyName="read",
            PolicyDocument=json.dumps(policy(["s3:GetObject", "s3:ListBucket"], arns)),
        )
    arn = role["Role"]["Arn"]
    delivery = await create_principal(
        emulator.account, "delivers", document=policy(["sts:AssumeRole"], [arn])
    )
    for name, value in delivery.environment(emulator.endpoint_url).items():
        monkeypatch.setenv(name, value)
    async with connect(SETTINGS) as aws:
        with pytest.raises(Misconfigured):
            await (await aws.sources(BUCKET)).current_version(KEY)
        by_role = await aws.sources(BUCKET, role_arn=arn, external_id="of us")
        version = await by_role.current_version(KEY)
        assert version is not None
        assert version.size_bytes == 7
        assert await by_role.current_version("public/another.jpg") is None
