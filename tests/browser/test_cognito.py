"""Users sign in on the pages with accounts of Amazon Cognito, set up as docs/guide/pages.md says.

Cognito is that of an embedded AWS beside the system's own: the API needs its address at the start.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import unused_port
from playwright.async_api import Browser, Page, expect

from ops.local.account import Account
from ops.local.emulator import Emulator
from ops.local.system import LocalSystem
from tests.support import visitor
from tests.support.commands import commands_of
from tests.support.visitor import visit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.starts,
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
]

ROOT = Path(__file__).parents[2]
CAT = ROOT / "samples" / "cat-451px.jpg"
ANN = "ann@example.com"
FIRST, PASSWORD = "For-the-first-time-1", "Of-her-own-choice-2"
REFUSED = r"Failed to load resource: the server responded with a status of 40[134]"
FACTS = 'for name in POOL CLIENT ISSUER; do echo "$name=${!name}"; done'


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A user pool with an account for Ann, whose password is temporary."""

    account: Account
    id: str
    client_id: str
    secret: str
    settings: dict[str, str]
    """The variables of an API whose users sign in with the accounts of the pool."""

    async def call(self, operation: str, **arguments: object) -> dict:
        """Call Cognito for this pool."""
        async with self.account.client("cognito-idp") as cognito:
            return await getattr(cognito, operation)(UserPoolId=self.id, **arguments)

    async def subject(self, username: str) -> str:
        user = await self.call("admin_get_user", Username=username)
        return {one["Name"]: one["Value"] for one in user["UserAttributes"]}["sub"]


@contextlib.asynccontextmanager
async def pool(desk: Path, pages_url: str, *, secret: bool = False) -> AsyncIterator[Pool]:
    """Make a pool with the commands of the guide, word for word apart from the pages' address."""
    made, print_secret = commands_of(ROOT / "docs" / "guide" / "pages.md")
    made = made.replace("https://pictures.example.com", pages_url)
    if secret:
        made = made.replace("--client-name pages", "--client-name pages --generate-secret")
    (desk / "aws").write_text(
        f'#!/bin/bash\ncd {ROOT} && exec {sys.executable} -m tests.support.aws_cli "$@"\n'
    )
    (desk / "aws").chmod(0o755)
    script = f"set -euo pipefail\n{made}\n{FACTS}\necho SECRET=$(\n{print_secret}\n)"
    async with Emulator(directory=desk) as emulator:
        done = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", script], capture_output=True, text=True, check=False,
            env={
                **emulator.root.environment(emulator.endpoint_url),
                "PATH": f"{desk}:{os.environ['PATH']}",
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        facts = dict(re.findall(r"^([A-Z]+)=(.*)$", done.stdout, re.MULTILINE))
        configuration = f"{emulator.endpoint_url}/{facts['POOL']}/.well-known/openid-configuration"
        yield Pool(
            account=emulator.account,
            id=facts["POOL"],
            client_id=facts["CLIENT"],
            secret=facts["SECRET"],
            settings={
                "SAFELIGHT_PORT": pages_url.rpartition(":")[2],
                "SAFELIGHT_PAGES_URL": pages_url,
                "SAFELIGHT_OIDC_ISSUER": facts["ISSUER"],
                "SAFELIGHT_OIDC_CLIENT_ID": facts["CLIENT"],
                "SAFELIGHT_OIDC_AUDIENCE": facts["CLIENT"],
                "SAFELIGHT_OIDC_DISCOVERY_URL": configuration,
            },
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with visitor.chromium() as running:
        yield running


@pytest.fixture
def pages_url() -> str:
    """Return the origin of pages that Cognito accepts without TLS."""
    return f"http://localhost:{unused_port()}"


async def sign_in(page: Page, password: str) -> None:
    """Type name and password on the page of Cognito."""
    await page.get_by_label("Username").fill(ANN)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_an_account_opens_the_page_that_was_asked_for(
    browser: Browser, pages_url: str, tmp_path: Path
) -> None:
    async with (
        pool(tmp_path, pages_url) as cognito,
        LocalSystem(delivers=True, pages=True, api_settings=cognito.settings) as system,
        visit(browser, f"{pages_url}/ui/?tag=cats", allowed=REFUSED) as page,
    ):
        await cognito.call("admin_set_user_password", Username=ANN, Password=FIRST, Permanent=False)
        await page.get_by_role("link", name="Sign in with your account").click()
        await sign_in(page, "wrong")
        await expect(page.get_by_text("Incorrect username or password.")).to_be_visible()
        await sign_in(page, FIRST)
        await page.get_by_label("New password", exact=True).fill(PASSWORD)
        await page.get_by_label("Confirm new password").fill(PASSWORD)
        await page.get_by_role("button", name="Update password").click()

        await expect(page).to_have_url(f"{pages_url}/ui/?tag=cats")
        await expect(page.locator("form.who")).to_contain_text(ANN)
        session = await page.evaluate("async () => await (await fetch('/v1/session')).json()")
        user_id = f"oidc:{await cognito.subject(ANN)}"
        assert (session["userId"], session["name"]) == (user_id, ANN)
        assert [cookie["name"] for cookie in await page.context.cookies()] == ["safelight"]

        await page.goto(f"{pages_url}/ui/")
        await page.locator("input[type=file]").set_input_files(CAT)
        row = page.locator(".row").filter(has_text=CAT.name)
        await expect(row.locator(".word")).to_have_text(re.compile("^Completed"))
        async with system.account.client("s3") as s3:
            listed = await s3.list_objects_v2(Bucket=system.stack.uploads_bucket)
        (source,) = listed["Contents"]
        assert source["Key"].startswith(f"uploads/{user_id.replace(':', '%3A')}/")

        await page.get_by_role("button", name="Sign out").click()
        await expect(page).to_have_url(re.compile(r"/ui/sign-in\?to=%2Fui%2F$"))
        assert await page.evaluate("async () => (await fetch('/v1/session')).status") == 401


async def test_a_client_with_a_secret_signs_users_in(
    browser: Browser, pages_url: str, tmp_path: Path
) -> None:
    async with pool(tmp_path, pages_url, secret=True) as cognito:
        settings = {**cognito.settings, "SAFELIGHT_OIDC_CLIENT_SECRET": cognito.secret}
        await cognito.call(
            "admin_set_user_password", Username=ANN, Password=PASSWORD, Permanent=True
        )
        async with (
            LocalSystem(workers=0, pages=True, api_settings=settings),
            visit(browser, f"{pages_url}/ui/", allowed=REFUSED) as page,
        ):
            await page.get_by_role("link", name="Sign in with your account").click()
            await sign_in(page, PASSWORD)
            await expect(page).to_have_url(f"{pages_url}/ui/")
            await expect(page.locator("form.who")).to_contain_text(ANN)


async def test_tokens_of_another_client_name_the_same_user(pages_url: str, tmp_path: Path) -> None:
    async with pool(tmp_path, pages_url) as cognito, aiohttp.ClientSession() as http:
        await cognito.call(
            "admin_set_user_password", Username=ANN, Password=PASSWORD, Permanent=True
        )
        app = await cognito.call(
            "create_user_pool_client",
            ClientName="app",
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )
        client_id = app["UserPoolClient"]["ClientId"]
        answer = await cognito.call(
            "admin_initiate_auth",
            ClientId=client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": ANN, "PASSWORD": PASSWORD},
        )
        tokens = answer["AuthenticationResult"]
        user_id = f"oidc:{await cognito.subject(ANN)}"
        for audience, status in (
            (f"{cognito.client_id},{client_id}", 200),
            (cognito.client_id, 401),
        ):
            settings = {**cognito.settings, "SAFELIGHT_OIDC_AUDIENCE": audience}
            async with LocalSystem(workers=0, pages=True, api_settings=settings) as system:
                for kind in ("IdToken", "AccessToken"):
                    headers = {"Authorization": f"Bearer {tokens[kind]}"}
                    async with http.get(f"{system.api_url}/v1/session", headers=headers) as got:
                        session = await got.json()
                    assert got.status == status, session
                    assert session.get("userId") == (user_id if status == 200 else None)
