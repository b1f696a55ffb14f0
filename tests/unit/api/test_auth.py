import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from api.apikeys import ApiKey, ApiKeys, digest_of, new_key
from api.auth import Authentication
from api.jwks import (
    COOL_DOWN_SECONDS,
    KEPT_SECONDS,
    LIFETIME_SECONDS,
    MAX_KEYS_OF_ONE_ID,
    Issuer,
    SigningKeys,
    read_keys,
)
from api.tokens import InvalidToken, Tokens
from safelight import keys
from safelight.errors import Unavailable
from safelight.record import Record
from safelight.serving import is_safe_url
from tests.unit.api.clients import ALL_KEYS, Start, an_upload
from tests.unit.api.issuer import ALGORITHM, PRIVATE, OidcIssuer, public_jwk


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def tokens(issuer: OidcIssuer, session: aiohttp.ClientSession, clock: Clock) -> Tokens:
    source = Issuer(session, issuer=issuer.url, jwks_url=None, acceptable=is_safe_url)
    return Tokens(SigningKeys(source, now=clock), issuer=issuer.url, audience=["safelight", "app"])


async def refusal(tokens: Tokens, token: str) -> str:
    with pytest.raises(InvalidToken) as caught:
        await tokens.subject_of(token)
    return str(caught.value)


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_a_token_speaks_for_its_subject(issuer: OidcIssuer, tokens: Tokens) -> None:
    assert await tokens.subject_of(issuer.token(sub="auth0|12:3")) == "auth0|12:3"


async def test_keys_of_other_kinds_are_accepted(issuer: OidcIssuer, tokens: Tokens) -> None:
    issuer.published = [public_jwk("rsa"), public_jwk("ec")]
    assert await tokens.subject_of(issuer.token(key="ec")) == "carol"


async def test_one_of_several_audiences_is_enough(issuer: OidcIssuer, tokens: Tokens) -> None:
    assert await tokens.subject_of(issuer.token(aud=["other", "app"])) == "carol"


async def test_cognitos_access_token_names_its_client(issuer: OidcIssuer, tokens: Tokens) -> None:
    claims = {"aud": None, "client_id": "app", "token_use": "access"}
    assert await tokens.subject_of(issuer.token(**claims)) == "carol"


async def test_a_clock_may_be_a_little_off(issuer: OidcIssuer, tokens: Tokens) -> None:
    now = int(time.time())
    assert await tokens.subject_of(issuer.token(exp=now - 5, nbf=now + 5)) == "carol"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": 1}, "has expired"),
        ({"exp": None}, "has no exp"),
        ({"sub": None}, "has no sub"),
        ({"iss": None}, "has no iss"),
        ({"nbf": 2**33}, "not valid yet"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other"]}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": [["safelight"], {}]}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": None, "client_id": "app"}, "another audience"),
        ({"aud": None, "client_id": "app", "token_use": "id"}, "another audience"),
        ({"aud": None, "client_id": "other", "token_use": "access"}, "another audience"),
        ({"token_use": "refresh"}, "neither an id token nor an access token"),
        ({"token_use": ["id"]}, "neither an id token nor an access token"),
        ({"sub": ""}, "sub is not"),
        ({"sub": "x" * 256}, "sub is not"),
        ({"sub": "zoë"}, "sub is not"),
        ({"sub": "a\nb"}, "sub is not"),
        ({"sub": 5}, "not a well-formed JWT"),
    ],
)
async def test_a_token_is_refused_for_its_true_reason(
    issuer: OidcIssuer, tokens: Tokens, claims: dict[str, Any], why: str
) -> None:
    assert why in await refusal(tokens, issuer.token(**claims))


async def test_a_token_that_was_changed_is_refused(issuer: OidcIssuer, tokens: Tokens) -> None:
    head, _, signature = issuer.token().split(".")
    forged = ".".join([head, encoded(issuer.claims(sub="admin")), signature])
    assert "signature is wrong" in await refusal(tokens, forged)


async def test_a_token_without_signature_is_refused(issuer: OidcIssuer, tokens: Tokens) -> None:
    for algorithm in ("none", "None", "NONE"):
        forged = f"{encoded({'alg': algorithm, 'kid': 'rsa'})}.{encoded(issuer.claims())}."
        assert "signed in a way" in await refusal(tokens, forged)


async def test_the_public_key_cannot_be_used_as_a_secret(
    issuer: OidcIssuer, tokens: Tokens
) -> None:
    public = PRIVATE["rsa"].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    signed = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(issuer.claims())}"
    forged = f"{signed}.{encoded(hmac.digest(public, signed.encode(), 'sha256'))}"
    assert "signed in a way" in await refusal(tokens, forged)


async def test_a_published_secret_is_no_key(issuer: OidcIssuer, tokens: Tokens) -> None:
    secret = b"s" * 32
    issuer.published.append({"kty": "oct", "kid": "oct", "k": encoded(secret), "use": "sig"})
    signed = f"{encoded({'alg': 'HS256', 'kid': 'oct'})}.{encoded(issuer.claims())}"
    forged = f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"
    assert "signed in a way" in await refusal(tokens, forged)


async def test_a_key_is_good_for_its_own_algorithm_only(issuer: OidcIssuer, tokens: Tokens) -> None:
    token = jwt.encode(issuer.claims(), PRIVATE["rsa"], "PS256", headers={"kid": "rsa"})
    assert "signed in a way" in await refusal(tokens, token)


async def test_a_key_for_encryption_signs_nothing(issuer: OidcIssuer, tokens: Tokens) -> None:
    issuer.published = [public_jwk("rsa"), public_jwk("rsa-2", use="enc")]
    assert "not among those" in await refusal(tokens, issuer.token(key="rsa-2"))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_weak_key_is_refused(issuer: OidcIssuer, tokens: Tokens) -> None:
    weak = rsa.generate_private_key(public_exponent=65_537, key_size=1024)  # noqa: S505 - on purpose
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True)
    issuer.published = [{**jwk, "kid": "weak", "alg": "RS256"}]
    token = jwt.encode(issuer.claims(), weak, "RS256", headers={"kid": "weak"})
    assert "too weak" in await refusal(tokens, token)


DEEP = b"[" * 9_000


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "...",
        f"{encoded(DEEP)}.e30.x",
        f"{encoded([])}.e30.x",
        f"{encoded({'alg': ['RS256']})}.e30.x",
        f"{encoded({'alg': 'RS256', 'kid': {}})}.e30.x",
        f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'crit': ['x'], 'x': 1})}.e30.x",
        f"{encoded({'alg': 'RS256', 'kid': 'rsa'})}.{encoded(DEEP)}.e30",
        f"{encoded({'alg': 'RS256', 'kid': 'rsa'})}..",
        "\udcff.\udcff.\udcff",
    ],
)
async def test_what_is_no_token_is_refused(tokens: Tokens, token: str) -> None:
    assert await refusal(tokens, token)


async def test_a_huge_token_is_refused_unread(tokens: Tokens) -> None:
    assert "longer than" in await refusal(tokens, "x" * 1_000_000)


async def test_keys_are_fetched_once_for_many_tokens(issuer: OidcIssuer, tokens: Tokens) -> None:
    issuer.answering.clear()
    waiting = [asyncio.create_task(tokens.subject_of(issuer.token())) for _ in range(20)]
    issuer.answering.set()
    assert await asyncio.gather(*waiting) == ["carol"] * 20
    assert issuer.fetches == 1


async def test_a_rotated_key_is_fetched_when_first_met(
    issuer: OidcIssuer, tokens: Tokens, clock: Clock
) -> None:
    await tokens.subject_of(issuer.token())
    issuer.published = [public_jwk("rsa-2")]
    clock.seconds += COOL_DOWN_SECONDS
    assert await tokens.subject_of(issuer.token(key="rsa-2")) == "carol"
    assert issuer.fetches == 2


async def test_unknown_keys_cause_no_storm_of_fetches(
    issuer: OidcIssuer, tokens: Tokens, clock: Clock
) -> None:
    await tokens.subject_of(issuer.token())
    clock.seconds += COOL_DOWN_SECONDS
    for number in range(20):
        assert "not among those" in await refusal(tokens, issuer.token(kid=f"made-up-{number}"))
    assert issuer.fetches == 2
    assert await tokens.subject_of(issuer.token()) == "carol"


async def test_a_key_that_was_taken_back_is_refused_in_the_end(
    issuer: OidcIssuer, tokens: Tokens, clock: Clock
) -> None:
    await tokens.subject_of(issuer.token())
    issuer.published = [public_jwk("rsa-2")]
    clock.seconds += LIFETIME_SECONDS
    assert "not among those" in await refusal(tokens, issuer.token())


async def test_an_issuers_outage_locks_nobody_out(
    issuer: OidcIssuer, tokens: Tokens, clock: Clock
) -> None:
    await tokens.subject_of(issuer.token())
    issuer.failing = True
    clock.seconds += LIFETIME_SECONDS
    for _ in range(5):
        assert await tokens.subject_of(issuer.token()) == "carol"
    assert issuer.fetches == 1 + 2  # one failing fetch, tried twice


async def test_after_a_day_of_outage_the_keys_are_good_no_longer(
    issuer: OidcIssuer, tokens: Tokens, clock: Clock
) -> None:
    await tokens.subject_of(issuer.token())
    issuer.failing = True
    clock.seconds += KEPT_SECONDS - 1
    assert await tokens.subject_of(issuer.token()) == "carol"
    clock.seconds += 1
    with pytest.raises(Unavailable):
        await tokens.subject_of(issuer.token())
    issuer.failing = False
    clock.seconds += COOL_DOWN_SECONDS
    assert await tokens.subject_of(issuer.token()) == "carol"


async def test_without_any_keys_it_is_the_issuer_that_is_unavailable(
    issuer: OidcIssuer, tokens: Tokens, clock: Clock
) -> None:
    issuer.failing = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            await tokens.subject_of(issuer.token())
    assert issuer.fetches == 2
    issuer.failing = False
    clock.seconds += COOL_DOWN_SECONDS
    assert await tokens.subject_of(issuer.token()) == "carol"


async def test_nothing_of_the_requests_that_meet_an_outage_is_kept(
    issuer: OidcIssuer, tokens: Tokens
) -> None:
    issuer.failing = True
    failures = []
    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            await tokens.subject_of(issuer.token())
        failures.append(caught.value)
    assert len({id(failure) for failure in failures}) == 3


async def test_a_token_need_not_name_the_only_key(issuer: OidcIssuer, tokens: Tokens) -> None:
    token = jwt.encode(issuer.claims(), PRIVATE["rsa"], "RS256")
    assert await tokens.subject_of(token) == "carol"


def without_id(key: str, **changes: Any) -> dict[str, Any]:
    return {name: part for name, part in public_jwk(key, **changes).items() if name != "kid"}


@pytest.mark.parametrize("key", ["rsa", "rsa-2", "ec"])
async def test_of_several_keys_without_an_id_each_is_tried(
    issuer: OidcIssuer, tokens: Tokens, key: str
) -> None:
    issuer.published = [without_id("rsa"), without_id("ec"), without_id("rsa-2")]
    token = jwt.encode(issuer.claims(), PRIVATE[key], ALGORITHM[key])
    assert await tokens.subject_of(token) == "carol"
    late = jwt.encode(issuer.claims(exp=1), PRIVATE[key], ALGORITHM[key])
    assert "expired" in await refusal(tokens, late)


@pytest.mark.parametrize("key", ["rsa", "rsa-2"])
async def test_of_two_keys_of_one_id_each_is_tried(
    issuer: OidcIssuer, tokens: Tokens, key: str
) -> None:
    issuer.published = [public_jwk("rsa", kid="one"), public_jwk("rsa-2", kid="one")]
    assert await tokens.subject_of(issuer.token(key=key, kid="one")) == "carol"


async def test_a_key_without_an_id_is_good_for_its_own_algorithm_only(
    issuer: OidcIssuer, tokens: Tokens
) -> None:
    issuer.published = [without_id("rsa", alg="RS512"), without_id("rsa-2")]
    token = jwt.encode(issuer.claims(), PRIVATE["rsa"], "RS256")
    assert "signature is wrong" in await refusal(tokens, token)


def test_only_a_few_keys_of_one_id_are_kept() -> None:
    assert len(read_keys({"keys": [without_id("rsa")] * 99})[""]) == MAX_KEYS_OF_ONE_ID


def oversized(issuer: OidcIssuer) -> None:
    issuer.body = b" " * 300_000


def deep(issuer: OidcIssuer) -> None:
    issuer.body = b"[" * 100_000


def no_json(issuer: OidcIssuer) -> None:
    issuer.body = b"<html>"


def no_list(issuer: OidcIssuer) -> None:
    issuer.body = b'{"keys": 5}'


def no_keys(issuer: OidcIssuer) -> None:
    issuer.published = [{"kty": "EC", "crv": "P-256"}, {"kty": "??"}, {}]


def for_another(issuer: OidcIssuer) -> None:
    issuer.discovery = {"issuer": "https://evil.example"}


def plain_http(issuer: OidcIssuer) -> None:
    issuer.discovery = {"jwks_uri": "http://example.com/keys"}


def a_file(issuer: OidcIssuer) -> None:
    issuer.discovery = {"jwks_uri": "file:///etc/passwd"}


@pytest.mark.parametrize(
    "spoil", [oversized, deep, no_json, no_list, no_keys, for_another, plain_http, a_file]
)
async def test_a_key_set_that_cannot_be_trusted_is_not_used(
    issuer: OidcIssuer, tokens: Tokens, spoil: Callable[[OidcIssuer], None]
) -> None:
    spoil(issuer)
    with pytest.raises(Unavailable):
        await tokens.subject_of(issuer.token())


async def test_a_token_is_a_bearer_token_over_http(
    start: Start, issuer: OidcIssuer, tokens: Tokens
) -> None:
    api = await start(authentication=Authentication(tokens=tokens, keys=ApiKeys(), anonymous=False))
    headers = {"Authorization": f"bearer {issuer.token(sub='dave')}"}
    _, told = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
    assert api.records.records[told["imageId"]].user_id == "oidc:dave"
    assert keys.read_source_key(told["key"]) == ("oidc:dave", told["imageId"])


@pytest.mark.parametrize(
    "subject", ["alice", "key:alice", "oidc:alice", "anonymous", "(adopted)", "key:alice/carol"]
)
async def test_a_token_never_is_a_user_of_another_kind(
    start: Start, issuer: OidcIssuer, tokens: Tokens, subject: str
) -> None:
    api = await start(authentication=Authentication(tokens=tokens, keys=ALL_KEYS, anonymous=False))
    same = {"Idempotency-Key": "order-1"}
    _, alices = await api.post(an_upload(), **same)
    others = [alices["imageId"]]
    for user_id in ("anonymous", "(adopted)", "alice"):
        others.append(keys.new_image_id())
        api.records.records[others[-1]] = Record(
            image_id=others[-1], user_id=user_id, uploaded_at=1, original_key="k"
        )
    bearer = {"Authorization": f"Bearer {issuer.token(sub=subject)}"}
    for image_id in others:
        answer, _ = await api.ask("GET", f"/v1/images/{image_id}", headers=bearer)
        assert answer.status == 404, image_id
    _, told = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=bearer | same)
    assert told["imageId"] not in others
    assert api.records.records[told["imageId"]].user_id == f"oidc:{subject}"
    assert (await api.ask("GET", told["statusUrl"], headers=bearer))[0].status == 200
    assert (await api.get(told["imageId"]))[0].status == 404


@pytest.mark.parametrize("name", ["carol", "oidc:carol", "anonymous", "(adopted)"])
async def test_an_api_key_named_like_another_user_is_not_that_user(
    start: Start, issuer: OidcIssuer, tokens: Tokens, name: str
) -> None:
    named = ApiKeys.read(f"{name}:{digest_of('sl_named')}")
    api = await start(authentication=Authentication(tokens=tokens, keys=named, anonymous=False))
    bearer = {"Authorization": f"Bearer {issuer.token(sub='carol')}"}
    _, carols = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=bearer)
    key = {"X-Api-Key": "sl_named"}
    assert (await api.ask("GET", carols["statusUrl"], headers=key))[0].status == 404
    _, told = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=key)
    assert api.records.records[told["imageId"]].user_id == f"key:{name}"
    assert told["key"].startswith("uploads/key%3A")


async def test_a_refused_token_is_told_why_in_both_ways(
    start: Start, issuer: OidcIssuer, tokens: Tokens
) -> None:
    api = await start(authentication=Authentication(tokens=tokens, keys=ApiKeys(), anonymous=False))
    headers = {"Authorization": f"Bearer {issuer.token(exp=1)}"}
    answer, problem = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
    assert answer.status == 401
    assert problem["type"] == "/problems/invalid_credentials"
    assert problem["detail"] == "The token has expired."
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "The token has expired." in answer.headers["WWW-Authenticate"]


async def test_a_long_token_gets_a_true_answer(
    start: Start, issuer: OidcIssuer, tokens: Tokens
) -> None:
    api = await start(authentication=Authentication(tokens=tokens, keys=ApiKeys(), anonymous=False))
    headers = {"Authorization": f"Bearer {'x' * 20_000}"}
    _, problem = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
    assert "longer than" in problem["detail"]


@pytest.mark.parametrize(
    ("headers", "kind", "why"),
    [
        ([], "unauthenticated", "neither"),
        ([("X-Api-Key", "sl_wrong")], "invalid_credentials", "not known here"),
        ([("X-Api-Key", "eyJ")], "invalid_credentials", "begin with sl_"),
        ([("Authorization", "Bearer sl_wrong")], "invalid_credentials", "not known here"),
        ([("Authorization", "Bearer eyJ")], "invalid_credentials", "tokens are not"),
        ([("Authorization", "Bearer")], "invalid_credentials", "not of the form"),
        ([("Authorization", "Bearer  ")], "invalid_credentials", "not of the form"),
        ([("Authorization", "Basic YTpi")], "invalid_credentials", "not of the form"),
        ([("Authorization", "")], "invalid_credentials", "not of the form"),
        (
            [("Authorization", "Bearer sl_alices-key"), ("X-Api-Key", "sl_alices-key")],
            "invalid_credentials",
            "more than one",
        ),
        (
            [("Authorization", "Bearer sl_alices-key"), ("Authorization", "Bearer x")],
            "invalid_credentials",
            "more than one",
        ),
    ],
)
async def test_credentials_are_refused_for_their_true_reason(
    start: Start, headers: list[tuple[str, str]], kind: str, why: str
) -> None:
    api = await start()
    answer, problem = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
    assert answer.status == 401
    assert problem["type"] == f"/problems/{kind}"
    assert why in problem["detail"]
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="safelight"')


@pytest.mark.parametrize("header", ["X-Api-Key", "Authorization"])
async def test_a_key_stands_for_its_user_in_either_header(start: Start, header: str) -> None:
    api = await start()
    value = "sl_bobs-key" if header == "X-Api-Key" else "Bearer sl_bobs-key"
    _, told = await api.ask("POST", "/v1/uploads", json=an_upload(), headers={header: value})
    assert api.records.records[told["imageId"]].user_id == "key:bob"


async def test_without_authentication_everybody_is_anonymous(start: Start) -> None:
    api = await start(anonymous=True)
    _, told = await api.ask("POST", "/v1/uploads", json=an_upload())
    assert api.records.records[told["imageId"]].user_id == "anonymous"


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/problems/internal"]
)
async def test_only_public_routes_answer_anybody(start: Start, path: str) -> None:
    api = await start()
    answer, _ = await api.ask("GET", path)
    assert answer.status == 200


async def test_every_other_route_wants_credentials(start: Start) -> None:
    api = await start()
    for route in api.client.app.router.routes():
        path = route.resource.canonical.format(imageId="x", problem="x", erasureId="x")
        if path.startswith("/v1/"):
            answer, _ = await api.ask(route.method, path)
            assert answer.status == 401, path


def test_keys_are_read_from_hashes() -> None:
    one, other = new_key(), new_key()
    read = ApiKeys.read(f"a:b:{digest_of(one)} , carol:{digest_of(other)},")
    assert read.find(one) == ApiKey(digest=digest_of(one), name="a:b")
    assert read.find(other) == ApiKey(digest=digest_of(other), name="carol")
    assert read.find(new_key()) is None
    assert read.find("\udcff") is None


@pytest.mark.parametrize(
    "text",
    ["alice", "alice:", f":{'a' * 64}", f"alice:{'A' * 64}", f"zoë:{'a' * 64}", f"a/b:{'a' * 64}"],
)
def test_what_is_no_key_setting_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="key 1 is not of the form") as caught:
        ApiKeys.read(text)
    assert text not in str(caught.value)


def test_a_key_cannot_stand_for_two_users() -> None:
    with pytest.raises(ValueError, match="twice"):
        ApiKeys.read(f"a:{'a' * 64},b:{'a' * 64}")


def test_new_keys_are_long_random_and_recognisable() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith("sl_") and len(key) == 46 for key in made)
