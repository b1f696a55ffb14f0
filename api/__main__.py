"""Builds the API from its settings and serves it until SIGTERM. Only this module builds."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import aiohttp
import structlog
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry

from api.apikeys import digest_of, new_key
from api.app import RUNNER_OPTIONS, make_app
from api.auth import Authentication
from api.delivery.aliases import Alias, faults_of_names, load_aliases
from api.erasures import Cleanup
from api.jwks import Issuer, SigningKeys
from api.pages.login import Login, make_login
from api.pages.sessions import make_sessions
from api.settings import DELIVERY, UPLOADS, ApiSettings
from api.tokens import Tokens
from safelight import users
from safelight.aws.session import Aws, connect
from safelight.metrics import ProcessMetrics, make_registry
from safelight.presets import InvalidPresets, Preset
from safelight.program import (
    SET_UP_WRONGLY,
    STOPPED,
    Option,
    Program,
    background,
    on_stop_signal,
    serve,
)
from safelight.serving import is_safe_url
from safelight.tracing import tracing

if TYPE_CHECKING:  # only a process with that role loads the renderer
    from api.delivery.delivery import Delivery

log = structlog.get_logger()

Declared = tuple[tuple[Preset, ...], Mapping[str, Alias]]
"""The presets and aliases that delivery serves; both are empty without that role."""
SHUTDOWN_SECONDS = 10
"""How long requests under way may take after SIGTERM; a body that is still arriving, half of it."""


def main() -> int:
    """Run the API and return its exit code."""
    return Program(
        service="api",
        description="Serve Safelight's HTTP API. Role `uploads`: issue upload URLs and report the "
        "status of images. Role `delivery`: deliver pictures by URL. "
        "Settings: docs/operate/settings.md.",
        settings=ApiSettings,
        read_files=_read_files,
        run=run,
        options=(
            Option(
                flag="--new-key",
                metavar="NAME",
                help="print a new API key of this name and exit",
                run=_print_new_key,
            ),
        ),
    ).main()


async def run(settings: ApiSettings, declared: Declared) -> None:
    """Build the API, serve it until SIGTERM or SIGINT, and finish the requests under way."""
    logging.getLogger("aiohttp.server").addFilter(without_request_bytes)
    registry = make_registry()
    process_metrics = ProcessMetrics(registry, service="api")
    stop = asyncio.Event()
    on_stop_signal(stop.set)
    async with contextlib.AsyncExitStack() as stack:
        aws = await stack.enter_async_context(connect(settings, metrics=process_metrics))
        # After the renderers' server, which must not inherit its thread.
        delivery = await _delivery(settings, declared, aws, stack, registry)
        authentication, login = await stack.enter_async_context(make_authentication(settings))
        app = make_app(
            settings=settings,
            records=await aws.records(),
            presigner=await aws.presigner() if UPLOADS in settings.api_roles else None,
            authentication=authentication,
            login=login,
            registry=registry,
            delivery=delivery,
            presets=declared[0],
            cleanup=await _cleanup(settings, aws),
            spans=stack.enter_context(tracing(wanted=settings.tracing, service="api")),
        )
        await stack.enter_async_context(
            serve(
                app,
                host=settings.host,
                port=settings.port,
                shutdown_seconds=SHUTDOWN_SECONDS,
                runner_options=RUNNER_OPTIONS,
            )
        )
        await stack.enter_async_context(background(process_metrics.watch_loop()))
        await stop.wait()
        log.info("stopping")


def _read_files(settings: ApiSettings) -> Declared:
    """Read the presets and aliases that delivery serves, here or at `delivery_url`."""
    if DELIVERY not in settings.api_roles and settings.delivery_url is None:
        return (), {}
    presets = settings.load_presets()
    names = [preset.name for preset in presets]
    if faults := faults_of_names(names):
        raise InvalidPresets([f"{settings.presets}: {fault}" for fault in faults])
    return presets, load_aliases(settings.aliases, presets=names)


async def _delivery(
    settings: ApiSettings,
    declared: Declared,
    aws: Aws,
    stack: contextlib.AsyncExitStack,
    registry: CollectorRegistry,
) -> "Delivery | None":
    """Build delivery with its own render children; None without that role."""
    if DELIVERY not in settings.api_roles:
        return None
    from api.delivery.build import build  # noqa: PLC0415 - it says why

    return await build(settings, *declared, aws, stack, registry)


async def _cleanup(settings: ApiSettings, aws: Aws) -> Cleanup | None:
    """Open what erasing an image needs; None without the queue, or without the role."""
    if settings.cleanup_queue_url is None or UPLOADS not in settings.api_roles:
        return None
    return Cleanup(
        queue=await aws.queue(settings.cleanup_queue_url),
        tombstones=await aws.tombstones(),
        documents=await aws.documents(),
    )


@contextlib.asynccontextmanager
async def make_authentication(
    settings: ApiSettings,
) -> AsyncIterator[tuple[Authentication, Login | None]]:
    """Build the authentication of users, with an HTTP client of its own if an issuer is set.

    Yields the sign-in at the issuer too, if the pages have one.
    """
    sessions = make_sessions(settings)
    if settings.oidc_issuer is None:
        authentication = Authentication(
            tokens=None, keys=settings.keys, anonymous=settings.anonymous, sessions=sessions
        )
        yield authentication, None
        return
    # All users share the client, and a cookie of the issuer could be that of one of them.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        issuer = Issuer(
            session,
            issuer=settings.oidc_issuer,
            jwks_url=settings.oidc_jwks_url,
            discovery_url=settings.oidc_discovery_url,
            acceptable=is_safe_url,
        )
        keys = SigningKeys(issuer)
        tokens = Tokens(keys, issuer=settings.oidc_issuer, audience=settings.oidc_audience)
        authentication = Authentication(
            tokens=tokens, keys=settings.keys, anonymous=False, sessions=sessions
        )
        login = make_login(settings, sessions, session, issuer, keys) if sessions else None
        yield authentication, login


def without_request_bytes(record: logging.LogRecord) -> bool:
    """Remove the bytes of a malformed HTTP request from aiohttp's log: they may hold credentials.

    A logging filter; it keeps every record.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "not_http", ()
        record.exc_info = None
    return True


def _print_new_key(name: str) -> int:
    """Print a new key (only now), its entry for the setting and its user id. Return 0 or 2."""
    if not users.is_key_name(name):
        print(f"NAME must be {users.NAME_FORM}", file=sys.stderr)  # noqa: T201 - for a person
        return SET_UP_WRONGLY
    key = new_key()
    print(f"key (shown only now): {key}")  # noqa: T201 - the requested output
    print(f"add to SAFELIGHT_API_KEYS: {name}:{digest_of(key)}")  # noqa: T201 - as above
    print(f"its user id: {users.of_key(name)}")  # noqa: T201 - as above
    return STOPPED


if __name__ == "__main__":
    sys.exit(main())
