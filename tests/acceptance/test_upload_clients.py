"""Pictures uploaded by curl and boto3, also when the answer to an upload is lost."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from itertools import chain
from pathlib import Path
from typing import Any

import boto3
import pytest
import pytest_asyncio
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from yarl import URL

from ops.local.system import LocalSystem
from tests.acceptance.test_main_job import until_empty
from tests.support.faults.proxy import FaultProxy, Rule, answer_lost
from tests.support.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
CAT = ROOT / "samples" / "cat-451px.jpg"
SHA256 = hashlib.sha256(CAT.read_bytes()).hexdigest()
REQUESTS: dict[str, dict[str, Any]] = {
    "a form": {"method": "POST"},
    "a form with a checksum": {"method": "POST", "sha256": SHA256},
    "a PUT": {"method": "PUT"},
    "a PUT with a checksum": {"method": "PUT", "sha256": SHA256},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxy(system: LocalSystem) -> AsyncIterator[FaultProxy]:
    """Stand between a client and the bucket. In the end, wait for what was uploaded twice."""
    async with FaultProxy(system.emulator.endpoint_url) as proxy:
        yield proxy
    await until_empty(system)


async def curl(ticket: dict[str, Any], file: Path, *options: str) -> tuple[int, str]:
    """Upload a file as curl's users do; return curl's exit code and the last status."""
    if ticket["method"] == "POST":
        given = [("--form-string", f"{name}={value}") for name, value in ticket["fields"].items()]
        given.append(("--form", f"file=@{file}"))
    else:
        given = [("--header", f"{name}: {value}") for name, value in ticket["headers"].items()]
        given.append(("--upload-file", str(file)))
    silent = ("--silent", "--output", "/dev/null", "--write-out", "%{http_code}")
    process = await asyncio.create_subprocess_exec(
        *("curl", *silent, *options, *chain.from_iterable(given), ticket["url"]),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.needs("curl")
@pytest.mark.parametrize("how", REQUESTS)
async def test_curl_uploads_what_the_answer_says(alice: Person, how: str) -> None:
    ticket = await alice.ask(CAT.read_bytes(), content_type="", **REQUESTS[how])
    code, status = await curl(ticket, CAT)
    assert (code, status) == (0, "201" if ticket["method"] == "POST" else "200")
    assert (await alice.settled(ticket["imageId"]))["status"] == "completed"


@pytest.mark.needs("curl")
async def test_curl_repeats_an_upload_whose_answer_was_lost(
    alice: Person, proxy: FaultProxy
) -> None:
    async def repeated(how: str) -> str:
        ticket = await alice.ask(CAT.read_bytes(), **REQUESTS[how])
        lost = proxy.add(Rule("*", answer_lost, text=ticket["imageId"], times=1))
        bucket, detour = URL(ticket["url"]).authority, URL(proxy.url).authority
        retries = ("--retry", "2", "--retry-all-errors", "--connect-to", f"{bucket}:{detour}")
        _, status = await curl(ticket, CAT, *retries)
        assert (lost.used, lost.seen) == (1, 2)
        assert (await alice.settled(ticket["imageId"]))["status"] == "completed"
        return status

    statuses = await asyncio.gather(*map(repeated, REQUESTS))
    assert dict(zip(REQUESTS, statuses, strict=True)) == {
        "a form": "201",
        "a form with a checksum": "201",
        "a PUT": "200",
        "a PUT with a checksum": "200",
    }


@pytest.mark.parametrize("multipart", [False, True])
async def test_boto3_uploads_into_a_users_folder_also_when_answers_are_lost(
    system: LocalSystem, alice: Person, proxy: FaultProxy, multipart: bool
) -> None:
    key = f"uploads/key%3Aalice/from boto3/{multipart}.jpg"
    last = "POST" if multipart else "PutObject"  # of a multipart upload: begin, part, complete
    lost = proxy.add(Rule(last, answer_lost, text=key, first=2 if multipart else 1, times=1))
    root, bucket = system.emulator.root, system.stack.uploads_bucket

    def upload() -> None:
        s3 = boto3.client(
            "s3",
            endpoint_url=proxy.url,
            region_name="us-east-1",
            aws_access_key_id=root.access_key_id,
            aws_secret_access_key=root.secret_access_key,
            config=Config(s3={"addressing_style": "path"}, retries={"mode": "standard"}),
        )
        parts = TransferConfig(multipart_threshold=1 if multipart else 10**9)
        s3.upload_file(str(CAT), bucket, key, Config=parts)

    await asyncio.to_thread(upload)
    assert lost.used == 1
    image_id = system.stack.image_ids.of_object(bucket=bucket, key=key)
    async with asyncio.timeout(60):
        while (await alice.image(image_id))[0] == 404:  # no request of the API made its record
            await asyncio.sleep(0.05)
    told = await alice.settled(image_id)
    assert (told["status"], told["sha256"]) == ("completed", SHA256)
