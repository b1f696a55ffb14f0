"""Authentication: the only place that turns a credential into a user id (safelight/users.py)."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from api.apikeys import PREFIX, ApiKeys
from api.problems import Problem, Refusal
from api.tokens import InvalidToken, Tokens
from safelight import users

CHALLENGE = 'Bearer realm="safelight"'

USER = web.RequestKey("user", str)
NAMED_USER = "X-Safelight-User"
"""The header in which a request names its user, if its API key may do so."""


class Authentication:
    """Finds the user who sent a request, or refuses the request."""

    def __init__(self, *, tokens: Tokens | None, keys: ApiKeys, anonymous: bool) -> None:
        self._tokens = tokens
        self._keys = keys
        self.anonymous = anonymous
        """Whether requests need no credentials."""

    @property
    def uploads_per_minute(self) -> Mapping[str, int]:
        """Limits of API keys that have one, in upload URLs a minute, by user id."""
        return {users.of_key(name): rate for name, rate in self._keys.uploads_per_minute.items()}

    async def user_of(self, request: web.Request) -> str:
        """Return the client's user id, or raise a `Refusal`.

        A request that names a user without the right to do so is refused: if the name were ignored,
        the images of many users would belong to one.
        """
        named = request.headers.getall(NAMED_USER, [])
        if self.anonymous:
            if named:
                raise _may_not_name("Without authentication every client is the same user.")
            return users.ANONYMOUS
        credential = _credential(request)
        if credential.startswith(PREFIX):
            return self._user_of_key(credential, named)
        if named:
            raise _may_not_name("A token names its user itself.")
        if self._tokens is None:
            raise _refused("API keys are accepted here, and begin with sl_; tokens are not.")
        try:
            return users.of_token(await self._tokens.subject_of(credential))
        except InvalidToken as error:
            raise _refused(str(error)) from error

    def _user_of_key(self, secret: str, named: Sequence[str]) -> str:
        key = self._keys.find(secret)
        if key is None:
            raise _refused("The API key is not known here.")
        user_id = users.of_key(key.name)
        if not named:
            return user_id
        if not key.names_users:
            raise _may_not_name("The API key may not name users: its definition does not say so.")
        try:
            (name,) = named
            return users.of_named(user_id, name)
        except ValueError as error:
            raise Refusal(
                Problem.INVALID_USER, f"{NAMED_USER} must be given once: {users.SUBJECT_FORM}."
            ) from error


def _credential(request: web.Request) -> str:
    """Return the request's only credential, a bearer token or an API key."""
    authorizations = request.headers.getall("Authorization", [])
    keys = request.headers.getall("X-Api-Key", [])
    if not authorizations and not keys:
        raise Refusal(
            Problem.UNAUTHENTICATED,
            "The request carries neither an Authorization nor an X-Api-Key header.",
            headers={"WWW-Authenticate": CHALLENGE},
        )
    if len(authorizations) + len(keys) > 1:
        raise _refused("The request carries more than one credential.")
    if keys:
        if not keys[0].startswith(PREFIX):
            raise _refused("X-Api-Key is for API keys, which begin with sl_.")
        return keys[0]
    scheme, _, credential = authorizations[0].partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise _refused("The Authorization header is not of the form: Bearer CREDENTIAL.")
    return credential.strip()


def _may_not_name(why: str) -> Refusal:
    return Refusal(Problem.USER_NOT_ALLOWED, f"{why} Leave {NAMED_USER} out.")


def _refused(why: str) -> Refusal:
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{why}"'
    return Refusal(Problem.INVALID_CREDENTIALS, why, headers={"WWW-Authenticate": challenge})
