"""Signing in at the OpenID Connect issuer: the code flow with PKCE, state and nonce.

A sealed cookie keeps a pending sign-in in the browser that began it. So a link that another person
made cannot sign the user in as that person.
"""

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Literal

import aiohttp
from aiohttp import web

from api.jwks import Issuer, SigningKeys
from api.middlewares import note
from api.pages.cookie import SealedCookie
from api.pages.provider import (
    MAX_ERROR_LENGTH,
    TEMPORARY_ERRORS,
    Provider,
    RefusedClient,
    RefusedCode,
)
from api.pages.sessions import PageSessions
from api.pages.sign_in import START, checked, failed, went
from api.settings import ApiSettings
from api.tokens import InvalidToken, Tokens
from safelight.errors import Unavailable

CALLBACK = "/ui/callback"
COOKIE = "safelight-login"
PENDING_SECONDS = 600
"""How long a user may take to sign in at the issuer."""
SECRET_BYTES = 32

Fault = Literal["denied", "expired", "refused", "unavailable"]
"""Why a sign-in failed, as the page of sign-in says it."""
_FAULTS: Mapping[str, Fault] = {
    "access_denied": "denied",
    **dict.fromkeys(TEMPORARY_ERRORS, "unavailable"),
}
"""The faults of errors with which an issuer sends a user back; any other is `refused`."""


class NotSignedIn(Exception):
    """A sign-in that failed. The message is for the log."""

    def __init__(self, fault: Fault, why: str) -> None:
        super().__init__(why)
        self.fault = fault


class Login:
    """`GET /ui/login` and `GET /ui/callback`."""

    def __init__(
        self,
        sessions: PageSessions,
        provider: Provider,
        *,
        tokens: Tokens,
        issuer: str,
        client_id: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`tokens` verifies id tokens for this client."""
        self._sessions = sessions
        self._provider = provider
        self._tokens = tokens
        self._issuer = issuer
        self._client_id = client_id
        self._pending = SealedCookie(
            sessions.seal,
            name=COOKIE,
            seconds=PENDING_SECONDS,
            pages_url=sessions.pages_url,
            now=now,
        )

    async def begin(self, request: web.Request) -> web.Response:
        """Send the user to the issuer."""
        to = checked(request.query.get("to"))
        state, nonce, verifier = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(3))
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        try:
            url = await self._provider.authorization_url(
                state=state, nonce=nonce, challenge=challenge
            )
        except Unavailable as error:
            note(request, sign_in_failed="unavailable", error=str(error))
            return failed("unavailable", to)
        response = went(url)
        document = {"state": state, "nonce": nonce, "verifier": verifier, "to": to}
        self._pending.write(request, response, document)
        return response

    async def finish(self, request: web.Request) -> web.Response:
        """Begin the session of the user whom the issuer sent back, or say why there is none.

        A request that does not belong to the pending sign-in leaves that as it is.
        """
        pending = self._pending.read(request)
        if pending is None or not _same(_one(request, "state"), pending["state"]):
            note(request, sign_in_failed="expired")
            return failed("expired", START)
        to = checked(pending["to"])
        try:
            claims = await self._claims(request, pending)
        except NotSignedIn as error:
            note(request, sign_in_failed=error.fault, error=str(error))
            response = failed(error.fault, to)
        else:
            response = went(to)
            user_id = self._sessions.begin_by_claims(request, response, claims)
            note(request, signed_in="oidc", user_id=user_id)
        self._pending.clear(request, response)
        return response

    async def _claims(self, request: web.Request, pending: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the claims of the user's id token, or raise `NotSignedIn`."""
        if "iss" in request.query and _one(request, "iss") != self._issuer:
            raise NotSignedIn("refused", "the answer is of another issuer")
        if "error" in request.query:
            error = request.query["error"][:MAX_ERROR_LENGTH]
            why = request.query.get("error_description", "")[:MAX_ERROR_LENGTH]
            fault = _FAULTS.get(error, "refused")
            raise NotSignedIn(fault, f"the issuer answered {error!r}: {why!r}")
        code = _one(request, "code")
        if not code:
            raise NotSignedIn("refused", "the answer has no code")
        try:
            token = await self._provider.id_token(code, verifier=pending["verifier"])
            claims = await self._tokens.claims_of(token)
        except RefusedCode as error:
            raise NotSignedIn("expired", str(error)) from error
        except (InvalidToken, RefusedClient) as error:
            raise NotSignedIn("refused", str(error)) from error
        except Unavailable as error:
            raise NotSignedIn("unavailable", str(error)) from error
        self._check(claims, nonce=pending["nonce"])
        return claims

    def _check(self, claims: Mapping[str, Any], *, nonce: str) -> None:
        """Check that a verified token is the id token of this sign-in."""
        if claims.get("token_use", "id") != "id":
            raise NotSignedIn("refused", "the token is no id token")
        audience = claims["aud"]
        only = self._client_id if isinstance(audience, str) or len(audience) == 1 else None
        if claims.get("azp", only) != self._client_id:  # it says for which of several audiences
            raise NotSignedIn("refused", "the token was issued to another client")
        if not _same(claims.get("nonce"), nonce):
            raise NotSignedIn("refused", "the token belongs to another sign-in")


def make_login(
    settings: ApiSettings,
    sessions: PageSessions,
    http: aiohttp.ClientSession,
    issuer: Issuer,
    keys: SigningKeys,
) -> Login | None:
    """Return the sign-in at the issuer of the settings; None if the pages are no client of it."""
    name, client_id = settings.oidc_issuer, settings.oidc_client_id
    if name is None or client_id is None:
        return None
    secret = settings.oidc_client_secret
    provider = Provider(
        http,
        issuer,
        client_id=client_id,
        client_secret=secret.get_secret_value() if secret else None,
        redirect_uri=f"{settings.pages_url}{CALLBACK}",
    )
    return Login(
        sessions,
        provider,
        tokens=Tokens(keys, issuer=name, audience=(client_id,)),
        issuer=name,
        client_id=client_id,
    )


def _one(request: web.Request, name: str) -> str:
    """Return a parameter that is given once, else an empty text."""
    values = request.query.getall(name, [])
    return values[0] if len(values) == 1 else ""


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())
