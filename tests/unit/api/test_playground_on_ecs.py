"""The playground with the settings that deploy/ecs gives to the api and to delivery.

The api signs at its own host, and browsers fetch through CloudFront from delivery.
"""

import fnmatch
import os
from datetime import UTC, datetime
from typing import Any

import pytest

from api.apikeys import digest_of
from api.dialects.table import DIALECTS, read
from api.settings import ApiSettings
from safelight.settings import PREFIX, variable
from safelight.wish.canonical import canonical
from tests.support.fakes import ID_SECRET
from tests.support.templates import Resolved, words
from tests.support.templates import read as read_template
from tests.unit.api.clients import ALICE, KEYS, Start
from tests.unit.api.test_urls import KEYS as DIALECT_KEYS
from tests.unit.api.test_urls import PRESETS, own

DELIVERY_URL = "https://d111111abcdef8.cloudfront.net"
ID_SECRET_ARN = "<import <DataStack>-IdSecretArn>"
SECRETS = {
    ID_SECRET_ARN: ID_SECRET,
    "<SessionKeys>": "ab" * 32,
    "arn:api-keys": ",".join(f"{user}:{digest_of(key)}" for user, key in KEYS.items()),
    "arn:signing-keys": "web:a-secret-of-the-web",
    **{f"arn:{name}": keys for name, keys in DIALECT_KEYS.items()},
}
"""What ECS reads for each `ValueFrom`."""


def parameter_of(setting: str) -> str:
    """Return the parameter of web.yaml that names the secret of a setting."""
    return "".join(word.capitalize() for word in setting.split("_")) + "SecretArn"


OF_DIALECTS = {parameter_of(setting): f"arn:{setting}" for setting in DIALECT_KEYS}
PAGES = {"PagesUrl": "https://api.example.com"}
GUIDE = {
    "ApiKeysSecretArn": "arn:api-keys",
    "SigningKeysSecretArn": "arn:signing-keys",
    "DeliveryUrl": DELIVERY_URL,
    "OriginSecret": "b" * 32,
}
"""The parameters with which the guide of deploy/ecs ends, before its pages."""


def container(kind: str, **parameters: Any) -> dict[str, Any]:
    """Return the container of a task of web.yaml: `Api` or `Delivery`."""
    web = Resolved("web", **parameters)
    assert not web.refusals()
    first, *_ = web.properties(f"{kind}Task")["ContainerDefinitions"]
    return first


def keys_given(kind: str, **parameters: Any) -> dict[str, str]:
    """Return which secrets of dialects a task is given."""
    secrets = {one["Name"]: one["ValueFrom"] for one in container(kind, **parameters)["Secrets"]}
    of_dialects = {variable(dialect.KEYS) for dialect in DIALECTS.values()}
    return {name: secrets[name] for name in secrets.keys() & of_dialects}


def settings_of(kind: str, **parameters: Any) -> ApiSettings:
    """Load the settings from the environment that ECS gives to a task."""
    ours = container(kind, **parameters)
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            environment.delenv(name)
        for one in ours["Environment"]:
            environment.setenv(one["Name"], str(one["Value"]))
        for one in ours["Secrets"]:
            environment.setenv(one["Name"], SECRETS[one["ValueFrom"]])
        return ApiSettings.load()


def behaviour_of(path: str) -> dict[str, Any]:
    """Return what edge.yaml's distribution does with a path."""
    config = Resolved("edge").properties("Distribution")["DistributionConfig"]
    named = [
        one
        for one in config["CacheBehaviors"]
        if fnmatch.fnmatchcase(path.removeprefix("/"), one["PathPattern"])
    ]
    found: dict[str, Any] = [*named, config["DefaultCacheBehavior"]][0]
    return found


def query_strings(behaviour: dict[str, Any]) -> dict[str, Any]:
    policy = Resolved("edge").properties(behaviour["CachePolicyId"].strip("<>"))
    key = policy["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["HeadersConfig"]["Headers"] == ["Accept"]
    queries: dict[str, Any] = key["QueryStringsConfig"]
    return queries


def through_cloudfront(url: str) -> tuple[str, str]:
    """Return the path and the query that delivery gets of a URL that a browser fetches."""
    assert url.startswith(f"{DELIVERY_URL}/")
    path, _, query = url.removeprefix(DELIVERY_URL).partition("?")
    behaviour = behaviour_of(path)
    assert behaviour["TargetOriginId"] == "api"
    assert behaviour["FunctionAssociations"]
    strings = query_strings(behaviour)
    if strings["QueryStringBehavior"] == "all":
        return path, query
    pairs = [one for one in query.split("&") if one.partition("=")[0] in strings["QueryStrings"]]
    return path, "&".join(pairs)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.NAME)
def test_the_keys_of_a_dialect_are_read_by_delivery_and_by_an_api_with_pages(dialect):
    given = {variable(dialect.KEYS): f"arn:{dialect.KEYS}"}
    named = GUIDE | {parameter_of(dialect.KEYS): f"arn:{dialect.KEYS}"}
    assert keys_given("Delivery", **named) == given
    assert keys_given("Api", **named) == {}
    assert keys_given("Api", **named, **PAGES) == given
    assert keys_given("Delivery", **GUIDE) == keys_given("Api", **GUIDE, **PAGES) == {}
    assert (f"arn:{dialect.KEYS}" in readable(**named)) is True
    assert (f"arn:{dialect.KEYS}" in readable(**GUIDE)) is False
    assert read_template("web")["Parameters"][parameter_of(dialect.KEYS)]["Default"] == ""


def readable(**parameters: Any) -> list[str]:
    """Return the secrets that ECS may read for the tasks."""
    role = Resolved("web", **parameters).properties("ExecutionRole")
    return [
        secret
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "secretsmanager:GetSecretValue"
        for secret in words(statement["Resource"])
    ]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.NAME)
def test_cloudfront_forwards_a_whole_query_where_options_are_in_it(dialect):
    behaviour = behaviour_of(f"{dialect.PREFIX}a.jpg")
    has_options = any(map(dialect(keys=()).knows, ("width", "w")))
    everything = query_strings(behaviour)["QueryStringBehavior"] == "all"
    assert everything is has_options


@pytest.mark.parametrize("faces", ["off", "rekognition"])
async def test_what_the_playground_signs_is_delivered_through_cloudfront(
    start: Start, faces: str
) -> None:
    parameters = GUIDE | PAGES | OF_DIALECTS | {"Faces": faces}
    delivery = settings_of("Delivery", **parameters)
    given = settings_of("Api", **parameters).model_dump(exclude={"presets"})
    api = await start(presets=PRESETS, **given)
    image_id = own(api)

    page, _ = await api.ask("GET", "/ui/playground")
    allowed = page.headers["Content-Security-Policy"].split("; ")
    (connect,) = [one for one in allowed if one.startswith("connect-src ")]
    assert DELIVERY_URL in connect.split()

    _, shown = await api.ask("GET", "/v1/presets", headers=ALICE)
    (gravity,) = [one for one in shown["words"] if one["name"] == "gravity"]
    assert ("faces" in gravity["choices"]) is delivery.looks_for_faces is (faces != "off")

    towards = "faces" if faces != "off" else "attention"
    options = f"box=90x60,fit=cover,gravity={towards},enlarge=yes,format=webp"
    asked = {"imageId": image_id, "options": options, "expiresIn": 100, "preview": True}
    answer, body = await api.ask("POST", "/v1/urls", json=asked, headers=ALICE)
    assert answer.status == 200, body
    assert body["urls"].keys() == DIALECTS.keys()
    signed = {name: one["url"] for name, one in body["urls"].items() if "url" in one}
    assert {"own", "imgix"} <= signed.keys()
    assert not [one for one in body["urls"].values() if "off" in one]
    for url in (*signed.values(), body["preview"]["url"]):
        path, query = through_cloudfront(url)
        meant = read(path, query, delivery.dialects, now=datetime.now(UTC))
        assert (canonical(meant.options), meant.source.key) == (options, image_id)

    asked = {"imageId": image_id, "preset": "secret", "expiresIn": 100}
    _, body = await api.ask("POST", "/v1/urls", json=asked, headers=ALICE)
    path, query = through_cloudfront(body["urls"]["preset"]["url"])
    said = dict(pair.split("=", 1) for pair in query.split("&"))
    assert delivery.signing.check(path, said).key_id == "web"


def test_scripts_of_the_page_may_read_what_cloudfront_answers() -> None:
    policy = Resolved("edge").properties("Headers")["ResponseHeadersPolicyConfig"]["CorsConfig"]
    assert policy["AccessControlAllowOrigins"]["Items"] == ["*"]
    assert policy["AccessControlExposeHeaders"]["Items"] == ["*"]  # also Server-Timing
    assert settings_of("Delivery", **GUIDE).picture_cors_origins == ("*",)
