"""Verifies bearer tokens: JWTs of one OpenID Connect issuer, Cognito's included."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import jwt

from api.jwks import ALGORITHMS
from safelight import users

LEEWAY_SECONDS = 30
"""How far the issuer's clock and ours may be apart."""
MAX_TOKEN_CHARACTERS = 16 * 1024

_COGNITO_USES = ("id", "access")
_REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidIssuerError: "The token is of another issuer.",
    jwt.InvalidSignatureError: "The token's signature is wrong.",
    jwt.InvalidAlgorithmError: "The token is signed in a way that is not accepted.",
    jwt.InvalidKeyError: "The token's signing key is too weak.",
}


class InvalidToken(Exception):
    """A token that is not accepted; the message says why, and may be told to whoever sent it."""


class Keys(Protocol):
    """The issuer's signing keys."""

    async def find(self, key_id: str | None) -> Sequence[jwt.PyJWK]:
        """Find the keys of an id, or those that a token without one may mean."""
        ...


class Tokens:
    """What is asked of a token: whose it is, whom it is for, that it is valid now."""

    def __init__(self, keys: Keys, *, issuer: str, audience: Collection[str]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = frozenset(audience)

    async def subject_of(self, token: str) -> str:
        """Return the subject that a token speaks for.

        Raises `InvalidToken`, and `Unavailable` while the issuer's keys are out of reach.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise InvalidToken(f"The token is longer than {MAX_TOKEN_CHARACTERS} characters.")
        key_id, algorithm = _header_of(token)
        keys = await self._keys.find(key_id)
        if not keys:
            raise InvalidToken("The token's key is not among those that the issuer published.")
        claims = self._verified(token, [key for key in keys if key.algorithm_name == algorithm])
        self._check_audience(claims)
        if not users.is_subject(claims["sub"]):
            raise InvalidToken(f"The token's sub is not {users.SUBJECT_FORM}.")
        return str(claims["sub"])

    def _verified(self, token: str, keys: Sequence[jwt.PyJWK]) -> Mapping[str, Any]:
        """Return the claims of a token that one of the keys, all of its algorithm, has signed."""
        refusal = InvalidToken(_REASONS[jwt.InvalidAlgorithmError])
        for key in keys:
            try:
                return self._verified_by(key, token)
            except InvalidToken as error:
                refusal = error
                if not isinstance(error.__cause__, _OF_THIS_KEY):
                    break
        raise refusal

    def _verified_by(self, key: jwt.PyJWK, token: str) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["exp", "iss", "sub"],
                    "verify_aud": False,  # ours knows Cognito's access tokens, see below
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.MissingRequiredClaimError as error:
            raise InvalidToken(f"The token has no {error.claim}.") from error
        except _MALFORMED as error:
            raise InvalidToken(_REASONS.get(type(error), _NO_JWT)) from error

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        """Find ourselves in `aud`; Cognito's access tokens name the `client_id` instead."""
        use = claims.get("token_use", "id")
        if use not in _COGNITO_USES:
            raise InvalidToken("The token is neither an id token nor an access token.")
        audience = claims.get("aud", claims.get("client_id") if use == "access" else None)
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(name, str) and name in self._audience for name in named):
            raise InvalidToken("The token is meant for another audience.")


_NO_JWT = "The token is not a well-formed JWT."
# PyJWT's own errors, and what json raises on hostile input.
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


_OF_THIS_KEY = (jwt.InvalidSignatureError, jwt.InvalidKeyError)
"""What another key may put right."""


def _header_of(token: str) -> tuple[str | None, str]:
    """Read the key id and algorithm that a token claims to be signed with: neither is believed."""
    try:
        header = jwt.get_unverified_header(token)
    except _MALFORMED as error:
        raise InvalidToken(_NO_JWT) from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken(_REASONS[jwt.InvalidAlgorithmError])
    key_id = header.get("kid")
    return key_id if isinstance(key_id, str) else None, algorithm
