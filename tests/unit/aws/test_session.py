"""How clients are made: which region, which host, which signature."""

import json
import time
from base64 import b64decode
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import Loader

from safelight.aws.session import connect
from safelight.errors import Misconfigured

HEX = "0" * 64


def presigned(**changes):
    return {
        "key": "uploads/u/i",
        "content_type": "image/jpeg",
        "size_bytes": 5,
        "sha256": HEX,
        "expires_seconds": 900,
        **changes,
    }


async def post_url(settings) -> str:
    async with connect(settings) as aws:
        return (await (await aws.presigner()).post(**presigned())).url


async def put_url(settings) -> str:
    async with connect(settings) as aws:
        return (await (await aws.presigner()).put(**presigned())).url


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
async def test_on_aws_every_url_is_of_the_buckets_regional_host(standard_chain, settings, region):
    standard_chain.setenv("AWS_REGION", region)
    async with connect(settings) as aws:
        presigner = await aws.presigner()
        urls = [
            (await presigner.post(**presigned())).url,
            (await presigner.put(**presigned())).url,
        ]
        asset = (await presigner.get_asset(key="images/i", expires_seconds=60)).url
    assert {urlsplit(url).hostname for url in urls} == {f"the-uploads.s3.{region}.amazonaws.com"}
    assert urlsplit(asset).hostname == f"the-assets.s3.{region}.amazonaws.com"


async def test_urls_are_signed_with_all_that_matters(standard_chain, settings):
    query = parse_qs(urlsplit(await put_url(settings)).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["900"]
    assert set(query["X-Amz-SignedHeaders"][0].split(";")) == {
        "content-length",
        "content-type",
        "host",
        "x-amz-checksum-sha256",
    }


@pytest.mark.parametrize(("left", "seconds"), [(300, 300), (3600, 900)])
async def test_a_url_ends_when_its_credentials_do(standard_chain, settings, left, seconds):
    """botocore keeps credentials that end soon while it cannot renew them."""
    now = int(time.time())
    ends = datetime.fromtimestamp(now + left, UTC)
    standard_chain.setenv("AWS_SESSION_TOKEN", "token")
    standard_chain.setenv("AWS_CREDENTIAL_EXPIRATION", ends.isoformat())
    async with connect(settings) as aws:
        presigner = await aws.presigner()
        form, put = await presigner.post(**presigned()), await presigner.put(**presigned())
        asset = await presigner.get_asset(key="images/i", expires_seconds=900)
    for signed in (form, put, asset):
        assert now + seconds <= signed.expires_at <= min(int(time.time()) + 900, now + left)
    policy = json.loads(b64decode(form.fields["policy"]))
    assert datetime.fromisoformat(policy["expiration"]).timestamp() <= now + left + 1
    (expires,) = parse_qs(urlsplit(put.url).query)["X-Amz-Expires"]
    assert seconds - 5 <= int(expires) <= seconds


async def test_aws_region_wins_over_the_older_variable(standard_chain, settings):
    standard_chain.setenv("AWS_REGION", "eu-north-1")
    standard_chain.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert ".eu-north-1." in await post_url(settings)


async def test_the_older_region_variable_is_enough(standard_chain, settings):
    standard_chain.delenv("AWS_REGION")
    standard_chain.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert ".us-west-2." in await post_url(settings)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
async def test_an_endpoint_of_ones_own_has_the_bucket_in_the_path(
    standard_chain, settings, variable
):
    standard_chain.setenv(variable, "http://emulator:4566")
    assert await post_url(settings) == "http://emulator:4566/the-uploads"
    assert (await put_url(settings)).startswith("http://emulator:4566/the-uploads/uploads/u/i?")


async def test_clients_get_urls_of_the_public_address(standard_chain, settings):
    standard_chain.setenv("AWS_ENDPOINT_URL", "http://emulator:4566")
    public = settings.model_copy(update={"public_s3_endpoint_url": "http://localhost:9000"})
    assert await post_url(public) == "http://localhost:9000/the-uploads"


async def test_a_region_that_nobody_named_is_misconfigured(standard_chain, settings):
    standard_chain.delenv("AWS_REGION")
    standard_chain.delenv("AWS_DEFAULT_REGION", raising=False)
    async with connect(settings) as aws:
        with pytest.raises(Misconfigured, match="region"):
            await aws.queue("any")


async def test_a_profile_that_is_not_there_is_misconfigured(standard_chain, settings):
    standard_chain.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Misconfigured, match="nobody"):
        async with connect(settings) as aws:
            await aws.records()


async def test_credentials_that_nobody_gave_are_misconfigured(standard_chain, settings):
    standard_chain.delenv("AWS_ACCESS_KEY_ID")
    standard_chain.delenv("AWS_SECRET_ACCESS_KEY")
    async with connect(settings) as aws:
        with pytest.raises(Misconfigured, match="credentials"):
            await (await aws.records()).check()
        with pytest.raises(Misconfigured, match="credentials"):
            await (await aws.presigner()).put(**presigned())


async def test_a_buckets_endpoint_is_resolved_once_for_all_keys(standard_chain, settings):
    async with connect(settings) as aws:
        presigner = await aws.presigner()
        urls = [(await presigner.put(**presigned(key="uploads/u/one"))).url]
        resolved = EndpointProvider.resolve_endpoint.cache_info().misses
        urls.append((await presigner.put(**presigned(key="uploads/u/two"))).url)
    assert EndpointProvider.resolve_endpoint.cache_info().misses == resolved
    assert [urlsplit(url).path for url in urls] == ["/uploads/u/one", "/uploads/u/two"]


def test_no_rule_of_s3s_endpoints_asks_for_a_key():
    rules = Loader().load_service_model("s3", "endpoint-rule-set-1")["rules"]
    assert {"ref": "Bucket"} in _values(rules)
    assert {"ref": "Key"} not in _values(rules)


def _values(document):
    """List every value in a document, however deep."""
    inner = document.values() if isinstance(document, dict) else document
    nested = [value for value in inner if isinstance(value, dict | list)]
    return [*inner, *(found for value in nested for found in _values(value))]
