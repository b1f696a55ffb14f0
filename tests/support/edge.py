"""Imitates edge.yaml's distribution in two ways that together cover it.

`distribute` creates it in the embedded CloudFront, which runs the function and the cache policies
but supports neither buckets nor origin groups, so all requests go to the api. `Edge` routes as
edge.yaml says, bucket first with failover, but runs no function and no cache.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import aiohttp
from botocore.exceptions import ClientError

from ops.local.account import Account
from tests.support.templates import Resolved

SUPPORTED = (
    "CacheBehaviors", "Comment", "CustomErrorResponses", "DefaultCacheBehavior", "Enabled",
    "OriginGroups", "Origins",
)  # fmt: skip
"""Properties that the embedded CloudFront is given; the rest are certificates and prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Answers as edge.yaml's distribution does: with the bucket's assets and the api's pictures."""

    http: aiohttp.ClientSession
    account: Account
    """Can read every object of the bucket, as the distribution may."""
    assets_bucket: str
    api_url: str

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Request the origins of the path's behaviour in turn; return status, headers and body."""
        config = Resolved("edge", ApiHost="localhost").properties("Distribution")
        config = config["DistributionConfig"]
        behaviour = next(
            (one for one in config["CacheBehaviors"] if _matches(one, path)),
            config["DefaultCacheBehavior"],
        )
        target = behaviour["TargetOriginId"]
        group = next((one for one in config["OriginGroups"]["Items"] if one["Id"] == target), None)
        if group is None:
            return await self._ask(target, path, headers)
        first, second = (one["OriginId"] for one in group["Members"]["Items"])
        answer = await self._ask(first, path, headers)
        if answer[0] in group["FailoverCriteria"]["StatusCodes"]["Items"]:
            return await self._ask(second, path, headers)
        return answer

    async def _ask(
        self, origin: str, path: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if origin == "assets":
            return await self._read(path)
        assert origin == "api", f"edge.yaml has an unknown origin {origin}"
        async with self.http.get(self.api_url + path, headers=headers) as answer:
            return answer.status, dict(answer.headers), await answer.read()

    async def _read(self, path: str) -> tuple[int, dict[str, str], bytes]:
        async with self.account.client("s3") as s3:
            try:
                answer = await s3.get_object(Bucket=self.assets_bucket, Key=path.removeprefix("/"))
            except ClientError as error:
                status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
                return status, {}, b""
            body = await answer["Body"].read()
        return 200, answer["ResponseMetadata"]["HTTPHeaders"], body


def _matches(behaviour: dict[str, Any], path: str) -> bool:
    return fnmatchcase(path.removeprefix("/"), behaviour["PathPattern"].removeprefix("/"))


def as_the_api_has_it(node: Any) -> Any:
    """Add the length to every list, as CloudFront's API needs and CloudFormation does not."""
    if isinstance(node, list):
        return {"Quantity": len(node), "Items": [as_the_api_has_it(one) for one in node]}
    if not isinstance(node, dict):
        return node
    if "Items" in node and node.keys() <= {"Quantity", "Items"}:
        return as_the_api_has_it(node["Items"])
    return {key: as_the_api_has_it(one) for key, one in node.items()}


async def distribute(account: Account, port: int, *, page: str) -> str:
    """Create function, policies and distribution for an api's port; return its host.

    `page` is the only origin that may read pictures: the guard drops a permission for all.
    """
    template = Resolved("edge", ApiHost="localhost", PictureCorsOrigins=page)
    made: dict[str, str] = {}
    async with account.client("cloudfront") as cloudfront:
        function = template.properties("Accept")
        answer = await cloudfront.create_function(
            Name=function["Name"],
            FunctionConfig=function["FunctionConfig"],
            FunctionCode=function["FunctionCode"].encode(),
        )
        await cloudfront.publish_function(Name=function["Name"], IfMatch=answer["ETag"])
        metadata = answer["FunctionSummary"]["FunctionMetadata"]
        made["<Accept.FunctionMetadata.FunctionARN>"] = metadata["FunctionARN"]
        for name in ("PicturesPolicy", "OptionsPolicy", "AssetsPolicy"):
            config = as_the_api_has_it(template.properties(name)["CachePolicyConfig"])
            policy = await cloudfront.create_cache_policy(CachePolicyConfig=config)
            made[f"<{name}>"] = policy["CachePolicy"]["Id"]
        config = as_the_api_has_it(template.properties("Headers")["ResponseHeadersPolicyConfig"])
        policy = await cloudfront.create_response_headers_policy(ResponseHeadersPolicyConfig=config)
        made["<Headers>"] = policy["ResponseHeadersPolicy"]["Id"]
        whole = template.properties("Distribution")["DistributionConfig"]
        config = as_the_api_has_it({key: whole[key] for key in SUPPORTED})
        answer = await cloudfront.create_distribution(
            DistributionConfig=_here(config, made, port) | {"CallerReference": "tests"}
        )
    host: str = answer["Distribution"]["DomainName"]
    return host.replace(".net", ".127.0.0.1")  # the emulator's domain instead of Amazon's


def _here(config: dict[str, Any], made: dict[str, str], port: int) -> dict[str, Any]:
    """Insert the created resources, and the api of this machine, which has no TLS."""
    assets, api = config["Origins"]["Items"]
    assets["DomainName"] = "assets.s3.us-east-1.amazonaws.com"
    for origin in (assets, api):
        origin.pop("OriginAccessControlId", None)
    api["CustomOriginConfig"] = {
        "HTTPPort": port,
        "HTTPSPort": 443,
        "OriginProtocolPolicy": "http-only",
    }
    api["CustomHeaders"] = api.pop("OriginCustomHeaders")  # its name in the API
    for behaviour in (config["DefaultCacheBehavior"], *config["CacheBehaviors"]["Items"]):
        behaviour["TargetOriginId"] = "api"
        behaviour["CachePolicyId"] = made[behaviour["CachePolicyId"]]
        behaviour["ResponseHeadersPolicyId"] = made[behaviour["ResponseHeadersPolicyId"]]
        for association in behaviour.get("FunctionAssociations", {}).get("Items", []):
            association["FunctionARN"] = made[association["FunctionARN"]]
    return config
