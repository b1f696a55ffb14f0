"""A real OpenID Connect issuer on loopback, with the routes that a verifier uses."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PRIVATE = {
    "rsa": rsa.generate_private_key(public_exponent=65_537, key_size=2048),
    "rsa-2": rsa.generate_private_key(public_exponent=65_537, key_size=2048),
    "ec": ec.generate_private_key(ec.SECP256R1()),
}
ALGORITHM = {"rsa": "RS256", "rsa-2": "RS256", "ec": "ES256"}


def public_jwk(key_id: str, **more: Any) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if key_id.startswith("rsa") else jwt.algorithms.ECAlgorithm
    jwk = kind.to_jwk(PRIVATE[key_id].public_key(), as_dict=True)
    return {**jwk, "kid": key_id, "use": "sig", "alg": ALGORITHM[key_id], **more}


@dataclass
class OidcIssuer:
    """A real OpenID Connect issuer on loopback, with the routes that a verifier uses."""

    url: str = ""
    published: list[dict[str, Any]] = field(default_factory=lambda: [public_jwk("rsa")])
    discovery: dict[str, Any] = field(default_factory=dict)
    failing: bool = False
    body: bytes | None = None
    fetches: int = 0
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {"iss": self.url, "sub": "carol", "aud": "safelight", "iat": now, "exp": now + 60}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def token(self, *, key: str = "rsa", kid: str | None = None, **claims: Any) -> str:
        headers = {"kid": kid or key}
        return jwt.encode(self.claims(**claims), PRIVATE[key], ALGORITHM[key], headers=headers)

    async def configuration(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.discovery
        )

    async def keys(self, _: web.Request) -> web.Response:
        self.fetches += 1
        await self.answering.wait()
        if self.failing:
            return web.Response(status=500)
        if self.body is not None:
            return web.Response(body=self.body)
        return web.json_response({"keys": self.published})
