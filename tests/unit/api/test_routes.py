"""The table of routes: the application, the public paths and the document are read from it."""

import re
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from api.app import make_app
from api.auth import Authentication
from api.delivery.aliases import RESERVED
from api.dialects.table import DIALECTS
from api.jwks import Issuer, SigningKeys
from api.metrics import METHODS
from api.operations import DOCUMENT
from api.pages.login import Login, make_login
from api.pages.sessions import PageSessions, make_sessions
from api.routes import ROUTES, Route
from tests.support.fakes import FakePresigner, FakeRecords
from tests.unit.api.clients import ALL_KEYS, a_cleanup, api_settings

UPLOADS = {
    ("POST", "/v1/uploads"),
    ("GET", "/v1/images"),
    ("GET", "/v1/images/{imageId}"),
    ("PATCH", "/v1/images/{imageId}"),
    ("GET", "/v1/images/{imageId}/events"),
    ("GET", "/v1/events"),
    ("GET", "/v1/images/{imageId}/original"),
    ("GET", "/v1/presets"),
    ("POST", "/v1/urls"),
    ("DELETE", "/v1/images/{imageId}"),
    ("GET", "/v1/images/{imageId}/erasure"),
    ("POST", "/v1/erasures"),
    ("GET", "/v1/erasures/{erasureId}"),
}
PAGES = {
    ("GET", "/v1/session"),
    ("GET", "/ui"),
    ("GET", "/ui/"),
    ("GET", "/ui/sign-in"),
    ("POST", "/ui/key"),
    ("GET", "/ui/login"),
    ("GET", "/ui/callback"),
    ("POST", "/ui/logout"),
    ("GET", "/ui/pictures/{imageId}"),
    ("GET", "/ui/playground"),
    ("GET", "/ui/static/{build}/{path}"),
    ("GET", "/ui/{path}"),
}
SHARED = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/problems/{problem}"}
PREFIXES = tuple(dialect.PREFIX for dialect in DIALECTS.values())
EXAMPLES = {"preset": "small", "alias": "avatars", "path": "a/b.jpg", "freeform": "a/b.jpg"}


class Pictures:
    """A delivery that serves every route it may."""

    def __init__(self) -> None:
        self.presets = {"small": None}
        self.aliases = {"avatars": None}
        self.freeform = SimpleNamespace(
            prefixes=(*(each.PREFIX for each in DIALECTS.values()), "/")
        )

    async def get(self, _: web.Request) -> web.Response:
        return web.Response()

    get_alias = get_asset = get_freeform = get


def application(
    *, uploads: bool = True, delivery: bool = True, pages: bool = True, **changes: Any
) -> web.Application:
    roles = ("uploads", "pages") if pages else ("uploads",)
    records = FakeRecords()
    settings = api_settings(
        **{"originals": True, "api_roles": roles, "session_keys": "5e" * 32} | changes
    )
    sessions = make_sessions(settings)
    return make_app(
        settings=settings,
        records=records,
        presigner=FakePresigner() if uploads else None,
        authentication=Authentication(
            tokens=None, keys=ALL_KEYS, anonymous=False, sessions=sessions
        ),
        registry=CollectorRegistry(),
        delivery=Pictures() if delivery else None,
        cleanup=a_cleanup(records),
        login=a_login(sessions) if sessions else None,
    )


def a_login(sessions: PageSessions) -> Login:
    """A sign-in at an issuer that is away."""

    def away(*_: Any, **__: Any) -> None:
        raise ValueError("the issuer is away")

    http: Any = SimpleNamespace(get=away)
    issuer = Issuer(http, issuer="http://127.0.0.1:9", jwks_url=None, acceptable=bool)
    made = make_login(
        api_settings(
            oidc_issuer="https://issuer.example",
            oidc_audience=("safelight",),
            oidc_client_id="pages",
            pages_url="https://pictures.example",
        ),
        sessions,
        http,
        issuer,
        SigningKeys(issuer),
    )
    assert made is not None
    return made


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with TestClient(TestServer(application())) as client:
        yield client


def example(route: Route) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: EXAMPLES.get(part[1], "x"), route.path)


def endpoints(app: web.Application) -> set[tuple[str, str]]:
    """List what an application answers; HEAD comes with GET."""
    found = [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    ]
    assert len(set(found)) == len(found)
    return set(found)


@pytest.mark.parametrize("pages", [True, False])
@pytest.mark.parametrize(("uploads", "delivery"), [(True, True), (True, False), (False, True)])
def test_an_application_has_the_routes_of_its_roles_and_no_others(
    uploads: bool, delivery: bool, pages: bool
) -> None:
    rows = {
        route.endpoint
        for route in ROUTES
        if (uploads and route.endpoint in UPLOADS)
        or (uploads and pages and route.endpoint in PAGES)
        or (delivery and route.endpoint not in UPLOADS | PAGES and route.path not in SHARED)
        or route.path in SHARED
    }
    assert endpoints(application(uploads=uploads, delivery=delivery, pages=pages)) == rows


def test_the_document_describes_the_routes_of_an_application() -> None:
    paths = application(delivery=False)[DOCUMENT]["paths"]
    described = {(method.upper(), path) for path, one in paths.items() for method in one}
    served = endpoints(application(delivery=False))
    assert described == {row for row in served if not row[1].startswith("/ui")}


def test_every_row_is_described_except_pages_and_the_grammars_of_other_services() -> None:
    with pytest.raises(TypeError, match="operation"):
        Route(path="/new", handler=lambda _: None)
    undescribed = {route.path for route in ROUTES if route.operation is None}
    others = {dialect.PREFIX for name, dialect in DIALECTS.items() if name != "own"}
    pages = {path for _, path in PAGES if path.startswith("/ui")}
    assert undescribed == pages | {f"{prefix}{{freeform}}" for prefix in others | {"/"}}
    described = {row.operation.path or row.path for row in ROUTES if row.operation is not None}
    assert application()[DOCUMENT]["paths"].keys() == described


def test_the_document_names_the_presets_and_aliases() -> None:
    paths = application()[DOCUMENT]["paths"]
    for path, name in (("/{preset}/{image}", "small"), ("/{alias}/{path}", "avatars")):
        assert paths[path]["get"]["parameters"][0]["schema"]["enum"] == [name]


def test_every_dialect_has_a_public_route() -> None:
    public = {route.path for route in ROUTES if route.public}
    assert {f"{dialect.PREFIX}{{freeform}}" for dialect in DIALECTS.values()} <= public


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_only_public_routes_answer_without_credentials(
    client: TestClient[web.Request, web.Application], route: Route
) -> None:
    for method in {route.method, "HEAD" if route.method == "GET" else route.method}:
        async with client.request(method, example(route)) as answer:
            assert (answer.status == 401) is not route.public


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_only_requests_of_quiet_routes_are_logged_at_debug_level(
    client: TestClient[web.Request, web.Application], route: Route
) -> None:
    with structlog.testing.capture_logs() as events:
        async with client.request(route.method, example(route), allow_redirects=False):
            pass
    (event,) = [event for event in events if event["event"] == "request"]
    assert event["route"] == route.path
    assert event["log_level"] == ("debug" if route.quiet else "info")


def test_no_preset_and_no_alias_may_hide_a_route() -> None:
    first = {route.path.split("/")[1].removesuffix(".json") for route in ROUTES}
    assert {part for part in first if not part.startswith("{")} <= RESERVED


def test_pages_may_read_whatever_delivery_serves_and_nothing_else() -> None:
    delivered = endpoints(application(uploads=False)) - endpoints(
        application(uploads=False, delivery=False)
    )
    assert len(delivered) > 3
    for route in ROUTES:
        if route.endpoint in delivered:
            assert route.pictures, route.path
        elif route.pictures:  # a dialect without keys, or no alias
            assert route.public
            assert route.endpoint not in endpoints(application(delivery=False))


async def test_a_preflight_of_an_upload_is_none_of_a_picture_beside_a_dialect_at_the_root() -> None:
    origin = "https://app.example"
    announced = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with TestClient(TestServer(application(cors_origins=(origin,)))) as client:
        answer = await client.options("/v1/uploads", headers=announced)
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_the_method_of_every_route_has_a_value_of_its_own_in_metrics() -> None:
    assert {route.method for route in ROUTES} <= METHODS
