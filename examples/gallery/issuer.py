"""Issues tokens to this backend's own users, as an OpenID Connect issuer that Safelight believes.

Safelight fetches the public key from here. Users never see a token: their browsers have a session
with this backend, which asks Safelight in their names.
"""

import json
import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

AUDIENCE = "safelight"
TOKEN_SECONDS = 300


class Issuer:
    """A signing key and the address under which Safelight finds its public part."""

    def __init__(self, url: str, key_file: Path) -> None:
        """Read the key, or make one. Keep it: after a change, tokens are refused for 30 seconds."""
        self._url = url
        if not key_file.exists():
            self._make_key(key_file)
        key = load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_file} is not a key for ES256")
        self._key = key
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        key_id = sha256(json.dumps(public, sort_keys=True).encode()).hexdigest()[:16]
        self._public: dict[str, Any] = {**public, "kid": key_id, "use": "sig", "alg": "ES256"}

    @staticmethod
    def _make_key(file: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as opened:
            opened.write(pem)

    def token(self, user: str) -> str:
        """Issue a token for one of this backend's users."""
        now = int(time.time())
        claims = {"iss": self._url, "aud": AUDIENCE, "sub": user, "iat": now}
        return jwt.encode(
            claims | {"exp": now + TOKEN_SECONDS},
            self._key,
            algorithm="ES256",
            headers={"kid": self._public["kid"]},
        )

    def add_routes(self, app: web.Application) -> None:
        """Publish where the key is, and the key."""
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/keys", self._keys)

    async def _configuration(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": self._url, "jwks_uri": f"{self._url}/keys"})

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [self._public]})
