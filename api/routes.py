"""The one table of routes.

The application, the paths that need no credentials, the log levels of requests and the OpenAPI
document are all read from it. A new route is a new row.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aiohttp.typedefs import Handler

from api import operations, problems
from api.dialects.table import DIALECTS
from api.editing import EditRequest
from api.erasure_request import ErasureRequest
from api.erasures import Erasures, RequestedErasure, RequestedErasures, UserErasureCounts
from api.event_stream import MEDIA_TYPE as EVENTS
from api.health import Health
from api.images import Image, Images
from api.list_request import ListRequest
from api.listing import ImageList, Listing
from api.operations import Answer, Operation
from api.originals import Original, Originals
from api.pages.login import Login
from api.pages.pages import Pages
from api.pages.sign_in import SignIn
from api.problems import Problem, ProblemExplanation
from api.session import Session, Sessions
from api.streams import Streams
from api.upload_documents import UploadIssued, UploadRequest
from api.uploads import Uploads
from api.url_request import UrlsIssued, UrlsRequest
from api.urls import Urls
from api.vocabulary import Presets, Vocabulary
from safelight.erasures import Receipt

if TYPE_CHECKING:  # delivery loads the renderer, which a process without that role must not do
    from api.delivery.delivery import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """The objects that answer requests. One that belongs to a role is None without that role."""

    health: Health
    metrics: Handler
    uploads: Uploads | None = None
    images: Images | None = None
    listing: Listing | None = None
    originals: Originals | None = None
    erasures: Erasures | None = None
    streams: Streams | None = None
    sessions: Sessions | None = None
    pages: Pages | None = None
    sign_in: SignIn | None = None
    login: Login | None = None
    urls: Urls | None = None
    presets: Presets | None = None
    delivery: "Delivery | None" = None

    @property
    def names(self) -> Mapping[str, Collection[str]]:
        """The values of those parts of paths that only have certain values."""
        if self.delivery is None:
            return {}
        return {"preset": self.delivery.presets, "alias": self.delivery.aliases}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row: a method and a path, and everything that depends on them."""

    path: str
    """The path with its parts in braces; also the route's name in logs and metrics."""
    handler: Callable[[Handlers], Handler | None]
    """Return the method that answers, or None if this process does not serve the route."""
    operation: Operation | None
    """The description for OpenAPI; None for pages and their forms, and for a grammar of URLs that
    OpenAPI cannot describe."""
    method: Literal["DELETE", "GET", "PATCH", "POST"] = "GET"
    """GET includes HEAD."""
    public: bool = False
    """Whether no credentials are needed. Delivery checks the signatures of its URLs itself."""
    pictures: bool = False
    """Whether it delivers pictures, which pages of `SAFELIGHT_PICTURE_CORS_ORIGINS` may read."""
    quiet: bool = False
    """Whether requests below status 500 are logged at debug level: machines send many of them."""

    @property
    def endpoint(self) -> tuple[str, str]:
        """The method and path, which no other row has."""
        return self.method, self.path


def _alias(handlers: Handlers) -> Handler | None:
    delivery = handlers.delivery
    return delivery.get_alias if delivery and delivery.aliases else None


def _freeform(prefix: str, operation: Operation | None = None) -> Route:
    """Make the row of the free-form URLs below a prefix. They are signed, so they are public."""

    def handler(handlers: Handlers) -> Handler | None:
        delivery = handlers.delivery
        if delivery and delivery.freeform and prefix in delivery.freeform.prefixes:
            return delivery.get_freeform
        return None

    return Route(
        path=f"{prefix}{{freeform}}",
        handler=handler,
        operation=operation,
        public=True,
        pictures=True,
    )


def _page(path: str, name: str, *, fetches_pictures: bool = False) -> Route:
    """Make the row of a page. It has no data, so it is public."""

    def handler(handlers: Handlers) -> Handler | None:
        pages = handlers.pages
        return pages.page(name, fetches_pictures=fetches_pictures) if pages else None

    return Route(
        path=path,
        handler=handler,
        operation=None,
        public=True,
    )


_OWN_FREEFORM = Operation(
    path="/s/{signature}/{options}/{source}",
    summary="Deliver the picture that a signed free-form URL requests (docs/guide/dialects.md)",
    answers=operations.PICTURE | operations.WAITING,
    problems=(*operations.PICTURE_PROBLEMS, Problem.IMAGE_ERASED),
)
_DIALECTS = tuple(
    _freeform(dialect.PREFIX, _OWN_FREEFORM if name == "own" else None)
    for name, dialect in DIALECTS.items()
)
_ROOT_DIALECT = _freeform("/")
"""One dialect may answer at the root. It comes last, because it matches every path."""

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/uploads",
        handler=lambda handlers: handlers.uploads.create if handlers.uploads else None,
        operation=Operation(
            summary="Issue a presigned URL for one upload",
            request=UploadRequest,
            parameters=(operations.IDEMPOTENCY_KEY, operations.NAMED_USER),
            answers={
                201: Answer(
                    description="Where and how to upload.",
                    model=UploadIssued,
                    headers=("Location", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy"),
                )
            },
            problems=(
                *operations.PROTECTED,
                *operations.BODY,
                Problem.INVALID_IDEMPOTENCY_KEY,
                Problem.IDEMPOTENCY_KEY_REUSED,
                Problem.UNKNOWN_IMAGE,
                Problem.CHANGED_MEANWHILE,
                Problem.ALREADY_SETTLED,
                Problem.IMAGE_ERASED,
                Problem.RATE_LIMITED,
            ),
        ),
    ),
    Route(
        path="/v1/images",
        handler=lambda handlers: handlers.listing.get if handlers.listing else None,
        operation=Operation(
            summary="List and search your images, page by page",
            query=ListRequest,
            parameters=(operations.NAMED_USER,),
            answers={200: Answer(description="One page.", model=ImageList)},
            problems=(
                *operations.PROTECTED,
                Problem.NOT_AN_ADMIN,
                Problem.INVALID_REQUEST,
                Problem.INVALID_CURSOR,
            ),
        ),
    ),
    Route(
        path="/v1/images/{imageId}",
        handler=lambda handlers: handlers.images.get if handlers.images else None,
        operation=Operation(
            summary="Get the status of an image and the URLs of its variants",
            parameters=(operations.NAMED_USER, operations.WAIT),
            answers={
                200: Answer(
                    description="The image.",
                    model=Image,
                    headers=(*operations.IMAGE_HEADERS, "Preference-Applied"),
                ),
                304: Answer(
                    description="The image with this ETag is current.",
                    headers=(*operations.IMAGE_HEADERS, "Preference-Applied"),
                ),
            },
            problems=(*operations.PROTECTED, Problem.UNKNOWN_IMAGE, Problem.IMAGE_ERASED),
        ),
    ),
    Route(
        method="PATCH",
        path="/v1/images/{imageId}",
        handler=lambda handlers: handlers.images.change if handlers.images else None,
        operation=Operation(
            summary="Change the tags and the file name of an image",
            request=EditRequest,
            parameters=(operations.NAMED_USER,),
            answers={
                200: Answer(
                    description="The image as it is now.",
                    model=Image,
                    headers=operations.IMAGE_HEADERS,
                )
            },
            problems=(
                *operations.PROTECTED,
                *operations.BODY,
                Problem.UNKNOWN_IMAGE,
                Problem.IMAGE_ERASED,
                Problem.CHANGED_MEANWHILE,
            ),
        ),
    ),
    Route(
        method="DELETE",
        path="/v1/images/{imageId}",
        handler=lambda handlers: handlers.erasures.erase_one if handlers.erasures else None,
        operation=Operation(
            summary="Erase an image (docs/guide/erasing.md); a pending upload is cancelled",
            parameters=(operations.NAMED_USER,),
            answers={202: Answer(description="It is being erased.", model=RequestedErasure)},
            problems=(*operations.PROTECTED, Problem.UNKNOWN_IMAGE, Problem.RATE_LIMITED),
        ),
    ),
    Route(
        path="/v1/images/{imageId}/erasure",
        handler=lambda handlers: handlers.erasures.receipt if handlers.erasures else None,
        operation=Operation(
            summary="Get the receipt of an erased image",
            parameters=(operations.NAMED_USER,),
            answers={200: Answer(description="The receipt as it is now.", model=Receipt)},
            problems=(*operations.PROTECTED, Problem.UNKNOWN_IMAGE, Problem.UNKNOWN_ERASURE),
        ),
    ),
    Route(
        method="POST",
        path="/v1/erasures",
        handler=lambda handlers: handlers.erasures.create if handlers.erasures else None,
        operation=Operation(
            summary="Erase several images, or all images of a user",
            request=ErasureRequest,
            parameters=(operations.NAMED_USER,),
            answers={202: Answer(description="They are being erased.", model=RequestedErasures)},
            problems=(
                *operations.PROTECTED,
                *operations.BODY,
                Problem.NOT_AN_ADMIN,
                Problem.RATE_LIMITED,
            ),
        ),
    ),
    Route(
        path="/v1/erasures/{erasureId}",
        handler=lambda handlers: handlers.erasures.counts if handlers.erasures else None,
        operation=Operation(
            summary="Get the counts of an erasure of all images of a user",
            parameters=(operations.NAMED_USER,),
            answers={
                200: Answer(description="The counts as they are now.", model=UserErasureCounts)
            },
            problems=(*operations.PROTECTED, Problem.UNKNOWN_ERASURE),
        ),
    ),
    Route(
        path="/v1/images/{imageId}/original",
        handler=lambda handlers: handlers.originals.get if handlers.originals else None,
        operation=Operation(
            summary="Download the source of an image, where that is enabled",
            parameters=(operations.NAMED_USER,),
            answers={
                200: Answer(
                    description="The URL, for clients whose Accept names application/json.",
                    model=Original,
                    headers=("Cache-Control", "Vary"),
                ),
                303: Answer(
                    description="The source, at a URL that is valid for five minutes.",
                    headers=("Location", "Cache-Control", "Vary"),
                ),
            },
            problems=(
                *operations.PROTECTED,
                Problem.UNKNOWN_IMAGE,
                Problem.NOT_ARRIVED,
                Problem.IMAGE_ERASED,
            ),
        ),
    ),
    Route(
        path="/v1/images/{imageId}/events",
        handler=lambda handlers: handlers.streams.image if handlers.streams else None,
        operation=Operation(
            summary="Stream the states of an image until it is settled (docs/guide/events.md)",
            parameters=(operations.NAMED_USER, operations.LAST_EVENT_ID),
            answers={
                200: Answer(description="Events of one image.", media_type=EVENTS),
                204: Answer(description="There are no more events: the client has the last one."),
            },
            problems=(
                *operations.PROTECTED,
                Problem.UNKNOWN_IMAGE,
                Problem.IMAGE_ERASED,
                Problem.RATE_LIMITED,
            ),
        ),
    ),
    Route(
        path="/v1/events",
        handler=lambda handlers: handlers.streams.user if handlers.streams else None,
        operation=Operation(
            summary="Stream the changes of your recent images (docs/guide/events.md)",
            parameters=(operations.NAMED_USER, operations.LAST_EVENT_ID),
            answers={200: Answer(description="Events of all images.", media_type=EVENTS)},
            problems=(*operations.PROTECTED, Problem.RATE_LIMITED),
        ),
    ),
    Route(
        path="/v1/session",
        handler=lambda handlers: handlers.sessions.get if handlers.sessions else None,
        operation=Operation(
            summary="Get the user, the limits and the features of this server",
            parameters=(operations.NAMED_USER,),
            answers={200: Answer(description="The session.", model=Session)},
            problems=operations.PROTECTED,
        ),
    ),
    Route(
        path="/v1/presets",
        handler=lambda handlers: handlers.presets.get if handlers.presets else None,
        operation=Operation(
            summary="List the presets, and the options that a picture may be asked for with",
            parameters=(operations.NAMED_USER,),
            answers={200: Answer(description="What may be asked for.", model=Vocabulary)},
            problems=operations.PROTECTED,
        ),
    ),
    Route(
        method="POST",
        path="/v1/urls",
        handler=lambda handlers: handlers.urls.create if handlers.urls else None,
        operation=Operation(
            summary="Sign URLs for pictures of one of your images, in every dialect",
            request=UrlsRequest,
            parameters=(operations.NAMED_USER,),
            answers={200: Answer(description="URLs, or why there are none.", model=UrlsIssued)},
            problems=(
                *operations.PROTECTED,
                *operations.BODY,
                Problem.UNKNOWN_IMAGE,
                Problem.IMAGE_ERASED,
                Problem.RATE_LIMITED,
            ),
        ),
    ),
    Route(
        path="/ui",
        handler=lambda handlers: handlers.pages.start if handlers.pages else None,
        operation=None,
        public=True,
    ),
    _page("/ui/", "pictures"),
    _page("/ui/pictures/{imageId}", "pictures"),
    _page("/ui/playground", "playground", fetches_pictures=True),
    Route(
        path="/ui/sign-in",
        handler=lambda handlers: (
            handlers.pages.page("sign-in") if handlers.pages and handlers.sign_in else None
        ),
        operation=None,
        public=True,
    ),
    Route(
        method="POST",
        path="/ui/key",
        handler=lambda handlers: handlers.sign_in.by_key if handlers.sign_in else None,
        operation=None,
        public=True,
    ),
    Route(
        path="/ui/login",
        handler=lambda handlers: handlers.login.begin if handlers.login else None,
        operation=None,
        public=True,
    ),
    Route(
        path="/ui/callback",
        handler=lambda handlers: handlers.login.finish if handlers.login else None,
        operation=None,
        public=True,
    ),
    Route(
        method="POST",
        path="/ui/logout",
        handler=lambda handlers: handlers.sign_in.sign_out if handlers.sign_in else None,
        operation=None,
        public=True,
    ),
    Route(
        path="/ui/static/{build}/{path}",
        handler=lambda handlers: handlers.pages.static if handlers.pages else None,
        operation=None,
        public=True,
        quiet=True,
    ),
    Route(
        path="/ui/{path}",
        handler=lambda handlers: handlers.pages.unknown if handlers.pages else None,
        operation=None,
        public=True,
    ),
    Route(
        path="/{preset}/{image}",
        public=True,
        pictures=True,
        handler=lambda handlers: handlers.delivery.get if handlers.delivery else None,
        operation=Operation(
            summary="Deliver a variant in the best format that the client accepts",
            parameters=operations.PICTURE_PARAMETERS,
            answers=operations.PICTURE | operations.MOVED | operations.WAITING,
            problems=(*operations.PICTURE_PROBLEMS, Problem.IMAGE_ERASED),
        ),
    ),
    Route(
        path="/{alias}/{path}",
        public=True,
        pictures=True,
        handler=_alias,
        operation=Operation(
            summary="Deliver a variant of an object in a bucket that an alias names",
            parameters=(*operations.PICTURE_PARAMETERS, operations.PRESET_PARAMETER),
            answers=operations.PICTURE | operations.MOVED,
            problems=operations.PICTURE_PROBLEMS,
        ),
    ),
    Route(
        path="/images/{shard}/{imageId}/{secret}/{asset}",
        public=True,
        pictures=True,
        handler=lambda handlers: handlers.delivery.get_asset if handlers.delivery else None,
        operation=Operation(
            summary="Deliver an asset by its key, which always means the same picture",
            parameters=operations.ASSET_PARAMETERS,
            answers=operations.PICTURE | operations.MOVED | operations.WAITING,
            problems=(*operations.PICTURE_PROBLEMS, Problem.IMAGE_ERASED),
        ),
    ),
    *_DIALECTS,
    Route(
        path="/healthz",
        public=True,
        quiet=True,
        handler=lambda handlers: handlers.health.healthz,
        operation=Operation(summary="Is the process alive?", answers={200: operations.TEXT}),
    ),
    Route(
        path="/readyz",
        public=True,
        quiet=True,
        handler=lambda handlers: handlers.health.readyz,
        operation=Operation(
            summary="Can images be looked up now?",
            answers={
                200: operations.TEXT,
                503: Answer(description="No.", media_type="text/plain"),
            },
        ),
    ),
    Route(
        path="/metrics",
        public=True,
        quiet=True,
        handler=lambda handlers: handlers.metrics,
        operation=Operation(
            summary="Metrics for Prometheus",
            answers={200: Answer(description="The text format.", media_type="text/plain")},
        ),
    ),
    Route(
        path="/openapi.json",
        public=True,
        handler=lambda _: operations.serve_document,
        operation=Operation(
            summary="This document",
            answers={200: Answer(description="OpenAPI 3.1.", media_type="application/json")},
        ),
    ),
    Route(
        path="/problems/{problem}",
        public=True,
        handler=lambda _: problems.explain,
        operation=Operation(
            summary="Explain a type of problem",
            answers={200: Answer(description="The problem.", model=ProblemExplanation)},
            problems=(Problem.UNKNOWN_PATH,),
        ),
    ),
    _ROOT_DIALECT,
)
_SLASHES = frozenset({"path", "freeform"})
"""Parts of paths that may contain slashes."""


def served_by(handlers: Handlers) -> tuple[tuple[Route, Handler], ...]:
    """Return the rows that a process with these handlers serves, each with its handler."""
    found = ((route, route.handler(handlers)) for route in ROUTES)
    return tuple((route, handler) for route, handler in found if handler is not None)


def pattern_of(path: str, names: Mapping[str, Collection[str]]) -> str:
    """Write a path as aiohttp matches it, with the values that its parts may have."""

    def with_pattern(found: re.Match[str]) -> str:
        part = found[1]
        if part in _SLASHES:
            return f"{{{part}:.+}}"
        return f"{{{part}:{'|'.join(map(re.escape, names[part]))}}}" if part in names else found[0]

    return re.sub(r"\{(\w+)\}", with_pattern, path)
