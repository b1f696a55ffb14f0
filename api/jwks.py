"""An issuer's signing keys: fetched without blocking, kept a while, fetched anew on rotation."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import aiohttp
import jwt
import stamina
import structlog

from safelight.errors import Unavailable

log = structlog.get_logger()

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Asymmetric ones only: nothing that the issuer publishes can be used to sign."""

LIFETIME_SECONDS = 3600
KEPT_SECONDS = 24 * 3600
"""The longest that keys are used while no fetch succeeds: the issuer may have taken them back."""
MAX_KEYS_OF_ONE_ID = 4
"""Keys that are kept under one id, or under none: each costs a token the check of a signature."""
COOL_DOWN_SECONDS = 30
"""After a fetch, an unknown key or a failure causes no other for so long."""
FETCH_SECONDS = 5
FETCH_ATTEMPTS = 3
MAX_DOCUMENT_BYTES = 256 * 1024

Jwks = Mapping[str, Any]


class Source(Protocol):
    """Where the key set comes from. Raises `Unavailable`."""

    async def fetch(self) -> Jwks:
        """Fetch the key set as it is now."""
        ...


class SigningKeys:
    """The keys that an issuer signs with, by key id.

    A fetch that fails leaves the keys that are known, for a day: an issuer's shorter outage refuses
    no token.
    """

    def __init__(self, source: Source, *, now: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._now = now
        self._keys: Mapping[str, tuple[jwt.PyJWK, ...]] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._failing = False
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str | None) -> Sequence[jwt.PyJWK]:
        """Find the keys of an id. A token that names none means those without, or the only one.

        Raises `Unavailable` for an unknown key while the issuer is out of reach.
        """
        if self._now() - self._fetched_at >= KEPT_SECONDS:
            self._keys = {}
        if self._wanting(key_id) and not (self._fetching.locked() and key_id in self._keys):
            async with self._fetching:
                if self._wanting(key_id):  # whoever held the lock may have fetched it
                    await self._refresh()
        found = self._keys.get(key_id or "", ())
        if key_id is None and len(self._keys) == 1:
            (found,) = self._keys.values()
        if not found and self._failing:  # the issuer may well publish it: who knows
            raise Unavailable("oidc", "its keys could not be fetched lately; the log says why")
        return found

    def _wanting(self, key_id: str | None) -> bool:
        stale = self._now() - self._fetched_at >= LIFETIME_SECONDS
        unknown = not self._keys or (key_id is not None and key_id not in self._keys)
        return (stale or unknown) and self._now() - self._tried_at >= COOL_DOWN_SECONDS

    async def _refresh(self) -> None:
        try:
            keys = read_keys(await self._source.fetch())
        except Unavailable as error:
            self._failing = True
            log.warning("signing_keys_not_fetched", error=str(error), kept=len(self._keys))
        else:
            self._keys, self._failing, self._fetched_at = keys, False, self._now()
        finally:
            self._tried_at = self._now()


def read_keys(jwks: Jwks) -> Mapping[str, tuple[jwt.PyJWK, ...]]:
    """Read the public signing keys of a set, by id; `""` holds those without one.

    Keys for other uses or of unknown kinds are left out. Several may share an id, or have none; of
    these the first few are read. A key is bound to one algorithm: its own, or the usual one of its
    kind.
    """
    entries = jwks.get("keys")
    if not isinstance(entries, list):
        raise Unavailable("oidc", "the issuer's key set has no list of keys")
    keys: dict[str, tuple[jwt.PyJWK, ...]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry:
            continue
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, TypeError, ValueError):  # an odd key is no reason to refuse others
            continue
        if key.algorithm_name in ALGORITHMS:
            key_id = str(entry.get("kid", ""))
            keys[key_id] = (*keys.get(key_id, ()), key)[:MAX_KEYS_OF_ONE_ID]
    if not keys:
        raise Unavailable("oidc", "the issuer's key set has no usable signing key")
    return keys


class Issuer:
    """An OpenID Connect issuer as seen over HTTP: discovery, then its key set."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        issuer: str,
        jwks_url: str | None,
        acceptable: Callable[[str], bool],
    ) -> None:
        """`acceptable` tells whether a discovered URL may be fetched at all."""
        self._session = session
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._acceptable = acceptable

    async def fetch(self) -> Jwks:
        """Fetch the key set, with a few tries; raise `Unavailable` when none succeeds."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await self._retried(self._fetch_once)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            told = str(error) or type(error).__name__
            raise Unavailable("oidc", f"its keys could not be fetched: {told}") from error

    async def _retried(self, fetch: Callable[[], Awaitable[Jwks]]) -> Jwks:
        retries = stamina.retry_context(
            on=aiohttp.ClientError, attempts=FETCH_ATTEMPTS, wait_initial=0.1, wait_jitter=0.1
        )
        async for attempt in retries:
            with attempt:
                return await fetch()
        raise AssertionError("the last attempt returns or raises")

    async def _fetch_once(self) -> Jwks:
        return await self._document(self._jwks_url or await self._discover())

    async def _discover(self) -> str:
        url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        document = await self._document(url)
        if document.get("issuer") != self._issuer:
            raise ValueError(f"{url} speaks for another issuer")
        jwks_url = document.get("jwks_uri")
        if not isinstance(jwks_url, str) or not self._acceptable(jwks_url):
            raise ValueError(f"{url} names no https:// jwks_uri")
        return jwks_url

    async def _document(self, url: str) -> Jwks:
        """Fetch one small JSON object; redirects are not followed."""
        async with self._session.get(
            url, allow_redirects=False, headers={"Accept": "application/json"}
        ) as answer:
            body = await answer.content.read(MAX_DOCUMENT_BYTES + 1)
            while len(body) <= MAX_DOCUMENT_BYTES and not answer.content.at_eof():
                body += await answer.content.read(MAX_DOCUMENT_BYTES + 1)
            if answer.status != 200:
                raise aiohttp.ClientError(f"{url} answered {answer.status}")
        if len(body) > MAX_DOCUMENT_BYTES:
            raise ValueError(f"{url} is larger than {MAX_DOCUMENT_BYTES} bytes")
        return _object(body, url)


def _object(body: bytes, url: str) -> Jwks:
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError(f"{url} is nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError(f"{url} is not a JSON object")  # noqa: TRY004 - a wrong value from outside
    return cast("Jwks", document)
