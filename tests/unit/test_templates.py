"""The templates of deploy/ecs as they are written; tests/contract/test_stack.py runs them.

First what holds for all of them, then data.yaml, whose policies are all that Safelight may do.
"""

import fnmatch
import json
import re
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from api.app import make_app
from api.auth import Authentication
from api.delivery.query import OF_ALIASES, OWN
from api.delivery.signing import PARAMETERS
from api.pages.seal import Seal
from api.settings import ApiSettings
from api.uploads import A_DAY, PENDING_SECONDS
from ops.capacity.metricmath import Metric
from safelight.image_ids import LEAST_SECRET_LENGTH
from safelight.keys import ASSETS_PREFIX
from safelight.search import Settled
from safelight.settings import variable
from tests.support import templates
from tests.support.fakes import FakePresigner, FakeRecords
from tests.support.templates import FOLDER, NAMES, Resolved, read, words
from tests.unit.api.clients import ALL_KEYS, api_settings
from worker.cleanup.settings import CleanupSettings
from worker.consumer import LAST_RELEASES_SECONDS
from worker.lease import LONGEST_HOLD_SECONDS
from worker.settings import WorkerSettings

WATCHED = {
    "ImageRepositoryArn": "arn:aws:ecr:::repository/safelight", "MetricsDiscovery": "true",
    "PrometheusSecurityGroupId": "sg-1", "RemoteWriteUrl": "https://aps/remote_write",
    "RemoteWriteWorkspaceArn": "arn:aws:aps:::workspace/ws-1",
}  # fmt: skip
"""Parameters of the stacks with tasks that put every optional part in."""
WHOLE = {
    "web": WATCHED | {
        "OidcIssuer": "https://issuer", "OidcAudience": "safelight", "CorsOrigins": "https://app",
        "ApiKeysSecretArn": "arn:aws:secretsmanager:::secret:keys", "DeliveryUrl": "https://cdn",
        "SigningKeysSecretArn": "arn:aws:secretsmanager:::secret:s",
        "OptionsKeysSecretArn": "arn:aws:secretsmanager:::secret:options",
        "ThumborKeysSecretArn": "arn:aws:secretsmanager:::secret:thumbor",
        "ImgproxyKeysSecretArn": "arn:aws:secretsmanager:::secret:imgproxy",
        "AwsHandlerKeysSecretArn": "arn:aws:secretsmanager:::secret:handler",
        "ImgixKeysSecretArn": "arn:aws:secretsmanager:::secret:imgix",
        "CloudFrontPrefixListId": "pl-1", "OriginSecret": "b" * 32,
        "PreviousOriginSecret": "a" * 32, "AccessLogsBucket": "logs",
        "WebAclArn": "arn:aws:wafv2:eu-central-1:1:regional/webacl/acl", "Faces": "rekognition",
        "KeepDays": 30,
        "Originals": "true",
        "Erasing": "true",
        "PagesUrl": "https://api.example.com",
        "OidcClientId": "pages",
        "OidcClientSecretArn": "arn:aws:secretsmanager:::secret:client",
    },
    "cleanup": WATCHED | {"DistributionId": "E2", "AlarmsTopicArn": "arn:aws:sns:::alarms"},
    "workers": WATCHED | {"WorkerMinTasks": 0, "Faces": "rekognition", "KeepDays": 30},
    "network": {"Zones": "3", "ZoneNames": "us-east-1b,us-east-1c,us-east-1d"},
    "data": {
        "UploadOrigins": "https://app", "DistributionArn": "arn:aws:cloudfront:::d",
        "TopicKeyArn": "arn:aws:kms:eu-central-1:1:key/k",
    },
    "edge": {
        "Host": "cdn.example.com", "CertificateArn": "arn:aws:acm:us-east-1:1:certificate/c",
        "OriginShieldRegion": "eu-west-1", "WebAclArn": "arn:aws:wafv2:::acl",
        "AccessLogsBucket": "logs",
    },
    "observability": {
        "Email": "oncall@example.com", "MonthlyCharges": 100, "AWS::Region": "us-east-1",
    },
}  # fmt: skip
"""Parameters that put every optional part in."""
BARE: dict[str, dict[str, Any]] = {
    "observability": {"WorkerMinTasks": 0, "DeliveryMinTasks": 0, "Dashboard": "false"},
    "web": {"OidcIssuer": "https://issuer", "OidcAudience": "safelight", "Deliver": "false"},
}
"""Parameters that leave every optional part out."""

COLLECTORS = (
    "CollectorImage", "CollectorRepositoryArn", "RemoteWriteUrl", "RemoteWriteWorkspaceArn",
)  # fmt: skip
"""Parameters of the collector, which every template with tasks has."""
TEMPLATE_OF = {
    "Api": "web", "Delivery": "web", "Worker": "workers", "Renders": "workers",
    "Cleanup": "cleanup",
}  # fmt: skip
"""Which template has a task."""

DELETES = re.compile(r"not listed|\*|s3:(\*|Delete|.*Lifecycle|PutBucket)")
"""Actions by which objects can be deleted."""

WORK_QUEUES = ("UploadsQueue", "RendersQueue", "CleanupQueue")

QUERY = OWN | OF_ALIASES | PARAMETERS
"""The words of a delivery URL's query."""

every_template = pytest.mark.parametrize(
    "template",
    [
        pytest.param(Resolved(name, **chosen.get(name, {})), id=f"{name}-{how}")
        for name in NAMES
        for how, chosen in (("whole", WHOLE), ("bare", BARE))
    ],
)


@pytest.mark.starts
def test_cfn_lint_finds_nothing_wrong():
    linter = Path(sys.executable).with_name("cfn-lint")
    paths = [FOLDER / f"{name}.yaml" for name in NAMES]
    run = subprocess.run([linter, *paths], check=False, capture_output=True)
    assert run.stdout.decode() == ""
    assert run.returncode == 0


def test_templates_are_read_as_cfn_lint_reads_them():
    from cfnlint import decode  # noqa: PLC0415 - it takes long, and only this test needs it

    for name in NAMES:
        assert read(name) == decode.decode(str(FOLDER / f"{name}.yaml"))[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_can_be_sent_as_it_is(name):
    """CloudFormation takes 51,200 bytes without a bucket; a fifth is left for what comes."""
    assert (FOLDER / f"{name}.yaml").stat().st_size <= 0.8 * 51_200


@pytest.mark.parametrize("name", NAMES)
def test_there_are_no_custom_resources(name):
    for resource in read(name)["Resources"].values():
        assert resource["Type"].startswith("AWS::")
        assert resource["Type"] != "AWS::CloudFormation::CustomResource"


@pytest.mark.parametrize("name", NAMES)
def test_every_wildcard_says_why(name):
    for line in (FOLDER / f"{name}.yaml").read_text().splitlines():
        if re.search(r"""Resource: ["']?\*""", line):
            assert " # " in line, line


@every_template
def test_nobody_is_allowed_every_action_or_is_everybody(template):
    for name, statement in templates.statements(template.resources):
        if statement["Effect"] == "Allow":
            assert not any("*" in action for action in words(statement["Action"])), name
            assert statement.get("Principal") not in ("*", {"AWS": "*"}), name


@every_template
def test_every_queue_has_a_dead_letter_queue_or_is_one(template):
    queues = template.of_type("AWS::SQS::Queue")
    dead = {
        one["RedrivePolicy"]["deadLetterTargetArn"].removesuffix(".Arn>").strip("<")
        for one in queues.values()
        if "RedrivePolicy" in one
    }
    assert {name for name, one in queues.items() if "RedrivePolicy" not in one} == dead


@every_template
def test_whatever_keeps_bytes_is_encrypted(template):
    for queue in template.of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True
    for bucket in template.of_type("AWS::S3::Bucket").values():
        assert "BucketEncryption" in bucket  # tables and logs are, by AWS, with nothing to set


@every_template
def test_clients_speak_tls_or_not_at_all(template):
    for listener in template.of_type("AWS::ElasticLoadBalancingV2::Listener").values():
        assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)
        assert "TLS13" in listener["SslPolicy"]
    for group in template.of_type("AWS::EC2::SecurityGroup").values():
        for rule in group.get("SecurityGroupIngress", []):
            assert rule["FromPort"] == rule["ToPort"]
            assert rule["ToPort"] == 443 or "CidrIp" not in rule  # the rest by group alone


@pytest.mark.parametrize("name", ["web", "workers", "cleanup"])
def test_a_task_opens_connections_by_https_only(name):
    template = Resolved(name, **WHOLE[name])
    groups = {
        group.strip("<>")
        for service in template.of_type("AWS::ECS::Service").values()
        for group in service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
    }
    assert groups
    assert not template.of_type("AWS::EC2::SecurityGroupEgress")
    for group in groups:
        (rule,) = template.properties(group)["SecurityGroupEgress"]
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443), group


def test_the_load_balancer_opens_connections_to_the_tasks_only_and_they_admit_it():
    web = Resolved("web")
    (out,) = web.properties("LoadBalancerSecurityGroup")["SecurityGroupEgress"]
    (into,) = web.of_type("AWS::EC2::SecurityGroupIngress").values()
    assert (out["FromPort"], out["ToPort"]) == (into["FromPort"], into["ToPort"]) == (8080, 8080)
    assert out["DestinationSecurityGroupId"] == into["GroupId"] == "<ApiSecurityGroup>"
    assert into["SourceSecurityGroupId"] == "<LoadBalancerSecurityGroup>"


@every_template
def test_a_service_whose_capacity_providers_may_change_forces_the_deployment(template):
    """ECS refuses the change without it, and a runbook has operators make it."""
    for name, service in template.of_type("AWS::ECS::Service").items():
        written = read(TEMPLATE_OF[name])["Resources"]
        changes = "Fn::If" in written[name]["Properties"]["CapacityProviderStrategy"]
        forced = service.get("ForceNewDeployment", {}).get("EnableForceNewDeployment", False)
        assert forced is changes, name


@every_template
def test_every_container_is_shut_in(template):
    for task in template.of_type("AWS::ECS::TaskDefinition").values():
        assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
        for container in task["ContainerDefinitions"]:
            assert container["ReadonlyRootFilesystem"] is True
            assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
            assert container["LinuxParameters"]["InitProcessEnabled"] is True
            assert container["LogConfiguration"]["LogDriver"] == "awslogs"
        ours = task["ContainerDefinitions"][0]
        assert int(ours["User"].split(":")[0]) > 0
        assert ours["Command"][:2] == ["python", "-m"]
        assert ours["HealthCheck"]["Command"][0] == "CMD"
        assert ours["HealthCheck"]["StartPeriod"] > 0


def _forwards_to(listens: dict[str, Any]) -> list[str]:
    actions = [*listens.get("Actions", []), *listens.get("DefaultActions", [])]
    return [one["TargetGroupArn"] for one in actions if one["Type"] == "forward"]


@every_template
def test_a_service_waits_for_what_forwards_to_its_targets(template):
    """ECS refuses a target group that no load balancer has."""
    for name, service in template.of_type("AWS::ECS::Service").items():
        for balanced in service.get("LoadBalancers", []):
            awaited = template.resources[template.resources[name]["DependsOn"]]["Properties"]
            assert balanced["TargetGroupArn"] in _forwards_to(awaited), name


def _met(condition: dict[str, Any], path: str, headers: dict[str, str]) -> bool:
    """Whether a request meets a listener rule's condition; a load balancer ignores case."""
    if condition["Field"] == "path-pattern":
        patterns = condition["PathPatternConfig"]["Values"]
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
    wanted = condition["HttpHeaderConfig"]
    said = headers.get(wanted["HttpHeaderName"], "")
    return any(fnmatch.fnmatch(said.lower(), value.lower()) for value in wanted["Values"])


def _answer(web: Resolved, path: str, headers: dict[str, str] | None = None) -> str:
    """The target group or the status that the load balancer answers a request with."""
    (listener,) = web.of_type("AWS::ElasticLoadBalancingV2::Listener").values()
    rules = web.of_type("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    actions = next(
        (
            rule["Actions"]
            for rule in sorted(rules, key=lambda rule: rule["Priority"])
            if all(_met(one, path, headers or {}) for one in rule["Conditions"])
        ),
        listener["DefaultActions"],
    )
    (action,) = actions
    if action["Type"] == "forward":
        return str(action["TargetGroupArn"])
    assert action["FixedResponseConfig"].keys() == {"StatusCode"}  # never a text of ours
    return str(action["FixedResponseConfig"]["StatusCode"])


PICTURE = "/small/img-1"
UPLOADS_ROLE = make_app(
    settings=api_settings(),
    records=FakeRecords(),
    presigner=FakePresigner(),
    authentication=Authentication(tokens=None, keys=ALL_KEYS, anonymous=False),
    registry=CollectorRegistry(),
    delivery=None,
)
OWN_PATHS = sorted(
    {
        re.sub(r"\{\w+\}", "x", resource.canonical)
        for resource in UPLOADS_ROLE.router.resources()
        if resource.canonical != "/metrics"
    }
)
SECRET, EARLIER_SECRET = "b" * 32, "a" * 32
SENT_BY_CLOUDFRONT = "X-Safelight-Origin"


@pytest.mark.parametrize("secret", ["", SECRET])
@pytest.mark.parametrize("deliver", ["true", "false"])
def test_strangers_do_not_read_the_metrics(deliver, secret):
    web = Resolved("web", Deliver=deliver, OriginSecret=secret)
    assert _answer(web, "/metrics") == "404"
    assert _answer(web, "/metrics", {SENT_BY_CLOUDFRONT: secret}) == "404"


def test_without_an_origin_secret_the_load_balancer_delivers_to_all():
    assert _answer(Resolved("web"), PICTURE) == "<DeliveryTargets>"
    assert _answer(Resolved("web", Deliver="false"), PICTURE) == "<ApiTargets>"


@pytest.mark.parametrize("sent", [{}, {SENT_BY_CLOUDFRONT: ""}, {SENT_BY_CLOUDFRONT: "c" * 32}])
def test_with_an_origin_secret_nothing_is_delivered_round_cloudfront(sent):
    web = Resolved("web", OriginSecret=SECRET)
    assert _answer(web, PICTURE, sent) == "403"
    assert _answer(web, "/images/aa/x", sent) == "403"
    assert _answer(web, PICTURE, {SENT_BY_CLOUDFRONT: SECRET}) == "<DeliveryTargets>"


@pytest.mark.parametrize("path", OWN_PATHS)
def test_clients_reach_the_api_without_the_origin_secret(path):
    assert _answer(Resolved("web", OriginSecret=SECRET), path) == "<ApiTargets>"


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/sign-in", "/ui/static/0/words.js"])
def test_browsers_reach_the_pages_without_the_origin_secret(path):
    pages = {"PagesUrl": "https://api.example.com"}
    assert _answer(Resolved("web", OriginSecret=SECRET, **pages), path) == "<ApiTargets>"
    assert _answer(Resolved("web", OriginSecret=SECRET), path) == "403"
    assert _answer(Resolved("web", **pages), "/uimage/img-1") == "<DeliveryTargets>"


@pytest.mark.parametrize("whole", [True, False])
def test_a_rule_has_no_more_patterns_than_a_load_balancer_takes(whole):
    web = Resolved("web", **(WHOLE if whole else BARE)["web"])
    rules = web.of_type("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    priorities = [rule["Priority"] for rule in rules]
    assert len(set(priorities)) == len(priorities)
    for rule in rules:
        values = [
            value
            for condition in rule["Conditions"]
            for config in ("PathPatternConfig", "HttpHeaderConfig")
            for value in condition.get(config, {}).get("Values", [])
        ]
        assert len(values) <= 5


OF_PAGES = {
    "SAFELIGHT_API_ROLES", "SAFELIGHT_PAGES_URL", "SAFELIGHT_SESSION_KEYS",
    "SAFELIGHT_OIDC_CLIENT_ID", "SAFELIGHT_OIDC_CLIENT_SECRET",
}  # fmt: skip
PAGES = {"PagesUrl": "https://api.example.com"}
ISSUER = {"OidcIssuer": "https://issuer", "OidcAudience": "safelight"}
BY_KEY = {"ApiKeysSecretArn": "arn:keys"}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (BY_KEY, {"SAFELIGHT_API_ROLES": "uploads"}),
        (
            BY_KEY | PAGES,
            {
                "SAFELIGHT_API_ROLES": "uploads,pages",
                "SAFELIGHT_PAGES_URL": "https://api.example.com",
                "SAFELIGHT_SESSION_KEYS": "<SessionKeys>",
            },
        ),
        (
            ISSUER | PAGES | {"OidcClientId": "pages", "OidcClientSecretArn": "arn:client"},
            {
                "SAFELIGHT_API_ROLES": "uploads,pages",
                "SAFELIGHT_PAGES_URL": "https://api.example.com",
                "SAFELIGHT_SESSION_KEYS": "<SessionKeys>",
                "SAFELIGHT_OIDC_CLIENT_ID": "pages",
                "SAFELIGHT_OIDC_CLIENT_SECRET": "arn:client",
            },
        ),
    ],
)
def test_the_api_serves_pages_if_the_parameter_names_their_address(parameters, expected):
    web = Resolved("web", **parameters)
    assert not web.refusals()
    (container,) = [
        one for one in web.properties("ApiTask")["ContainerDefinitions"] if one["Name"] == "api"
    ]
    given = {one["Name"]: one["Value"] for one in container["Environment"]}
    given |= {one["Name"]: one["ValueFrom"] for one in container["Secrets"]}
    assert {name: given[name] for name in given.keys() & OF_PAGES} == expected
    readable = str(web.properties("ExecutionRole")["Policies"])
    for secret in ("<SessionKeys>", "arn:client"):
        assert (secret in readable) is (secret in expected.values())


@pytest.mark.parametrize(
    "parameters",
    [ISSUER | PAGES, ISSUER | {"OidcClientId": "pages"}, BY_KEY | PAGES | {"OidcClientId": "p"}],
)
def test_pages_without_a_way_to_sign_in_are_refused(parameters):
    assert Resolved("web", **parameters).refusals()


def test_the_generated_session_key_is_one():
    made = Resolved("web", **WHOLE["web"]).properties("SessionKeys")["GenerateSecretString"]
    assert made["ExcludeUppercase"] is made["ExcludePunctuation"] is True
    left = set(string.ascii_lowercase + string.digits) - set(made["ExcludeCharacters"])
    assert left == set("0123456789abcdef")
    Seal.read("".join(sorted(left)) * (made["PasswordLength"] // 16))


def test_both_origin_secrets_open_delivery_while_one_replaces_the_other():
    web = Resolved("web", OriginSecret=SECRET, PreviousOriginSecret=EARLIER_SECRET)
    for secret in (SECRET, EARLIER_SECRET):
        assert _answer(web, PICTURE, {SENT_BY_CLOUDFRONT: secret}) == "<DeliveryTargets>"
    assert Resolved("web", **BARE["web"], PreviousOriginSecret=EARLIER_SECRET).refusals()


def test_cloudfront_sends_the_api_the_header_that_the_listener_demands():
    edge = Resolved("edge", OriginSecret=SECRET)
    origins = edge.properties("Distribution")["DistributionConfig"]["Origins"]
    sent = {
        one["Id"]: {
            header["HeaderName"]: header["HeaderValue"]
            for header in one.get("OriginCustomHeaders", [])
        }
        for one in origins
    }
    assert sent["assets"] == {}  # S3 has no need of it
    assert _answer(Resolved("web", OriginSecret=SECRET), PICTURE, sent["api"]) == (
        "<DeliveryTargets>"
    )


@pytest.mark.parametrize(
    ("name", "parameter"),
    [("web", "OriginSecret"), ("web", "PreviousOriginSecret"), ("edge", "OriginSecret")],
)
def test_an_origin_secret_is_long_lower_case_and_never_shown(name, parameter):
    declared = read(name)["Parameters"][parameter]
    assert declared["NoEcho"] is True
    assert re.fullmatch(declared["AllowedPattern"], SECRET)
    for refused in ("b" * 31, "B" * 32, "b" * 31 + "*", "b" * 129):
        assert not re.fullmatch(declared["AllowedPattern"], refused), refused


def test_the_load_balancer_has_the_firewall_that_is_named():
    kind = "AWS::WAFv2::WebACLAssociation"
    assert Resolved("web").of_type(kind) == {}
    (association,) = Resolved("web", WebAclArn="arn:acl").of_type(kind).values()
    assert association == {"ResourceArn": "<LoadBalancer>", "WebACLArn": "arn:acl"}


def test_cloudfront_reaches_the_load_balancer_though_other_clients_may_not():
    def sources(**parameters):
        group = Resolved("web", **parameters).properties("LoadBalancerSecurityGroup")
        return [
            one.get("CidrIp") or one["SourcePrefixListId"] for one in group["SecurityGroupIngress"]
        ]

    assert sources() == ["0.0.0.0/0"]
    assert sources(ClientCidr="10.0.0.0/8", CloudFrontPrefixListId="pl-1") == ["10.0.0.0/8", "pl-1"]


def test_access_logs_are_written_to_the_bucket_that_is_named():
    def of_load_balancer(**parameters):
        attributes = Resolved("web", **parameters).properties("LoadBalancer")
        return {
            one["Key"].removeprefix("access_logs.s3."): one["Value"]
            for one in attributes["LoadBalancerAttributes"]
            if one["Key"].startswith("access_logs.")
        }

    def of_cloudfront(**parameters):
        distribution = Resolved("edge", **parameters).properties("Distribution")
        return distribution["DistributionConfig"].get("Logging")

    assert of_load_balancer() == {"enabled": "false"}
    on = {"enabled": "true", "bucket": "logs", "prefix": "stack"}
    assert of_load_balancer(AccessLogsBucket="logs") == on
    assert of_cloudfront() is None
    on = {"Bucket": "logs.s3.amazonaws.com", "Prefix": "stack/"}
    assert of_cloudfront(AccessLogsBucket="logs") == on


def test_all_tasks_have_the_same_collector():
    assert read("web")["Mappings"] == read("workers")["Mappings"] == read("cleanup")["Mappings"]
    for name in COLLECTORS:
        assert read("web")["Parameters"][name] == read("workers")["Parameters"][name]


@pytest.mark.parametrize("name", ["web", "workers", "cleanup"])
def test_a_collector_calls_each_task_by_its_own_name(name):
    """Every task scrapes its localhost; without this all would be one instance."""
    text = read(name)["Mappings"]["Collector"]["Configuration"]["Text"]
    config = yaml.safe_load(text)
    first, then = config["service"]["pipelines"]["metrics"]["processors"]
    assert config["processors"][first] == {"detectors": ["ecs"]}
    (attribute,) = config["processors"][then]["attributes"]
    assert attribute["key"] == "service.instance.id"
    assert attribute["from_attribute"] == "aws.ecs.task.arn"


@pytest.mark.parametrize("name", ["web", "workers", "cleanup"])
def test_only_the_collectors_role_sends_metrics_and_only_the_tasks_assume_it(name):
    template = Resolved(name, **WHOLE[name])
    granted = {
        role: statement
        for role, statement in templates.statements(template.resources)
        if "aps:RemoteWrite" in words(statement["Action"])
    }
    assert granted.keys() == {"CollectorRole"}
    assert granted["CollectorRole"]["Resource"] == WATCHED["RemoteWriteWorkspaceArn"]
    (trust,) = template.properties("CollectorRole")["AssumeRolePolicyDocument"]["Statement"]
    tasks = template.of_type("AWS::ECS::TaskDefinition").values()
    assert sorted(words(trust["Principal"]["AWS"])) == sorted(task["TaskRoleArn"] for task in tasks)
    assert "CollectorRole" not in Resolved(name).resources


@pytest.mark.parametrize("name", ["web", "workers", "cleanup"])
def test_a_collector_signs_as_its_role_and_is_not_root(name):
    template = Resolved(name, **WHOLE[name])
    config = yaml.safe_load(read(name)["Mappings"]["Collector"]["Configuration"]["Text"])
    assumed = config["extensions"]["sigv4auth"]["assume_role"]
    assert assumed["arn"] == "${env:COLLECTOR_ROLE_ARN}"
    for task in template.of_type("AWS::ECS::TaskDefinition").values():
        (collector,) = (c for c in task["ContainerDefinitions"] if c["Name"] == "collector")
        told = {one["Name"]: one["Value"] for one in collector["Environment"]}
        assert told["COLLECTOR_ROLE_ARN"] == "<CollectorRole.Arn>"
        assert told["AWS_REGION"] == "eu-central-1"
        assert int(collector["User"].split(":")[0]) > 0
        assert collector["RestartPolicy"] == {"Enabled": True}


@pytest.mark.parametrize("parameter", ["Image", "CollectorImage"])
@pytest.mark.parametrize("name", ["web", "workers", "cleanup"])
def test_an_image_may_be_named_by_tag_or_digest_but_not_without(name, parameter):
    pattern = read(name)["Parameters"][parameter]["AllowedPattern"]
    for image in ("registry/collector:v1.2", f"registry:5000/collector@sha256:{'a' * 64}"):
        assert re.fullmatch(pattern, image), image
    for image in ("registry/collector", f"registry/collector@sha256:{'a' * 63}"):
        assert not re.fullmatch(pattern, image), image


@pytest.mark.parametrize("name", WORK_QUEUES)
def test_a_message_that_is_always_held_is_a_dead_letter_before_the_queue_forgets_it(name):
    queue = Resolved("data").properties(name)
    receives = queue["RedrivePolicy"]["maxReceiveCount"]
    longest = receives * (LONGEST_HOLD_SECONDS + queue["VisibilityTimeout"])
    assert longest + 12 * 3600 <= queue["MessageRetentionPeriod"]


def test_an_upload_is_remembered_longer_than_its_message_may_wait():
    """In its queue, as a dead letter, and in RendersQueue when it was sent back."""
    data = Resolved("data")
    uploads, renders, dead = (
        data.properties(name)["MessageRetentionPeriod"]
        for name in ("UploadsQueue", "RendersQueue", "DeadLetterQueue")
    )
    assert uploads + dead + renders < PENDING_SECONDS - A_DAY


@pytest.mark.parametrize("kind", ["Worker", "Renders", "Cleanup"])
def test_a_worker_has_time_to_drain(kind):
    (worker, *_) = Resolved(TEMPLATE_OF[kind]).properties(f"{kind}Task")["ContainerDefinitions"]
    environment = {one["Name"]: one["Value"] for one in worker["Environment"]}
    assert worker["StopTimeout"] == 120  # the most that Fargate gives
    drain_seconds = float(environment["SAFELIGHT_DRAIN_SECONDS"])
    assert drain_seconds + LAST_RELEASES_SECONDS <= worker["StopTimeout"]


@pytest.mark.parametrize("kind", ["Worker", "Renders", "Delivery"])
def test_who_renders_takes_no_more_than_the_task_has(kind):
    """To a container without limits of its own, Fargate shows the machine beneath."""
    task = Resolved(TEMPLATE_OF[kind]).properties(f"{kind}Task")
    ours = task["ContainerDefinitions"][0]
    environment = {one["Name"]: one["Value"] for one in ours["Environment"]}
    assert ours["Memory"] == task["Memory"]
    assert int(environment["SAFELIGHT_SLOTS"]) == task["Cpu"] / 1024


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Api", ApiSettings),
        ("Delivery", ApiSettings),
        ("Worker", WorkerSettings),
        ("Renders", WorkerSettings),
        ("Cleanup", CleanupSettings),
    ],
)
def test_a_task_is_told_settings_that_exist_and_all_that_it_needs(kind, settings):
    fields = settings.model_fields
    required = {variable(name) for name, field in fields.items() if field.is_required()}
    known = {variable(name) for name in fields}
    template = TEMPLATE_OF[kind]
    task = Resolved(template, **WHOLE[template]).properties(f"{kind}Task")
    ours = task["ContainerDefinitions"][0]
    told = {one["Name"] for one in (*ours["Environment"], *ours.get("Secrets", []))}
    assert required <= told
    assert {name for name in told if name.startswith("SAFELIGHT_")} <= known


def _environment(kind: str) -> dict[str, Any]:
    (container, *_) = Resolved(TEMPLATE_OF[kind]).properties(f"{kind}Task")["ContainerDefinitions"]
    return {one["Name"]: one["Value"] for one in container["Environment"]}


def _imported(name: str) -> str:
    return f"<import <DataStack>-{name}>"


@pytest.mark.parametrize(
    ("kind", "role", "queue"), [("Worker", "uploads", "Uploads"), ("Renders", "renders", "Renders")]
)
def test_a_worker_has_one_role_its_queue_and_the_policy_for_it(kind, role, queue):
    told = _environment(kind)
    assert told["SAFELIGHT_WORKER_ROLE"] == role
    assert told["SAFELIGHT_QUEUE_URL"] == _imported(f"{queue}QueueUrl")
    assert told["SAFELIGHT_DEAD_LETTER_QUEUE_URL"] == _imported("DeadLetterQueueUrl")
    assert told["SAFELIGHT_CLEANUP_QUEUE_URL"] == _imported("CleanupQueueUrl")
    workers = Resolved("workers")
    assert workers.properties(f"{kind}Task")["TaskRoleArn"] == f"<{kind}Role.Arn>"
    assert workers.properties(f"{kind}Role")["ManagedPolicyArns"] == [
        _imported(f"{queue}WorkerPolicyArn")
    ]


def test_the_tasks_of_both_workers_differ_only_in_names_sizes_and_role():
    workers = Resolved("workers", **WHOLE["workers"])
    uploads, renders = (
        json.dumps(workers.properties(f"{kind}Task")) for kind in ("Worker", "Renders")
    )
    for of_uploads, of_renders in (
        ("-worker", "-renders"), ("WorkerRole.Arn", "RendersRole.Arn"),
        ("WorkerLogs", "RendersLogs"), ('Value": "uploads', 'Value": "renders'),
        ("-UploadsQueueUrl", "-RendersQueueUrl"),
        ('SCRAPED_JOB", "Value": "worker', 'SCRAPED_JOB", "Value": "renders'),
        ('prefix": "worker', 'prefix": "renders'),
    ):  # fmt: skip
        assert of_uploads in uploads, of_uploads
        uploads = uploads.replace(of_uploads, of_renders)
    assert uploads == renders


def test_delivery_sends_renders_to_their_own_queue():
    told = _environment("Delivery")
    assert told["SAFELIGHT_RENDERS_QUEUE_URL"] == _imported("RendersQueueUrl")
    assert "SAFELIGHT_QUEUE_URL" not in told
    assert told["SAFELIGHT_API_ROLES"] == "delivery"
    assert _environment("Api")["SAFELIGHT_API_ROLES"] == "uploads"
    assert not any("QUEUE" in name for name in _environment("Api"))


def test_programs_hold_one_policy_of_the_data_stack_each_and_nobody_holds_two():
    held = {
        role: properties["ManagedPolicyArns"]
        for template in NAMES
        for role, properties in Resolved(template).of_type("AWS::IAM::Role").items()
        if "ManagedPolicyArns" in properties
    }
    assert held == {
        "ApiRole": [_imported("ApiPolicyArn")],
        "DeliveryRole": [_imported("DeliveryPolicyArn")],
        "WorkerRole": [_imported("UploadsWorkerPolicyArn")],
        "RendersRole": [_imported("RendersWorkerPolicyArn")],
        "CleanupRole": [_imported("CleanupPolicyArn")],
    }


@pytest.mark.parametrize(("originals", "allowed"), [("false", False), ("true", True)])
def test_the_api_reads_sources_only_if_the_parameter_says_so(originals, allowed):
    stack = Resolved("web", Originals=originals)
    held = stack.of_type("AWS::IAM::Policy")
    assert ("OriginalsPolicy" in held) is allowed
    if allowed:
        (statement,) = held["OriginalsPolicy"]["PolicyDocument"]["Statement"]
        assert held["OriginalsPolicy"]["Roles"] == ["<ApiRole>"]
        assert statement["Action"] == "s3:GetObject"
        assert "/uploads/*" in str(statement["Resource"])


@pytest.mark.parametrize("admins", ["", "key:support,oidc:5f7c"])
def test_the_api_has_the_admins_of_the_parameter(admins):
    definitions = Resolved("web", Admins=admins).of_type("AWS::ECS::TaskDefinition").values()
    (named,) = [
        variable["Value"]
        for task in definitions
        for container in task["ContainerDefinitions"]
        for variable in container.get("Environment", ())
        if variable["Name"] == "SAFELIGHT_ADMINS"
    ]
    assert named == admins


@pytest.mark.parametrize(("days", "named"), [(0, []), (30, [30])])
def test_every_program_that_decides_how_long_to_keep_images_has_the_parameter(days, named):
    programs = {"web": "SAFELIGHT_ADMINS", "workers": "SAFELIGHT_WORKER_ROLE"}
    for stack, own in programs.items():
        of_programs = [
            {one["Name"]: one["Value"] for one in container["Environment"]}
            for task in Resolved(stack, KeepDays=days).of_type("AWS::ECS::TaskDefinition").values()
            for container in task["ContainerDefinitions"]
            if own in {one["Name"] for one in container.get("Environment", ())}
        ]
        assert len(of_programs) == {"web": 1, "workers": 2}[stack]
        for environment in of_programs:
            found = [environment[name] for name in environment if name == "SAFELIGHT_KEEP_DAYS"]
            assert found == named


@pytest.mark.parametrize("erasing", ["true", "false"])
def test_the_api_erases_only_if_the_parameter_says_so(erasing):
    (container,) = [
        container
        for task in Resolved("web", Erasing=erasing).of_type("AWS::ECS::TaskDefinition").values()
        for container in task["ContainerDefinitions"]
        if container["Name"] == "api"
    ]
    environment = {one["Name"]: one["Value"] for one in container["Environment"]}
    assert ("SAFELIGHT_CLEANUP_QUEUE_URL" in environment) == (erasing == "true")


def test_the_api_has_the_keys_that_sign_the_urls_of_thumbnails():
    for keys in ("", "arn:aws:secretsmanager:::secret:s"):
        (container,) = [
            one
            for task in Resolved("web", SigningKeysSecretArn=keys)
            .of_type("AWS::ECS::TaskDefinition")
            .values()
            for one in task["ContainerDefinitions"]
            if {"Name": "SAFELIGHT_API_ROLES", "Value": "uploads"} in one.get("Environment", ())
        ]
        signing = [one for one in container["Secrets"] if one["Name"] == "SAFELIGHT_SIGNING_KEYS"]
        assert [one["ValueFrom"] for one in signing] == ([keys] if keys else [])


@pytest.mark.parametrize(
    ("name", "faces", "roles"),
    [
        ("workers", "off", None),
        ("workers", "rekognition", ["<WorkerRole>", "<RendersRole>"]),
        ("web", "off", None),
        ("web", "rekognition", ["<DeliveryRole>"]),
    ],
)
def test_tasks_may_have_faces_looked_for_only_if_the_parameter_says_so(name, faces, roles):
    stack = Resolved(name, Faces=faces)
    held = list(stack.of_type("AWS::IAM::Policy").values())
    if roles is None:
        assert held == []
        return
    (policy,) = held
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert policy["Roles"] == roles
    assert (statement["Action"], statement["Resource"]) == ("rekognition:DetectFaces", "*")


# The api refuses to sign for faces that are not looked for.
@pytest.mark.parametrize("kind", ["Worker", "Renders", "Delivery", "Api"])
def test_a_task_that_renders_or_signs_knows_how_faces_are_found(kind):
    template = Resolved(TEMPLATE_OF[kind], Faces="rekognition")
    (container, *_) = template.properties(f"{kind}Task")["ContainerDefinitions"]
    environment = {one["Name"]: one["Value"] for one in container["Environment"]}
    assert environment.get("SAFELIGHT_FACES") == "rekognition"


@pytest.mark.parametrize(
    ("name", "parameters", "refused"),
    [
        ("web", WHOLE["web"], False),
        ("web", BARE["web"], False),
        ("web", {"ApiKeysSecretArn": "arn:aws:secretsmanager:::secret:keys"}, False),
        ("web", {}, True),
        ("web", {"OidcIssuer": "https://issuer"}, True),
        ("web", BARE["web"] | {"RemoteWriteUrl": "https://aps"}, True),
        ("web", BARE["web"] | {"RemoteWriteWorkspaceArn": "arn:aws:aps:::workspace/w"}, True),
        ("workers", WHOLE["workers"], False),
        ("workers", {}, False),
        ("workers", {"RemoteWriteUrl": "https://aps"}, True),
        ("workers", {"RemoteWriteWorkspaceArn": "arn:aws:aps:::workspace/w"}, True),
    ],
)
def test_services_that_would_fail_later_are_refused_first(name, parameters, refused):
    assert bool(Resolved(name, **parameters).refusals()) == refused


@pytest.mark.parametrize(("region", "refused"), [("us-east-1", False), ("eu-central-1", True)])
def test_charges_are_watched_only_where_aws_tells_them(region, refused):
    template = Resolved("observability", MonthlyCharges=50, **{"AWS::Region": region})
    assert bool(template.refusals()) == refused


@pytest.mark.parametrize("name", ["web", "workers", "cleanup"])
def test_ecs_may_pull_the_images_that_are_private_and_no_others(name):
    def pulled(**parameters):
        role = Resolved(name, **parameters).properties("ExecutionRole")
        return [
            words(one["Resource"])
            for policy in role["Policies"]
            for one in policy["PolicyDocument"]["Statement"]
            if one["Sid"] == "PullTheImage"
        ]

    assert pulled() == []
    assert pulled(ImageRepositoryArn="a") == [["a"]]
    assert pulled(CollectorRepositoryArn="c") == [["c"]]
    assert pulled(ImageRepositoryArn="a", CollectorRepositoryArn="c") == [["a", "c"]]


@pytest.mark.parametrize("name", ["web", "workers", "cleanup"])
def test_ecs_may_write_the_logs_of_its_own_stack_and_no_others(name):
    template = Resolved(name, **WHOLE[name])
    (granted,) = (
        statement["Resource"]
        for of, statement in templates.statements(template.resources)
        if of == "ExecutionRole" and statement.get("Sid") == "WriteLogs"
    )
    groups = template.of_type("AWS::Logs::LogGroup")
    assert sorted(words(granted)) == sorted(f"<{group}.Arn>" for group in groups)


def test_ecs_reads_the_keys_for_the_web_programs_only():
    def secrets(name):
        made = Resolved(name, **WHOLE[name]).resources
        return {
            resource
            for _, statement in templates.statements(made)
            if "secretsmanager:GetSecretValue" in words(statement["Action"])
            for resource in words(statement["Resource"])
        }

    ids = "<import <DataStack>-IdSecretArn>"
    keys = {arn for name, arn in WHOLE["web"].items() if name.endswith("KeysSecretArn")}
    pages = {"<SessionKeys>", WHOLE["web"]["OidcClientSecretArn"]}
    assert secrets("web") == {ids, *keys, *pages}
    assert secrets("workers") == secrets("cleanup") == {ids}


def test_what_an_operator_is_told_to_ask_for_is_told_by_its_stack():
    text = (FOLDER / "README.md").read_text()
    asked = set(re.findall(r"output \$STACK(-\w+)? (\w+)", text))
    assert len(asked) > 10
    for stack, name in asked:
        assert name in read(stack.removeprefix("-") or "data")["Outputs"], name


def test_every_service_has_an_alarm_for_too_few_of_its_tasks():
    watched = json.dumps(
        [
            alarm
            for template in NAMES
            for name, alarm in Resolved(template).of_type("AWS::CloudWatch::Alarm").items()
            if name.startswith("TooFew")
        ]
    )
    services = [
        service for name in NAMES for service in Resolved(name).of_type("AWS::ECS::Service")
    ]
    assert set(services) == TEMPLATE_OF.keys()
    for service in services:
        assert f"-{service}ServiceName>" in watched or f"<{service}.Name>" in watched, service


def test_only_the_distribution_that_is_named_reads_assets():
    def of_cloudfront(**parameters):
        document = Resolved("data", **parameters).properties("AssetsBucketPolicy")["PolicyDocument"]
        return [one for one in document["Statement"] if one["Effect"] == "Allow"]

    assert of_cloudfront() == []
    (allow,) = of_cloudfront(DistributionArn="arn:aws:cloudfront:::d")
    assert allow["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert allow["Action"] == "s3:GetObject"  # without listing, S3 answers 403 for a missing object
    assert allow["Condition"] == {"StringEquals": {"aws:SourceArn": "arn:aws:cloudfront:::d"}}


def test_an_own_name_and_its_certificate_go_together():
    assert not Resolved("edge").refusals()
    assert not Resolved("edge", **WHOLE["edge"]).refusals()
    assert Resolved("edge", Host="cdn.example.com").refusals()


def test_cloudfronts_names_are_of_one_region():
    """They are unique in an account, so stacks with the same name can exist in two regions."""
    asked = json.dumps(Resolved("edge", **WHOLE["edge"]).resources)
    names = set(re.findall(r'"Name": "(stack-[^"]+)"', asked))
    assert names == {
        f"stack-{of}-eu-central-1" for of in ("accept", "assets", "options", "pictures")
    }


def test_nothing_but_accept_and_known_words_is_in_a_pictures_key():
    policy = Resolved("edge").properties("PicturesPolicy")["CachePolicyConfig"]
    key = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["HeadersConfig"] == {"HeaderBehavior": "whitelist", "Headers": ["Accept"]}
    assert key["CookiesConfig"] == {"CookieBehavior": "none"}
    assert set(key["QueryStringsConfig"]["QueryStrings"]) == QUERY
    assert policy["DefaultTTL"] == policy["MinTTL"] == 0


def test_cloudfront_speaks_tls_keeps_no_error_and_asks_the_bucket_before_the_api():
    config = Resolved("edge", **WHOLE["edge"]).properties("Distribution")["DistributionConfig"]
    assets, api = config["Origins"]
    assert assets["OriginAccessControlId"] == "<AssetsAccess>"
    assert api["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    behaviours = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    for behaviour in behaviours:
        assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https"
        assert behaviour["AllowedMethods"] == ["GET", "HEAD", "OPTIONS"]
        assert behaviour["ResponseHeadersPolicyId"] == "<Headers>"
    (group,) = config["OriginGroups"]["Items"]
    assert [one["OriginId"] for one in group["Members"]["Items"]] == ["assets", "api"]
    assert {403, 404} <= set(group["FailoverCriteria"]["StatusCodes"]["Items"])
    assert config["CacheBehaviors"][0]["PathPattern"] == f"{ASSETS_PREFIX}*"
    assert config["CacheTagConfig"] == {"HeaderName": "x-amz-meta-cache-tag"}
    assert {one["ErrorCachingMinTTL"] for one in config["CustomErrorResponses"]} == {0}


def test_pages_of_every_origin_may_read_pictures_unless_origins_are_named():
    def permitted(**parameters):
        policy = Resolved("edge", **parameters).properties("Headers")["ResponseHeadersPolicyConfig"]
        bucket = Resolved("data", **parameters).properties("AssetsBucket")
        delivery = Resolved("web", **parameters).properties("DeliveryTask")
        rules = bucket.get("CorsConfiguration", {"CorsRules": []})["CorsRules"]
        assert policy["CorsConfig"]["OriginOverride"]  # cached copies have no Origin in their key
        assert not policy["CorsConfig"]["AccessControlAllowCredentials"]
        assert all(rule["AllowedMethods"] == ["GET", "HEAD"] for rule in rules)
        environment = delivery["ContainerDefinitions"][0]["Environment"]
        return (
            policy["CorsConfig"]["AccessControlAllowOrigins"]["Items"],
            [origin for rule in rules for origin in rule["AllowedOrigins"]],
            {one["Name"]: one["Value"] for one in environment}["SAFELIGHT_PICTURE_CORS_ORIGINS"],
        )

    assert permitted() == (["*"], ["*"], "*")
    named = "https://a.example,app://b"
    assert permitted(PictureCorsOrigins=named) == (named.split(","), named.split(","), named)
    bucket = Resolved("data", PictureCorsOrigins="").properties("AssetsBucket")
    assert "CorsConfiguration" not in bucket


def test_every_alarm_for_people_has_a_runbook_that_is_there():
    headings = re.findall(r"^### ([a-z-]+)$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    topics = {"observability": "<Alarms>", "cleanup": WHOLE["cleanup"]["AlarmsTopicArn"]}
    alarms = [
        (topic, alarm)
        for name, topic in topics.items()
        for alarm in Resolved(name, **WHOLE[name]).of_type("AWS::CloudWatch::Alarm").values()
    ]
    told = []
    for topic, alarm in alarms:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
        _, _, runbook = alarm["AlarmDescription"].partition("Runbook: deploy/ecs/README.md#")
        told.append(runbook)
    assert set(told) == set(headings)
    assert len(headings) == len(set(headings))


@pytest.mark.parametrize(
    "metric",
    [
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
    ],
)
def test_every_queue_of_work_has_alarms_for_age_depth_and_messages_in_flight(metric):
    alarms = Resolved("observability").of_type("AWS::CloudWatch::Alarm").values()
    for queue in ("UploadsQueue", "RendersQueue"):
        name = f"<import <DataStack>-{queue}Name>"
        assert any(name in (said := json.dumps(one)) and metric in said for one in alarms), queue


@pytest.mark.parametrize(
    ("visible", "in_flight", "fires"),
    [(0, 0, False), (1, 0, True), (0, 1, True), (0, None, False), (1, None, True)],
)
def test_dead_letters_that_an_operator_looks_at_keep_the_alarm(visible, in_flight, fires):
    alarm = Resolved("observability").properties("DeadLetters")
    points = {
        "ApproximateNumberOfMessagesVisible": visible,
        "ApproximateNumberOfMessagesNotVisible": in_flight,
    }
    minute = {name: value for name, value in points.items() if value is not None}
    (letters,) = Metric.read(alarm["Metrics"]).series([minute])
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert (letters >= alarm["Threshold"]) is fires
    queues = {one["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for one in alarm["Metrics"][:2]}
    assert queues == {"<import <DataStack>-DeadLetterQueueName>"}


def test_the_dashboard_shows_both_queues_and_both_services_of_workers():
    body = Resolved("observability").properties("Overview")["DashboardBody"]
    for shown in ("Data", "UploadsQueueName"), ("Data", "RendersQueueName"):
        assert "<import <{}Stack>-{}>".format(*shown) in body
    for shown in "WorkerServiceName", "RendersServiceName":
        assert f"<import <WorkersStack>-{shown}>" in body
    assert len(json.loads(body)["widgets"]) == 6


@pytest.mark.parametrize("name", NAMES)
def test_what_a_stack_imports_another_exports(name):
    template = Resolved(name, **WHOLE.get(name, {}))
    asked = set(re.findall(r"<import <(\w+)Stack>-(\w+)>", json.dumps(template.resources)))
    exported = {
        (stack, one["Export"]["Name"].removeprefix("stack-"))
        for stack, other in (("Data", "data"), ("Web", "web"), ("Workers", "workers"))
        for one in Resolved(other, **WHOLE[other]).outputs.values()
        if "Export" in one
    }
    assert asked <= {(stack, export) for stack, export in exported}
    assert bool(asked) == (name not in ("data", "network"))


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return read("data")["Resources"]


def statements(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy, as AWS gets them."""
    found = []
    for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
        condition, if_met, _ = statement.get("Fn::If", ("always", statement, None))
        assert condition in ("always", "TlsOnly", "OnEmulator", "HasDistribution", "HasTopicKey")
        found += [] if condition in ("OnEmulator", "HasTopicKey") else [if_met]
    return found


API = {
    "s3:PutObject": "${UploadsBucket.Arn}/uploads/*",
    "s3:GetObject": "${AssetsBucket.Arn}/images/* ${UploadsBucket.Arn}/erasures/users/*",
    "sqs:SendMessage": "CleanupQueue.Arn",
    "dynamodb:GetItem": "Table.Arn",
    "dynamodb:BatchGetItem": "Table.Arn",
    "dynamodb:PutItem": "Table.Arn",
    "dynamodb:UpdateItem": "Table.Arn",
    "dynamodb:Query": "${Table.Arn}/index/owner-index ${Table.Arn}/index/day-index",
}
DELIVERY = {
    "dynamodb:GetItem": "Table.Arn",
    "s3:GetObject": "${AssetsBucket.Arn}/images/* ${UploadsBucket.Arn}/uploads/*",
    "s3:PutObject": "${AssetsBucket.Arn}/images/*",
    "s3:GetObjectVersion": "${UploadsBucket.Arn}/uploads/*",
    "s3:ListBucket": "UploadsBucket.Arn AssetsBucket.Arn",
    "s3:ListBucketVersions": "UploadsBucket.Arn",
    "sqs:SendMessage": "RendersQueue.Arn",
}
OPERATOR = {
    "sqs:ReceiveMessage": "DeadLetterQueue.Arn",
    "sqs:DeleteMessage": "DeadLetterQueue.Arn",
    "sqs:ChangeMessageVisibility": "DeadLetterQueue.Arn",
    "sqs:GetQueueAttributes": "DeadLetterQueue.Arn",
    "sqs:SendMessage": "RendersQueue.Arn CleanupQueue.Arn",
    "dynamodb:GetItem": "Table.Arn",
    "dynamodb:BatchGetItem": "Table.Arn",
    "dynamodb:UpdateItem": "Table.Arn",
    "dynamodb:Query": "${Table.Arn}/index/owner-index ${Table.Arn}/index/day-index",
    "s3:ListBucket": "AssetsBucket.Arn",
    "s3:ListBucketVersions": "UploadsBucket.Arn",
    "s3:GetObject": "${UploadsBucket.Arn}/erasures/*",
}
EXPORT = {
    "dynamodb:GetItem": "Table.Arn",
    "dynamodb:Query": "${Table.Arn}/index/owner-index",
    "s3:GetObject": "${UploadsBucket.Arn}/uploads/*",
    "s3:GetObjectVersion": "${UploadsBucket.Arn}/uploads/*",
    "s3:ListBucket": "UploadsBucket.Arn",
    "s3:ListBucketVersions": "UploadsBucket.Arn",
}
UPLOADS_WORKER = {
    "sqs:ReceiveMessage": "UploadsQueue.Arn",
    "sqs:DeleteMessage": "UploadsQueue.Arn",
    "sqs:ChangeMessageVisibility": "UploadsQueue.Arn",
    "sqs:GetQueueAttributes": "UploadsQueue.Arn DeadLetterQueue.Arn",
    "sqs:SendMessage": "DeadLetterQueue.Arn CleanupQueue.Arn",
    "s3:GetObject": "${UploadsBucket.Arn}/uploads/*",
    "s3:GetObjectVersion": "${UploadsBucket.Arn}/uploads/*",
    "s3:ListBucket": "UploadsBucket.Arn",
    "s3:ListBucketVersions": "UploadsBucket.Arn",
    "s3:PutObject": "${AssetsBucket.Arn}/images/*",
    "dynamodb:GetItem": "Table.Arn",
    "dynamodb:UpdateItem": "Table.Arn",
    "sns:Publish": "Topic",
}
RENDERS_WORKER = {
    action: granted.replace("UploadsQueue", "RendersQueue")
    for action, granted in UPLOADS_WORKER.items()
}
CLEANUP = {
    "sqs:ReceiveMessage": "CleanupQueue.Arn",
    "sqs:DeleteMessage": "CleanupQueue.Arn",
    "sqs:ChangeMessageVisibility": "CleanupQueue.Arn",
    "sqs:GetQueueAttributes": "CleanupQueue.Arn DeadLetterQueue.Arn",
    "sqs:SendMessage": "CleanupQueue.Arn DeadLetterQueue.Arn",
    "s3:ListBucketVersions": "UploadsBucket.Arn",
    "s3:ListBucket": "AssetsBucket.Arn UploadsBucket.Arn",
    "s3:DeleteObject": "${UploadsBucket.Arn}/uploads/* ${AssetsBucket.Arn}/images/*",
    "s3:DeleteObjectVersion": "${UploadsBucket.Arn}/uploads/*",
    "s3:GetObject": "${UploadsBucket.Arn}/erasures/*",
    "s3:PutObject": "${UploadsBucket.Arn}/erasures/*",
    "dynamodb:GetItem": "Table.Arn",
    "dynamodb:UpdateItem": "Table.Arn",
    "dynamodb:DeleteItem": "Table.Arn",
    "dynamodb:Query": "${Table.Arn}/index/owner-index",
    "sns:Publish": "Topic",
    "cloudfront:CreateInvalidation": "DistributionArn",
    "cloudfront:GetInvalidation": "DistributionArn",
}
POLICIES = {
    "ApiPolicy": API,
    "DeliveryPolicy": DELIVERY,
    "UploadsWorkerPolicy": UPLOADS_WORKER,
    "RendersWorkerPolicy": RENDERS_WORKER,
    "CleanupPolicy": CLEANUP,
    "OperatorPolicy": OPERATOR,
    "ExportPolicy": EXPORT,
}


OF_0_1_0 = {"user-id-index"}


@pytest.mark.parametrize(
    ("old_index", "indexes"),
    [
        ("keep", {"user-id-index", "owner-index"}),
        ("drop", {"owner-index"}),
        ("none", {"owner-index", "day-index"}),
    ],
)
def test_the_table_has_the_indexes_of_a_step_and_defines_their_attributes_only(old_index, indexes):
    """DynamoDB refuses a definition that no key uses."""
    table = Resolved("data", OldIndex=old_index).properties("Table")
    keys = [table["KeySchema"], *(one["KeySchema"] for one in table["GlobalSecondaryIndexes"])]
    used = {part["AttributeName"] for key in keys for part in key}
    assert {one["IndexName"] for one in table["GlobalSecondaryIndexes"]} == indexes
    assert sorted(one["AttributeName"] for one in table["AttributeDefinitions"]) == sorted(used)


def test_each_step_of_the_upgrade_from_0_1_0_creates_or_deletes_one_index():
    before = OF_0_1_0
    for step in ("keep", "drop", "none"):
        table = Resolved("data", OldIndex=step).properties("Table")
        after = {one["IndexName"] for one in table["GlobalSecondaryIndexes"]}
        assert len(before ^ after) == 1, step
        before = after
    assert read("data")["Parameters"]["OldIndex"]["Default"] == "none"


def test_the_index_by_day_has_what_a_list_shows_and_what_a_sweep_needs():
    table = Resolved("data").properties("Table")
    (index,) = [one for one in table["GlobalSecondaryIndexes"] if one["IndexName"] == "day-index"]
    has = {"imageId", "day", "completedAt", *index["Projection"]["NonKeyAttributes"]}
    shown = {field.alias for field in Settled.model_fields.values()} - {"perceptualHash"}
    assert shown <= has
    assert has - shown == {"day", "revision"}


@pytest.mark.parametrize(("policy", "granted"), POLICIES.items())
def test_a_policy_grants_exactly_these_actions_on_exactly_these_resources(
    resources, policy, granted
):
    found: dict[str, str] = {}
    for statement in statements(resources[policy]):
        assert statement["Effect"] == "Allow"
        for action in words(statement["Action"]):
            for resource in words(statement["Resource"]):
                found[action] = f"{found.get(action, '')} {_shown(resource)}".strip()
    assert found == granted


def _shown(resource: Any) -> str:
    (value,) = resource.values()  # Ref, Fn::Sub or Fn::GetAtt
    return ".".join(words(value))


@pytest.mark.parametrize(
    "policy",
    [
        *POLICIES,
        "UploadsQueuePolicy",
        "RendersQueuePolicy",
        "CleanupQueuePolicy",
        "DeadLetterQueuePolicy",
        "TopicPolicy",
        "UploadsBucketPolicy",
        "AssetsBucketPolicy",
    ],
)
def test_no_statement_allows_a_wildcard_action_or_everybody(resources, policy):
    for statement in statements(resources[policy]):
        if statement["Effect"] == "Allow":
            assert not any("*" in action for action in words(statement["Action"]))
            assert statement.get("Principal") != "*"
            assert statement["Resource"] != "*"


def test_the_policies_above_are_all_there_are(resources):
    managed = {n for n, one in resources.items() if one["Type"] == "AWS::IAM::ManagedPolicy"}
    assert managed == set(POLICIES)
    inline = {"AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"}
    assert not inline & {one["Type"] for one in resources.values()}


def test_only_cleanup_may_delete_objects():
    """Over every policy of every template, so that a deleter that is added shows up here."""
    deleters: dict[str, set[str]] = {}
    for template in NAMES:
        made = Resolved(template, **WHOLE.get(template, {}))
        for name, statement in templates.statements(made.resources):
            actions = words(statement["Action"]) if "Action" in statement else ["not listed"]
            if statement["Effect"] == "Allow" and any(map(DELETES.match, actions)):
                for resource in words(statement["Resource"]):
                    deleters.setdefault(resource, set()).add(name)
    assert deleters == {
        "<UploadsBucket.Arn>/uploads/*": {"CleanupPolicy"},
        "<AssetsBucket.Arn>/images/*": {"CleanupPolicy"},
    }


def test_who_may_send_where():
    """Over every policy of every template, so that a sender that is added shows up here."""
    senders: dict[str, set[str]] = {}
    for template in NAMES:
        made = Resolved(template, **WHOLE.get(template, {}))
        for name, statement in templates.statements(made.resources):
            sends = {"sqs:SendMessage", "sqs:*", "*"} & set(words(statement["Action"]))
            if statement["Effect"] == "Allow" and sends:
                for resource in words(statement["Resource"]):
                    senders.setdefault(resource, set()).add(name)
    assert senders == {
        "<UploadsQueue.Arn>": {"UploadsQueuePolicy"},
        "<RendersQueue.Arn>": {"DeliveryPolicy", "OperatorPolicy"},
        "<CleanupQueue.Arn>": {
            "ApiPolicy",
            "UploadsWorkerPolicy",
            "RendersWorkerPolicy",
            "CleanupPolicy",
            "OperatorPolicy",
        },
        "<DeadLetterQueue.Arn>": {"UploadsWorkerPolicy", "RendersWorkerPolicy", "CleanupPolicy"},
        "<CompletionsQueue.Arn>": {"CompletionsQueuePolicy"},
    }


def test_every_principal_of_the_account_is_denied_sending_to_the_uploads_queue():
    """Named as the account, a Deny is for all principals in it, administrators included."""
    document = Resolved("data").properties("UploadsQueuePolicy")["PolicyDocument"]
    (deny,) = (one for one in document["Statement"] if one["Sid"] == "OnlyS3Sends")
    assert deny == {
        "Sid": "OnlyS3Sends",
        "Effect": "Deny",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "sqs:SendMessage",
        "Resource": "<UploadsQueue.Arn>",
    }


def test_no_queue_policy_but_that_of_uploads_lets_anybody_in():
    for name in ("RendersQueuePolicy", "CleanupQueuePolicy", "DeadLetterQueuePolicy"):
        document = Resolved("data").properties(name)["PolicyDocument"]
        assert [one["Effect"] for one in document["Statement"]] == ["Deny"]


@pytest.mark.parametrize(
    ("name", "queue"),
    [
        *(("data", queue) for queue in (*WORK_QUEUES, "DeadLetterQueue")),
        *(("completions", queue) for queue in ("CompletionsQueue", "CompletionsDeadLetterQueue")),
    ],
)
def test_a_queue_refuses_whatever_comes_without_tls(name, queue):
    policy = Resolved(name).properties(f"{queue}Policy")
    assert policy["Queues"] == [f"<{queue}>"]
    (deny,) = (one for one in policy["PolicyDocument"]["Statement"] if one["Sid"] == "TlsOnly")
    assert (deny["Effect"], deny["Action"]) == ("Deny", "sqs:*")
    assert deny["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert deny["Resource"] == f"<{queue}.Arn>"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@every_template
def test_every_topic_refuses_what_is_published_without_tls(template):
    topics = template.of_type("AWS::SNS::Topic")
    refusing = {
        statement["Resource"]
        for _, statement in templates.statements(template.resources)
        if statement["Effect"] == "Deny"
        and statement["Action"] == "sns:Publish"
        and statement["Principal"] == "*"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert refusing == {f"<{topic}>" for topic in topics}


def test_the_topic_is_encrypted_with_the_key_that_is_named():
    assert "KmsMasterKeyId" not in Resolved("data").properties("Topic")
    key = WHOLE["data"]["TopicKeyArn"]
    assert Resolved("data", TopicKeyArn=key).properties("Topic")["KmsMasterKeyId"] == key


def test_those_who_publish_may_use_the_topics_key_through_sns_and_no_others():
    def by_policy(action, **parameters):
        data = Resolved("data", **parameters)
        return {
            name: statement
            for name, statement in templates.statements(data.resources)
            if statement["Effect"] == "Allow"
            and action in words(statement["Action"])
            and name in POLICIES
        }

    key = WHOLE["data"]["TopicKeyArn"]
    assert not by_policy("kms:Decrypt")
    granted = by_policy("kms:Decrypt", TopicKeyArn=key)
    assert granted.keys() == by_policy("sns:Publish").keys()
    for statement in granted.values():
        assert statement["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]
        assert statement["Resource"] == key
        via = {"StringEquals": {"kms:ViaService": "sns.eu-central-1.amazonaws.com"}}
        assert statement["Condition"] == via


def test_a_receivers_queue_admits_the_topic_alone_and_gets_the_event_as_it_is():
    template = Resolved("completions", DataStack="data", Outcomes=["rejected"])
    document = template.properties("CompletionsQueuePolicy")["PolicyDocument"]
    (allow,) = (one for one in document["Statement"] if one["Effect"] == "Allow")
    assert allow["Principal"] == {"Service": "sns.amazonaws.com"}
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": "<import data-TopicArn>"}}
    subscription = template.properties("Subscription")
    assert subscription["TopicArn"] == "<import data-TopicArn>"
    assert subscription["RawMessageDelivery"] is True
    assert subscription["FilterPolicy"] == {"outcome": ["rejected"]}


def test_only_the_queues_of_work_may_use_the_dead_letter_queue():
    data = Resolved("data")
    names = [data.properties(queue)["QueueName"] for queue in WORK_QUEUES]
    assert data.properties("DeadLetterQueue")["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [f"arn:aws:sqs:eu-central-1:123456789012:{name}" for name in names],
    }


def test_the_uploads_queue_admits_only_this_stacks_uploads_bucket_of_this_account(resources):
    policy = resources["UploadsQueuePolicy"]
    allow = [one for one in statements(policy) if one["Effect"] == "Allow"]
    assert len(allow) == 1
    assert allow[0]["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow[0]["Action"] == "sqs:SendMessage"
    source = allow[0]["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    bucket = resources["UploadsBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    assert source == "arn:${AWS::Partition}:s3:::" + bucket
    assert allow[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


@pytest.mark.parametrize("bucket", ["UploadsBucket", "AssetsBucket"])
def test_a_bucket_is_private_encrypted_and_kept(resources, bucket):
    properties = resources[bucket]["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert "BucketEncryption" in properties
    assert resources[bucket]["DeletionPolicy"] == "RetainExceptOnCreate"


@pytest.mark.parametrize("bucket", ["UploadsBucket", "AssetsBucket"])
def test_a_bucket_that_is_kept_keeps_its_policy(resources, bucket):
    assert resources[f"{bucket}Policy"]["DeletionPolicy"] == resources[bucket]["DeletionPolicy"]


@pytest.mark.parametrize("bucket", ["UploadsBucket", "AssetsBucket"])
def test_a_bucket_refuses_whatever_comes_without_tls(resources, bucket):
    (deny,) = (one for one in statements(resources[f"{bucket}Policy"]) if one["Effect"] == "Deny")
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(deny["Resource"]) == 2


def test_every_queue_ends_in_the_dead_letter_queue_or_is_it(resources):
    queues = {n: r["Properties"] for n, r in resources.items() if r["Type"] == "AWS::SQS::Queue"}
    assert set(queues) == {*WORK_QUEUES, "DeadLetterQueue"}
    letters = queues["DeadLetterQueue"]
    for name in WORK_QUEUES:
        assert queues[name]["RedrivePolicy"] == {
            "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]},
            "maxReceiveCount": 10,
        }
        assert queues[name]["VisibilityTimeout"] == 60
        assert queues[name]["MessageRetentionPeriod"] == 4 * 86_400
        assert letters["MessageRetentionPeriod"] > queues[name]["MessageRetentionPeriod"]


def test_the_bucket_sends_its_events_to_the_uploads_queue_alone(resources):
    notification = resources["UploadsBucket"]["Properties"]["NotificationConfiguration"]
    targets = {json.dumps(one["Queue"]) for one in notification["QueueConfigurations"]}
    assert list(notification) == ["QueueConfigurations"]
    assert targets == {json.dumps({"Fn::GetAtt": ["UploadsQueue", "Arn"]})}


def test_the_table_can_be_restored_and_forgets_what_has_expired(resources):
    table = resources["Table"]["Properties"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


def test_every_made_thing_is_named_in_the_outputs(resources):
    told = json.dumps(read("data")["Outputs"])
    for name, resource in resources.items():
        if not fnmatch.fnmatch(resource["Type"], "AWS::S*::*Policy"):
            assert f'"{name}"' in told or f'"{name}.' in told, name


def test_the_secret_of_image_ids_is_made_once_and_kept(resources):
    secret = resources["IdSecret"]
    assert secret["DeletionPolicy"] == "RetainExceptOnCreate"
    assert secret["UpdateReplacePolicy"] == "Retain"
    # Another text here would put a new value into the secret of every stack that is updated.
    made = {"PasswordLength": 64, "ExcludePunctuation": True}
    assert secret["Properties"]["GenerateSecretString"] == made
    assert "AWS::SecretsManager::RotationSchedule" not in {
        one["Type"] for one in resources.values()
    }
    assert made["PasswordLength"] >= LEAST_SECRET_LENGTH


def test_an_existing_secret_of_image_ids_takes_the_place_of_a_new_one():
    own = Resolved("data")
    assert own.outputs["IdSecretArn"]["Value"] == "<IdSecret>"
    restored = Resolved("data", IdSecretArn="arn:aws:secretsmanager:::secret:kept")
    assert "IdSecret" not in restored.resources
    assert restored.outputs["IdSecretArn"]["Value"] == "arn:aws:secretsmanager:::secret:kept"
    for template in (own, restored):
        assert template.outputs["IdSecretArn"]["Export"]["Name"] == "stack-IdSecretArn"


SECRET_ARN = "<import stack-data-IdSecretArn>"


@pytest.mark.parametrize("kind", TEMPLATE_OF)
def test_a_task_gets_the_secret_of_image_ids_as_a_secret(kind):
    template = Resolved(TEMPLATE_OF[kind], DataStack="stack-data")
    ours = template.properties(f"{kind}Task")["ContainerDefinitions"][0]
    assert {"Name": "SAFELIGHT_ID_SECRET", "ValueFrom": SECRET_ARN} in ours["Secrets"]
    assert "SAFELIGHT_ID_SECRET" not in {one["Name"] for one in ours["Environment"]}


@pytest.mark.parametrize("name", ["web", "workers", "cleanup"])
def test_only_the_execution_role_reads_the_secret_of_image_ids(name):
    template = Resolved(name, DataStack="stack-data")
    reading = [
        (role, statement["Action"], words(statement["Resource"]))
        for role, statement in templates.statements(template.resources)
        if any(word.startswith("secretsmanager:") for word in words(statement["Action"]))
    ]
    assert reading == [("ExecutionRole", "secretsmanager:GetSecretValue", [SECRET_ARN])]


@pytest.mark.parametrize("name", ["web", "edge"])
def test_the_readme_explains_the_parameters_that_guard_the_load_balancer(name):
    text = (FOLDER / "README.md").read_text()
    guards = re.compile("Origin.*Secret|WebAcl|PrefixList|AccessLogs|ClientCidr|CertificateArn")
    for parameter in filter(guards.search, read(name)["Parameters"]):
        assert re.search(rf"\b{parameter}\b", text), parameter


@pytest.mark.parametrize("path", [FOLDER / "README.md", FOLDER.parents[1] / "SECURITY.md"])
def test_documents_say_what_cloudfronts_own_certificate_allows(path):
    text = " ".join(path.read_text().split())
    assert "lets viewers use TLS 1.0 and 1.1" in text
    assert "`Host`" in text
    assert "`CertificateArn`" in text
