"""Verifies bearer tokens: JWTs from one OpenID Connect issuer, which may be Cognito."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jwt

from api.jwks import ALGORITHMS, SigningKeys
from safelight import users

LEEWAY_SECONDS = 30
"""How many seconds the issuer's clock and ours may differ by."""
MAX_TOKEN_CHARACTERS = 16 * 1024

_COGNITO_USES = ("id", "access")
_REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidIssuerError: "The token is from another issuer.",
    jwt.InvalidSignatureError: "The token's signature is wrong.",
    jwt.InvalidAlgorithmError: "The token is signed in a way that is not accepted.",
    jwt.InvalidKeyError: "The token's signing key is too weak.",
}


class InvalidToken(Exception):
    """A token that is not accepted. The message says why and is shown to the client."""


class Tokens:
    """Verifies tokens: signature, issuer, audience and validity."""

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: Collection[str]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = frozenset(audience)

    async def subject_of(self, token: str) -> str:
        """Return a token's subject, or raise `InvalidToken` or `Unavailable`."""
        return str((await self.claims_of(token))["sub"])

    async def claims_of(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token, or raise `InvalidToken`. Its `sub` can be a user's.

        Raises `Unavailable` while the issuer's keys cannot be fetched.
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
        return claims

    def _verified(self, token: str, keys: Sequence[jwt.PyJWK]) -> Mapping[str, Any]:
        """Return a token's claims if one of the keys signed it. All keys have its algorithm."""
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
                    "verify_aud": False,  # _check_audience does: it knows Cognito's access tokens
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.MissingRequiredClaimError as error:
            raise InvalidToken(f"The token has no {error.claim}.") from error
        except _MALFORMED as error:
            raise InvalidToken(_REASONS.get(type(error), _NO_JWT)) from error

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        """Check that `aud` names us. Cognito's access tokens have `client_id` in its place."""
        use = claims.get("token_use", "id")
        if use not in _COGNITO_USES:
            raise InvalidToken("The token is neither an id token nor an access token.")
        audience = claims.get("aud", claims.get("client_id") if use == "access" else None)
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(name, str) and name in self._audience for name in named):
            raise InvalidToken("The token is meant for another audience.")


_NO_JWT = "The token is not a well-formed JWT."
# PyJWT's own errors, and those that json raises on hostile input.
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


_OF_THIS_KEY = (jwt.InvalidSignatureError, jwt.InvalidKeyError)
"""Errors after which another key may still verify the token."""


def _header_of(token: str) -> tuple[str | None, str]:
    """Return the key id and algorithm that a token claims. Neither is trusted."""
    try:
        header = jwt.get_unverified_header(token)
    except _MALFORMED as error:
        raise InvalidToken(_NO_JWT) from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken(_REASONS[jwt.InvalidAlgorithmError])
    key_id = header.get("kid")
    return key_id if isinstance(key_id, str) else None, algorithm
