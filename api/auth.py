"""Authentication: the only place that turns a credential into a user id (safelight/users.py)."""

from collections.abc import Mapping

from aiohttp import web

from api.apikeys import PREFIX, ApiKeys
from api.problems import Problem, Refusal
from api.tokens import InvalidToken, Tokens
from safelight import users

CHALLENGE = 'Bearer realm="safelight"'

USER = web.RequestKey("user", str)


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
        """Return the client's user id, or raise a `Refusal`."""
        if self.anonymous:
            return users.ANONYMOUS
        credential = _credential(request)
        if credential.startswith(PREFIX):
            return self._user_of_key(credential)
        if self._tokens is None:
            raise _refused("API keys are accepted here, and begin with sl_; tokens are not.")
        try:
            return users.of_token(await self._tokens.subject_of(credential))
        except InvalidToken as error:
            raise _refused(str(error)) from error

    def _user_of_key(self, key: str) -> str:
        name = self._keys.name_of(key)
        if name is None:
            raise _refused("The API key is not known here.")
        return users.of_key(name)


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


def _refused(why: str) -> Refusal:
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{why}"'
    return Refusal(Problem.INVALID_CREDENTIALS, why, headers={"WWW-Authenticate": challenge})
