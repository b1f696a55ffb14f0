"""The OpenID Connect issuer as the code flow uses it: where users sign in, and tokens for codes."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from api.jwks import COOL_DOWN_SECONDS, LIFETIME_SECONDS, Issuer, read_object
from api.problems import Refusal
from api.quotas import Quotas
from safelight.errors import Unavailable

EXCHANGE_SECONDS = 10
"""How long the issuer may take to answer with tokens."""
EXCHANGES_AT_ONCE = 8
"""How many codes are exchanged at once. The HTTP client has 100 connections for all its calls."""
EXCHANGES_PER_MINUTE = 300
"""How many codes one process exchanges in a minute. Any client can send invented ones."""
SCOPE = "openid email"
TEMPORARY_ERRORS = frozenset({"server_error", "temporarily_unavailable"})
"""The errors of an issuer after which a new attempt may succeed."""
TEMPORARY_STATUSES = frozenset({408, 429})
"""The statuses below 500 after which a new attempt may succeed."""
MAX_ERROR_LENGTH = 100
"""How much of an issuer's error is logged, in characters."""


class RefusedCode(Exception):
    """The issuer does not accept a code: it was used already, is too old, or of another client."""


class RefusedClient(Exception):
    """The issuer does not accept our requests. The message is for the operator."""


class Provider:
    """Begins sign-ins at the issuer, and exchanges codes for id tokens."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        issuer: Issuer,
        *,
        client_id: str,
        client_secret: str | None,
        redirect_uri: str,
        exchange_seconds: float = EXCHANGE_SECONDS,
        exchanges_per_minute: int = EXCHANGES_PER_MINUTE,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """The issuer knows the pages as a client, and sends users back to `redirect_uri`."""
        self._session = session
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._exchange_seconds = exchange_seconds
        self._exchanges = asyncio.Semaphore(EXCHANGES_AT_ONCE)
        self._quotas = Quotas(exchanges_per_minute, policy="exchanges", now=now)
        self._now = now
        self._configuration: Mapping[str, Any] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def authorization_url(self, *, state: str, nonce: str, challenge: str) -> str:
        """Return the address at the issuer where a user signs in. Raises `Unavailable`."""
        endpoint = await self._endpoint("authorization_endpoint")
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": self._redirect_uri,
                "scope": SCOPE,
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
            quote_via=quote,
        )
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    async def id_token(self, code: str, *, verifier: str) -> str:
        """Exchange a code for the id token of its user; it is not verified yet.

        Raises `RefusedCode`, `RefusedClient`, and `Unavailable` for an issuer that does not answer
        as it should, or at once for too many exchanges. A code can be used once, so nothing is
        tried again.
        """
        if self._exchanges.locked():
            raise Unavailable("oidc", "too many codes are being exchanged")
        try:
            self._quotas.take("all", detail="too many codes were exchanged within a minute")
        except Refusal as error:
            raise Unavailable("oidc", error.detail) from error
        async with self._exchanges:
            return await self._exchange(code, verifier=verifier)

    async def _exchange(self, code: str, *, verifier: str) -> str:
        endpoint = await self._endpoint("token_endpoint")
        try:
            async with (
                asyncio.timeout(self._exchange_seconds),
                self._session.post(
                    endpoint,
                    data={
                        "grant_type": "authorization_code",
                        "code": code,
                        "redirect_uri": self._redirect_uri,
                        "code_verifier": verifier,
                        **self._credentials(),
                    },
                    headers={"Accept": "application/json", **self._authorization()},
                    allow_redirects=False,
                ) as answer,
            ):
                document = await read_object(answer, endpoint)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            cause = str(error) or type(error).__name__
            raise Unavailable("oidc", f"it sent no tokens: {cause}") from error
        why = str(document.get("error"))[:MAX_ERROR_LENGTH]
        temporary = answer.status in TEMPORARY_STATUSES or why in TEMPORARY_ERRORS
        if 400 <= answer.status < 500 and not temporary:
            refused = RefusedCode if why == "invalid_grant" else RefusedClient
            raise refused(f"the issuer answered {answer.status} {why}")
        token = document.get("id_token")
        if answer.status != 200 or not isinstance(token, str):
            raise Unavailable("oidc", f"it answered {answer.status} without an id token")
        return token

    async def _endpoint(self, name: str) -> str:
        configuration = await self._current()
        try:
            return self._issuer.endpoint(name, configuration)
        except ValueError as error:
            raise Unavailable("oidc", str(error)) from error

    async def _current(self) -> Mapping[str, Any]:
        """Return the configuration, fetched once an hour, and after a failure not at once again."""
        async with self._fetching:
            if self._now() - self._fetched_at >= LIFETIME_SECONDS:
                if self._now() - self._tried_at < COOL_DOWN_SECONDS:
                    raise Unavailable("oidc", "its configuration could not be fetched just now")
                self._tried_at = self._now()
                self._configuration = await self._issuer.configuration()
                self._fetched_at = self._now()
            return self._configuration

    def _by_header(self) -> bool:
        """Return whether the client authenticates by HTTP Basic, as is usual."""
        methods = self._configuration.get("token_endpoint_auth_methods_supported")
        return not isinstance(methods, list) or "client_secret_basic" in methods

    def _credentials(self) -> dict[str, str]:
        """Return the fields that name the client, with its secret if no header has it."""
        if self._client_secret is None:
            return {"client_id": self._client_id}
        if self._by_header():
            return {}
        return {"client_id": self._client_id, "client_secret": self._client_secret}

    def _authorization(self) -> dict[str, str]:
        if self._client_secret is None or not self._by_header():
            return {}
        pair = ":".join(quote(part, safe="") for part in (self._client_id, self._client_secret))
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
