"""Authentication: the only place that turns a credential into a user id (safelight/users.py)."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from api.apikeys import PREFIX, ApiKeys
from api.pages.cross_site import SAFE_METHODS
from api.pages.sessions import PageSession, PageSessions
from api.problems import Problem, Refusal
from api.tokens import InvalidToken, Tokens
from safelight import users

CHALLENGE = 'Bearer realm="safelight"'

API_KEY = "X-Api-Key"
USER = web.RequestKey("user", str)
SESSION = web.RequestKey("session", PageSession)
"""The session of the page that sent the request; not set if it has another credential."""
NAMED_USER = "X-Safelight-User"
"""The header in which a request names its user, if its API key may do so."""


class Authentication:
    """Finds the user who sent a request, or refuses the request."""

    def __init__(
        self,
        *,
        tokens: Tokens | None,
        keys: ApiKeys,
        anonymous: bool,
        sessions: PageSessions | None = None,
    ) -> None:
        """With `sessions`, users may sign in on pages, and the cookie is a credential too."""
        self._tokens = tokens
        self.keys = keys
        """The accepted API keys."""
        self.sessions = sessions
        """The sessions of pages, if users can sign in."""
        self.anonymous = anonymous
        """Whether requests need no credentials."""

    @property
    def uploads_per_minute(self) -> Mapping[str, int]:
        """Limits of API keys that have one, in upload URLs a minute, by user id."""
        return {users.of_key(name): rate for name, rate in self.keys.uploads_per_minute.items()}

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
        session = self.sessions.of(request) if self.sessions else None
        if session is not None:
            return self._user_of_session(request, session, named)
        credential = self._credential(request)
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

    def _user_of_session(
        self, request: web.Request, session: PageSession, named: Sequence[str]
    ) -> str:
        if _credentials(request):
            raise _refused("The request carries more than one credential: one is the cookie.")
        if named:
            raise _may_not_name("A session is that of its own user.")
        sessions = self.sessions
        if request.method not in SAFE_METHODS and sessions and not sessions.may_change(request):
            raise Refusal(
                Problem.CROSS_SITE,
                "The cookie of a session is no credential for requests that change something, "
                "unless a page of this server sends them.",
            )
        request[SESSION] = session
        return session.user_id

    def _credential(self, request: web.Request) -> str:
        """Return the request's only credential in a header, a bearer token or an API key."""
        credentials = _credentials(request)
        if not credentials:
            cookie = ", nor the cookie of a session that holds" if self.sessions else ""
            raise Refusal(
                Problem.UNAUTHENTICATED,
                f"The request carries neither an Authorization nor an X-Api-Key header{cookie}.",
                headers={"WWW-Authenticate": CHALLENGE},
                sign_in=self.sessions.methods if self.sessions else (),
            )
        if len(credentials) > 1:
            raise _refused("The request carries more than one credential.")
        ((header, value),) = credentials
        if header == API_KEY:
            if not value.startswith(PREFIX):
                raise _refused("X-Api-Key is for API keys, which begin with sl_.")
            return value
        scheme, _, credential = value.partition(" ")
        if scheme.lower() != "bearer" or not credential.strip():
            raise _refused("The Authorization header is not of the form: Bearer CREDENTIAL.")
        return credential.strip()

    def _user_of_key(self, secret: str, named: Sequence[str]) -> str:
        key = self.keys.find(secret)
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


def _credentials(request: web.Request) -> list[tuple[str, str]]:
    """List the credentials in a request's headers, each with its header."""
    return [
        (header, value)
        for header in ("Authorization", API_KEY)
        for value in request.headers.getall(header, [])
    ]


def _may_not_name(why: str) -> Refusal:
    return Refusal(Problem.USER_NOT_ALLOWED, f"{why} Leave {NAMED_USER} out.")


def _refused(why: str) -> Refusal:
    challenge = f'{CHALLENGE}, error="invalid_token", error_description="{why}"'
    return Refusal(Problem.INVALID_CREDENTIALS, why, headers={"WWW-Authenticate": challenge})
