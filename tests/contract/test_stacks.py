"""The stacks besides data.yaml, created on the embedded AWS without resources unknown to it.

The missing ones are tested elsewhere: scaling and its alarms in tests/unit/test_scaling.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ops.local.account import REGION
from ops.local.emulator import Emulator
from ops.local.stack import LOCAL_PARAMETERS, create, create_principal
from tests.support.templates import for_emulator

UNKNOWN = frozenset(
    {
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::EC2::EIP",
        "AWS::EC2::NatGateway",
        "AWS::EC2::SecurityGroupIngress",
    }
)
PROGRAMS = {"Image": "registry/safelight@sha256:" + "0" * 64, "MetricsDiscovery": "true"}
WEB = {
    "CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/api",
    "OidcIssuer": "https://issuer",
    "OidcAudience": "safelight",
}
WORKERS = {
    "WorkerSpot": "false",  # the embedded AWS reads a base that is a parameter as a text
}


async def make(
    emulator: Emulator, folder: Path, template: str, name: str, **parameters: str
) -> dict[str, str]:
    path = folder / f"{template}.json"
    path.write_text(json.dumps(for_emulator(template, UNKNOWN)))
    return await create(emulator.account, name=name, template=path, parameters=parameters)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def data(emulator: Emulator) -> dict[str, str]:
    """Deploy data.yaml as `data`; return its outputs."""
    return await create(emulator.account, name="data", parameters=LOCAL_PARAMETERS)


async def make_programs(
    emulator: Emulator, folder: Path, name: str, network: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Create the web stack and the workers stack on a network."""
    web = await make(
        emulator, folder, "web", f"{name}-web", DataStack="data", **PROGRAMS, **WEB, **network
    )
    of_tasks = {key: one for key, one in network.items() if key != "PublicSubnetIds"}
    workers = await make(
        emulator, folder, "workers", f"{name}-workers",
        DataStack="data", WebStack=f"{name}-web", **PROGRAMS, **WORKERS, **of_tasks,
    )  # fmt: skip
    return web, workers


async def answer(emulator: Emulator, service: str, operation: str, **arguments: Any) -> Any:
    async with emulator.account.client(service) as client:
        return await getattr(client, operation)(**arguments)


@pytest.mark.parametrize(("way", "public_ip"), [("endpoints", "DISABLED"), ("public", "ENABLED")])
async def test_a_network_has_a_way_out_and_none_in(
    emulator: Emulator, tmp_path: Path, way: str, public_ip: str
) -> None:
    made = await make(emulator, tmp_path, "network", f"network-{way}", WayOut=way, Zones="3")
    assert made["AssignPublicIp"] == public_ip
    assert len(set(made["TaskSubnetIds"].split(","))) == 3
    assert (made["TaskSubnetIds"] == made["PublicSubnetIds"]) == (way == "public")
    of_vpc = [{"Name": "vpc-id", "Values": [made["VpcId"]]}]
    subnets = await answer(emulator, "ec2", "describe_subnets", Filters=of_vpc)
    assert len({one["AvailabilityZone"] for one in subnets["Subnets"]}) == 3
    endpoints = await answer(emulator, "ec2", "describe_vpc_endpoints")
    kinds = {
        one["ServiceName"].rpartition(".")[2]
        for one in endpoints["VpcEndpoints"]
        if one["VpcId"] == made["VpcId"]
    }
    assert {"s3", "dynamodb"} <= kinds
    assert ("sqs" in kinds) == (way == "endpoints")


async def test_a_networks_zones_may_be_named(emulator: Emulator, tmp_path: Path) -> None:
    names = {f"{REGION}{letter}" for letter in "bc"}
    made = await make(
        emulator, tmp_path, "network", "network-zones", WayOut="nat", ZoneNames=",".join(names)
    )
    of_vpc = [{"Name": "vpc-id", "Values": [made["VpcId"]]}]
    subnets = await answer(emulator, "ec2", "describe_subnets", Filters=of_vpc)
    assert {one["AvailabilityZone"] for one in subnets["Subnets"]} == names


async def test_programs_and_alarms_stand_on_the_data_twice_in_one_account(
    emulator: Emulator, data: dict[str, str], tmp_path: Path
) -> None:
    clusters = set()
    for name in ("one", "two"):
        network = await make(emulator, tmp_path, "network", f"{name}-network", WayOut="endpoints")
        web, _ = await make_programs(emulator, tmp_path, name, network)
        alarms = await make(
            emulator, tmp_path, "observability", f"{name}-observability",
            DataStack="data", WebStack=f"{name}-web", WorkersStack=f"{name}-workers",
            Email="oncall@example.com",
        )  # fmt: skip
        clusters.add(web["ClusterName"])
        told = await answer(
            emulator, "sns", "list_subscriptions_by_topic", TopicArn=alarms["AlarmsTopicArn"]
        )
        assert [one["Endpoint"] for one in told["Subscriptions"]] == ["oncall@example.com"]
    assert len(clusters) == 2


@pytest.mark.parametrize(("role", "service"), [("uploads", "Worker"), ("renders", "Renders")])
async def test_a_worker_is_started_with_the_names_of_the_data_stack(
    emulator: Emulator, data: dict[str, str], tmp_path: Path, role: str, service: str
) -> None:
    network = await make(emulator, tmp_path, "network", f"told-{role}-network", WayOut="public")
    web, workers = await make_programs(emulator, tmp_path, f"told-{role}", network)
    found = await answer(
        emulator, "ecs", "describe_services",
        cluster=web["ClusterName"], services=[workers[f"{service}ServiceName"]],
    )  # fmt: skip
    definition = await answer(
        emulator, "ecs", "describe_task_definition",
        taskDefinition=found["services"][0]["taskDefinition"],
    )  # fmt: skip
    (worker,) = definition["taskDefinition"]["containerDefinitions"]
    told = {one["name"]: one["value"] for one in worker["environment"]}
    assert told["SAFELIGHT_UPLOADS_BUCKET"] == data["UploadsBucketName"]
    assert told["SAFELIGHT_ASSETS_BUCKET"] == data["AssetsBucketName"]
    assert told["SAFELIGHT_TABLE"] == data["TableName"]
    assert told["SAFELIGHT_TOPIC_ARN"] == data["TopicArn"]
    assert told["SAFELIGHT_WORKER_ROLE"] == role
    queue = data[f"{role.title()}QueueName"]
    assert told["SAFELIGHT_QUEUE_URL"].rpartition("/")[2] == queue
    assert told["SAFELIGHT_SLOTS"] == "2"
    assert worker["readonlyRootFilesystem"] is True
    assert worker["stopTimeout"] == 120


async def test_the_task_of_cleanup_is_started_with_the_names_of_the_data_stack(
    emulator: Emulator, data: dict[str, str], tmp_path: Path
) -> None:
    network = await make(emulator, tmp_path, "network", "cleanup-network", WayOut="public")
    of_tasks = {key: one for key, one in network.items() if key != "PublicSubnetIds"}
    web = await make(
        emulator, tmp_path, "web", "cleanup-web", DataStack="data", **PROGRAMS, **WEB, **network
    )
    made = await make(
        emulator, tmp_path, "cleanup", "cleanup",
        DataStack="data", WebStack="cleanup-web", DistributionId="E2", **PROGRAMS, **of_tasks,
    )  # fmt: skip
    found = await answer(
        emulator, "ecs", "describe_services",
        cluster=web["ClusterName"], services=[made["CleanupServiceName"]],
    )  # fmt: skip
    (service,) = found["services"]
    assert service["desiredCount"] == 1
    definition = await answer(
        emulator, "ecs", "describe_task_definition", taskDefinition=service["taskDefinition"]
    )
    (worker,) = definition["taskDefinition"]["containerDefinitions"]
    given = {one["name"]: one["value"] for one in worker["environment"]}
    queue = given["SAFELIGHT_CLEANUP_QUEUE_URL"].rpartition("/")[2]
    assert queue == data["CleanupQueueName"]
    assert given["SAFELIGHT_DISTRIBUTION_ID"] == "E2"
    assert worker["command"] == ["python", "-m", "worker.cleanup"]


async def test_a_receiver_gets_the_completions_that_it_wants_from_a_queue_of_its_own(
    emulator: Emulator, data: dict[str, str], tmp_path: Path
) -> None:
    made = await make(
        emulator, tmp_path, "completions", "orders",
        DataStack="data", Outcomes="rejected", Target="emulator",
    )  # fmt: skip
    queue = await answer(emulator, "sqs", "get_queue_url", QueueName=made["QueueName"])
    for outcome in ("completed", "rejected"):
        await answer(
            emulator, "sns", "publish", TopicArn=data["TopicArn"], Message=f"it is {outcome}",
            MessageAttributes={"outcome": {"DataType": "String", "StringValue": outcome}},
        )  # fmt: skip
    service = await create_principal(
        emulator.account, "orders", policy_arn=made["ReceiverPolicyArn"]
    )
    async with emulator.account.as_principal(service).client("sqs") as sqs:
        received = await sqs.receive_message(
            QueueUrl=queue["QueueUrl"], MaxNumberOfMessages=10, WaitTimeSeconds=2
        )
        for message in received["Messages"]:
            await sqs.delete_message(
                QueueUrl=queue["QueueUrl"], ReceiptHandle=message["ReceiptHandle"]
            )
    assert [message["Body"] for message in received["Messages"]] == ["it is rejected"]


async def test_the_edge_has_its_function_and_its_origins(
    emulator: Emulator, data: dict[str, str], tmp_path: Path
) -> None:
    made = await make(
        emulator, tmp_path, "edge", "edge",
        DataStack="data", ApiHost="api.example.com", OriginSecret="0" * 64,
    )  # fmt: skip
    assert made["DeliveryUrl"] == f"https://{made['DomainName']}"
    distribution = await answer(
        emulator, "cloudfront", "get_distribution", Id=made["DistributionArn"].rpartition("/")[2]
    )
    config = distribution["Distribution"]["DistributionConfig"]
    hosts = {one["Id"]: one["DomainName"] for one in config["Origins"]["Items"]}
    assert hosts["api"] == "api.example.com"
    assert hosts["assets"].startswith(data["AssetsBucketName"])
    (function,) = config["DefaultCacheBehavior"]["FunctionAssociations"]["Items"]
    assert function["FunctionARN"].endswith(":function/edge-accept-us-east-1")
