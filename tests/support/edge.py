"""edge.yaml's distribution in the embedded CloudFront, which runs the function and asks origins.

It keeps nothing, reads no bucket and knows no origin groups: what edge.yaml asks of the bucket
first goes to the api at once, as it does where the bucket has no such asset.
"""

from typing import Any

from ops.local.account import Account
from tests.support.templates import Resolved

TOLD = (
    "CacheBehaviors", "Comment", "CustomErrorResponses", "DefaultCacheBehavior", "Enabled",
    "OriginGroups", "Origins",
)  # fmt: skip
"""What the embedded CloudFront is told of it; the rest are certificates and prices."""


def as_the_api_has_it(node: Any) -> Any:
    """Give every list its length, as CloudFront's API wants it and CloudFormation does not."""
    if isinstance(node, list):
        return {"Quantity": len(node), "Items": [as_the_api_has_it(one) for one in node]}
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Quantity", "Items"}:
        return {**node, "Items": [as_the_api_has_it(one) for one in node["Items"]]}
    return {key: as_the_api_has_it(one) for key, one in node.items()}


async def distribute(account: Account, port: int) -> str:
    """Make function, cache policies and distribution, with the api on a port; give its host."""
    template = Resolved("edge", ApiHost="localhost")
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
        for name in ("PicturesPolicy", "AssetsPolicy"):
            config = as_the_api_has_it(template.properties(name)["CachePolicyConfig"])
            policy = await cloudfront.create_cache_policy(CachePolicyConfig=config)
            made[f"<{name}>"] = policy["CachePolicy"]["Id"]
        whole = template.properties("Distribution")["DistributionConfig"]
        config = as_the_api_has_it({key: whole[key] for key in TOLD})
        answer = await cloudfront.create_distribution(
            DistributionConfig=_here(config, made, port) | {"CallerReference": "tests"}
        )
    host: str = answer["Distribution"]["DomainName"]
    return host


def _here(config: dict[str, Any], made: dict[str, str], port: int) -> dict[str, Any]:
    """Put in what was made, and the api as it stands on this machine: without TLS."""
    assets, api = config["Origins"]["Items"]
    assets["DomainName"] = "assets.s3.us-east-1.amazonaws.com"
    for origin in (assets, api):
        origin.pop("OriginAccessControlId", None)
    api["CustomOriginConfig"] = {
        "HTTPPort": port,
        "HTTPSPort": 443,
        "OriginProtocolPolicy": "http-only",
    }
    for behaviour in (config["DefaultCacheBehavior"], *config["CacheBehaviors"]["Items"]):
        behaviour["TargetOriginId"] = "api"
        behaviour["CachePolicyId"] = made[behaviour["CachePolicyId"]]
        del behaviour["ResponseHeadersPolicyId"]
        for association in behaviour.get("FunctionAssociations", {}).get("Items", []):
            association["FunctionARN"] = made[association["FunctionARN"]]
    return config
