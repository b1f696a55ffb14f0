"""An OpenID Connect provider on loopback, which holds clients to the code flow with PKCE.

    async with serving(OidcProvider()) as provider:
        settings = provider.settings(pages_url)

It checks what a client sends as a real provider does. `faults` and the like make it misbehave.
"""

import asyncio
import contextlib
import hmac
import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import unquote, urlencode

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
CONSENT = """<!doctype html><html lang="en"><title>Provider</title>
<form method="post"><button name="answer" value="allow">Allow</button>
<button name="answer" value="deny">Deny</button></form></html>"""


@dataclass(frozen=True, slots=True)
class Grant:
    """A sign-in that a code was issued for."""

    redirect_uri: str
    challenge: str
    nonce: str


@dataclass
class OidcProvider:
    """The provider. Requests that break the protocol are listed in `violations`."""

    client_id: str = "pages"
    client_secret: str | None = None
    redirect_uri: str = ""
    subject: str = "carol"
    claims: dict[str, Any] = field(default_factory=dict)
    """Changes of the claims of id tokens; None leaves one out."""
    configuration: dict[str, Any] = field(default_factory=dict)
    """Changes of the configuration document."""
    token_answer: web.Response | None = None
    """What the token endpoint answers in place of tokens."""
    failing: bool = False
    """Whether the configuration document cannot be fetched."""
    hanging: bool = False
    """Whether the token endpoint never answers."""
    url: str = ""
    name: str = ""
    """The issuer's name; by default its address."""
    grants: dict[str, Grant] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        """The `iss` of tokens."""
        return self.name or self.url

    def settings(self, pages_url: str) -> dict[str, str]:
        """Return the variables of an API with pages at this address. The provider expects it."""
        self.redirect_uri = f"{pages_url}/ui/callback"
        secret = {"SAFELIGHT_OIDC_CLIENT_SECRET": self.client_secret or ""}
        return {
            "SAFELIGHT_PAGES_URL": pages_url,
            "SAFELIGHT_OIDC_ISSUER": self.issuer,
            "SAFELIGHT_OIDC_AUDIENCE": "safelight",
            "SAFELIGHT_OIDC_CLIENT_ID": self.client_id,
            "SAFELIGHT_OIDC_DISCOVERY_URL": f"{self.url}/.well-known/openid-configuration",
            **(secret if self.client_secret else {}),
        }

    def application(self) -> web.Application:
        """Return the provider's routes."""
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/authorize", self._consent)
        app.router.add_post("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        return app

    async def _configuration(self, _: web.Request) -> web.Response:
        if self.failing:
            return web.Response(status=500)
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        return web.json_response(document | self.configuration)

    async def _keys(self, _: web.Request) -> web.Response:
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return web.json_response({"keys": [{**jwk, "kid": "one", "use": "sig", "alg": "RS256"}]})

    async def _consent(self, _: web.Request) -> web.Response:
        return web.Response(text=CONSENT, content_type="text/html")

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = request.query
        expected = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge_method": "S256",
        }
        for name, value in expected.items():
            if asked.getall(name, []) != [value]:
                return self._violated(f"{name} is {asked.getall(name, [])}")
        if "openid" not in asked.get("scope", "").split() or len(asked["code_challenge"]) != 43:
            return self._violated("no openid, or no challenge")
        answer = (await request.post()).get("answer", "allow")
        sent = {"state": asked["state"], "iss": self.issuer}
        if answer == "deny":
            return self._sent_back(sent | {"error": "access_denied"})
        code = secrets.token_urlsafe(16)
        self.grants[code] = Grant(self.redirect_uri, asked["code_challenge"], asked["nonce"])
        return self._sent_back(sent | {"code": code})

    def _sent_back(self, query: dict[str, str]) -> web.Response:
        return web.Response(
            status=303, headers={"Location": f"{self.redirect_uri}?{urlencode(query)}"}
        )

    async def _token(self, request: web.Request) -> web.Response:
        if self.hanging:
            await asyncio.Event().wait()
        if self.token_answer is not None:
            return self.token_answer
        if request.cookies:
            return self._violated("a cookie")
        form = {name: str(value) for name, value in (await request.post()).items()}
        if not self._is_client(request, form):
            return self._violated("invalid_client", status=401)
        grant = self.grants.pop(form.get("code", ""), None)  # so each code is good once
        hashed = sha256(form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(hashed).rstrip(b"=").decode()
        if (
            grant is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != grant.redirect_uri
            or not hmac.compare_digest(challenge, grant.challenge)
        ):
            return self._violated("invalid_grant")
        tokens = {"token_type": "Bearer", "id_token": self.id_token(grant.nonce)}
        answer = web.json_response(tokens)
        answer.set_cookie("sticky", grant.nonce)  # as load balancers do
        return answer

    def id_token(self, nonce: str) -> str:
        """Return an id token of the subject."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": f"{self.subject}@example.com",
        }
        kept = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return jwt.encode(kept, KEY, "RS256", headers={"kid": "one"})

    def _is_client(self, request: web.Request, form: dict[str, str]) -> bool:
        """Return whether the client authenticates: in one way, by Basic unless configured."""
        header = request.headers.get("Authorization", "")
        if self.client_secret is None:
            return not header and form.get("client_id") == self.client_id
        if "token_endpoint_auth_methods_supported" in self.configuration:
            given = form.get("client_id"), form.get("client_secret")
            return not header and given == (self.client_id, self.client_secret)
        user, _, secret = b64decode(header.removeprefix("Basic ")).decode().partition(":")
        pair = unquote(user), unquote(secret)
        return "client_secret" not in form and pair == (self.client_id, self.client_secret)

    def _violated(self, why: str, *, status: int = 400) -> web.Response:
        self.violations.append(why)
        return web.json_response({"error": why}, status=status)


@contextlib.asynccontextmanager
async def serving(provider: OidcProvider) -> AsyncIterator[OidcProvider]:
    """Serve a provider for the block."""
    async with TestServer(provider.application()) as server:
        provider.url = f"http://{server.host}:{server.port}"
        yield provider
