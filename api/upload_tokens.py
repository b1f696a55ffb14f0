"""Tokens of uploads: each names the request that it was issued for.

A token is no secret: what an upload may do is signed. Its random part makes every token new, so an
upload that no longer counts never counts again.
"""

import secrets
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenName:
    """The part of a token that is the same whenever a request with an Idempotency-Key is repeated.

    Without a key it is random.
    """

    request: str
    """The request: 26 characters of a ULID."""
    request_hash: str
    """A hash of its body."""

    def new_token(self) -> str:
        """Return a token that no upload had before."""
        return f"{self.request}.{self._body}.{secrets.token_hex(8)}"

    def is_of(self, token: str | None) -> bool:
        """Return whether the token was issued for this request, whatever its body was."""
        return token is not None and token.startswith(f"{self.request}.")

    def has_same_body(self, token: str) -> bool:
        """Return whether a token of this request was issued for the same body."""
        return token.startswith(f"{self.request}.{self._body}.")

    @property
    def _body(self) -> str:
        return self.request_hash[:16]
