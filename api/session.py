"""Describes the session of a page: the user, the limits, and what this server can do."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from aiohttp import web
from pydantic import Field

from api.auth import SESSION, USER
from api.middlewares import Endpoint
from api.problems import Document, json_answer
from api.settings import ApiSettings
from api.words import MOST_TAG_CHARACTERS, MOST_TAGS
from safelight.formats import READABLE, SVG

FEATURES: Mapping[str, Endpoint] = MappingProxyType(
    {
        "erase": ("DELETE", "/v1/images/{imageId}"),
        "originals": ("GET", "/v1/images/{imageId}/original"),
    }
)
"""Features that not every server has, each with the route that shows it."""


class Limits(Document):
    """The limits of an upload."""

    upload_bytes: int = Field(description="The largest source, in bytes.")
    tags: int = Field(description="The most tags of an image.")
    tag_characters: int = Field(description="The longest tag.")


class Session(Document):
    """The facts that a page asks for before anything else."""

    user_id: str
    name: str | None = Field(
        default=None, description="What pages call the user, if the user signed in on a page."
    )
    anonymous: bool = Field(description="Whether all clients are one user, without credentials.")
    limits: Limits
    readable: tuple[str, ...] = Field(description="The names of formats that sources may have.")
    delivery_url: str | None = Field(default=None, description="The base URL of variants.")
    roles: tuple[str, ...] = Field(description="The roles of this process.")
    dialects: tuple[str, ...] = Field(description="The grammars of free-form URLs with keys here.")
    can: Mapping[str, bool] = Field(description="Features, and whether this server has each.")


class Sessions:
    """`GET /v1/session`."""

    def __init__(self, settings: ApiSettings, *, endpoints: Collection[Endpoint]) -> None:
        """Describe a server with these settings that serves these endpoints."""
        readable = (*READABLE, SVG) if settings.accept_svg else READABLE
        self._session = Session(
            user_id="",
            anonymous=settings.anonymous,
            limits=Limits(
                upload_bytes=settings.max_upload_bytes,
                tags=MOST_TAGS,
                tag_characters=MOST_TAG_CHARACTERS,
            ),
            readable=tuple(each.name for each in readable),
            delivery_url=settings.delivery_url,
            roles=settings.api_roles,
            dialects=_dialects(settings),
            can={name: endpoint in endpoints for name, endpoint in FEATURES.items()},
        )

    async def get(self, request: web.Request) -> web.Response:
        """Answer with the session of the request's user."""
        signed_in = request.get(SESSION)
        of_user = {"user_id": request[USER], "name": signed_in.name if signed_in else None}
        return json_answer(self._session.model_copy(update=of_user))


def _dialects(settings: ApiSettings) -> tuple[str, ...]:
    """List the grammars that have keys here, such as `own`."""
    return tuple(dialect.NAME for dialect in settings.dialects.known)
