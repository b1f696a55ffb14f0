"""An issuer's signing keys: fetched without blocking, cached, fetched again on rotation."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import aiohttp
import jwt
import stamina
import structlog

from safelight.errors import Unavailable

log = structlog.get_logger()

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Only asymmetric algorithms, so that a key from the published set cannot sign tokens."""

LIFETIME_SECONDS = 3600
"""How long keys are used before they are fetched again."""
KEPT_SECONDS = 24 * 3600
"""How long keys are used at most while fetches fail: the issuer may have revoked them."""
MAX_KEYS_OF_ONE_ID = 4
"""How many keys are kept under one id, or without an id. A token is checked against each."""
COOL_DOWN_SECONDS = 30
"""The shortest time between two fetches, whatever keys tokens name."""
FETCH_SECONDS = 5
"""The time limit for a fetch with all its attempts."""
FETCH_ATTEMPTS = 3
MAX_DOCUMENT_BYTES = 256 * 1024

CONFIGURATION = "/.well-known/openid-configuration"

Jwks = Mapping[str, Any]


class Issuer:
    """An OpenID Connect issuer as seen over HTTP: discovery, then its key set."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        issuer: str,
        jwks_url: str | None,
        acceptable: Callable[[str], bool],
        discovery_url: str | None = None,
    ) -> None:
        """`acceptable` returns whether a discovered URL may be fetched.

        Without a `discovery_url` the issuer's name is the beginning of its address.
        """
        self._session = session
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._acceptable = acceptable
        self._discovery_url = discovery_url or f"{issuer.rstrip('/')}{CONFIGURATION}"

    async def fetch(self) -> Jwks:
        """Fetch the key set, in a few attempts. Raises `Unavailable` if all of them fail."""
        return await self._in_time(self._fetch_once, what="keys")

    async def configuration(self) -> Jwks:
        """Fetch the configuration document. Raises `Unavailable` if all attempts fail."""
        return await self._in_time(self._configuration_once, what="configuration")

    async def _in_time(self, fetch: Callable[[], Awaitable[Jwks]], *, what: str) -> Jwks:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await self._retried(fetch)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            cause = str(error) or type(error).__name__
            raise Unavailable("oidc", f"its {what} could not be fetched: {cause}") from error

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
        return self.endpoint("jwks_uri", await self._configuration_once())

    async def _configuration_once(self) -> Jwks:
        document = await self._document(self._discovery_url)
        if document.get("issuer") != self._issuer:
            raise ValueError(f"{self._discovery_url} names another issuer")
        return document

    def endpoint(self, name: str, configuration: Jwks) -> str:
        """Return a URL of the configuration document. Raises a `ValueError` for an unsafe one."""
        url = configuration.get(name)
        if not isinstance(url, str) or not self._acceptable(url):
            raise ValueError(f"{self._discovery_url} names no https:// {name}")
        return url

    async def _document(self, url: str) -> Jwks:
        """Fetch one small JSON object. Redirects are not followed."""
        async with self._session.get(
            url, allow_redirects=False, headers={"Accept": "application/json"}
        ) as answer:
            document = await read_object(answer, url) if answer.status == 200 else None
        if document is None:
            raise aiohttp.ClientError(f"{url} answered {answer.status}")
        return document


class SigningKeys:
    """The keys that an issuer signs with, by key id.

    If a fetch fails, the known keys stay valid for a day, so that a short outage of the issuer
    refuses no token.
    """

    def __init__(self, issuer: Issuer, *, now: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._now = now
        self._keys: Mapping[str, tuple[jwt.PyJWK, ...]] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._failing = False
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str | None) -> Sequence[jwt.PyJWK]:
        """Return the keys with an id. Without an id: the keys that have none, or the only key.

        Raises `Unavailable` for an unknown key while the issuer's keys cannot be fetched.
        """
        if self._now() - self._fetched_at >= KEPT_SECONDS:
            self._keys = {}
        if self._must_fetch(key_id) and not (self._fetching.locked() and key_id in self._keys):
            async with self._fetching:
                if self._must_fetch(key_id):  # another task may have fetched it meanwhile
                    await self._refresh()
        found = self._keys.get(key_id or "", ())
        if key_id is None and len(self._keys) == 1:
            (found,) = self._keys.values()
        if not found and self._failing:  # the issuer may have published it
            raise Unavailable("oidc", "its keys could not be fetched; the log has the cause")
        return found

    def _must_fetch(self, key_id: str | None) -> bool:
        stale = self._now() - self._fetched_at >= LIFETIME_SECONDS
        unknown = not self._keys or (key_id is not None and key_id not in self._keys)
        return (stale or unknown) and self._now() - self._tried_at >= COOL_DOWN_SECONDS

    async def _refresh(self) -> None:
        try:
            keys = read_keys(await self._issuer.fetch())
        except Unavailable as error:
            self._failing = True
            log.warning("signing_keys_not_fetched", error=str(error), kept=len(self._keys))
        else:
            self._keys, self._failing, self._fetched_at = keys, False, self._now()
        finally:
            self._tried_at = self._now()


def read_keys(jwks: Jwks) -> Mapping[str, tuple[jwt.PyJWK, ...]]:
    """Return the public signing keys of a set by id; those without an id are under `""`.

    Keys for other uses or of unknown types are left out. If several share an id or have none, only
    the first few are kept. A key is bound to one algorithm: its own, or the usual one of its type.
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
        except (jwt.PyJWTError, TypeError, ValueError):  # the other keys may be usable
            continue
        if key.algorithm_name in ALGORITHMS:
            key_id = str(entry.get("kid", ""))
            keys[key_id] = (*keys.get(key_id, ()), key)[:MAX_KEYS_OF_ONE_ID]
    if not keys:
        raise Unavailable("oidc", "the issuer's key set has no usable signing key")
    return keys


async def read_object(answer: aiohttp.ClientResponse, url: str) -> Jwks:
    """Read a small JSON object. Raises a `ValueError` for anything else."""
    body = await answer.content.read(MAX_DOCUMENT_BYTES + 1)
    while len(body) <= MAX_DOCUMENT_BYTES and not answer.content.at_eof():
        body += await answer.content.read(MAX_DOCUMENT_BYTES + 1)
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
