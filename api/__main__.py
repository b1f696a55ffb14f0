"""Builds the api from its settings and serves it until SIGTERM. Only this module builds."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Mapping

import aiohttp
import structlog
import uvloop
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry

from api.apikeys import digest_of, new_key
from api.app import RUNNER_OPTIONS, Delivery, Limits, make_app
from api.auth import Authentication
from api.delivery.aliases import Alias, InvalidAliases, faults_of_names, load_aliases
from api.jwks import Issuer, SigningKeys
from api.settings import DELIVERY, UPLOADS, ApiSettings, is_safe_url
from api.tokens import Tokens
from safelight import __version__, users
from safelight.aws.session import Aws, connect
from safelight.errors import Misconfigured, Unavailable
from safelight.hidden import hide_from_children
from safelight.logs import configure_logging
from safelight.metrics import ProcessMetrics, make_registry
from safelight.presets import InvalidPresets, Preset, load_presets
from safelight.program import background
from safelight.settings import InvalidSettings
from safelight.tracing import tracing

log = structlog.get_logger()

Declared = tuple[tuple[Preset, ...], Mapping[str, Alias]]
"""What delivery serves."""
SHUTDOWN_SECONDS = 10
"""How long requests under way may take after SIGTERM. aiohttp waits twice for half of it."""


def main() -> int:
    """Run the api; 0 once stopped, 1 when it cannot start, 2 when it is set up wrongly."""
    hide_from_children()
    arguments = _arguments()
    if arguments.new_key is not None:
        return _print_new_key(arguments.new_key)
    try:
        settings = ApiSettings.load()
        declared = _declared(settings)
    except (InvalidSettings, InvalidPresets, InvalidAliases) as error:
        print(error, file=sys.stderr)  # noqa: T201 - before logging is set up, for a person
        return 2
    if arguments.print_config:
        print(settings.printable())  # noqa: T201 - what was asked for
        return 0
    configure_logging(log_format=settings.log_format, level=settings.log_level, service="api")
    logging.getLogger("aiohttp.server").addFilter(without_request_bytes)
    try:
        uvloop.run(run(settings, declared))
    except (OSError, Unavailable, Misconfigured, InvalidPresets) as error:
        log.error("not_started", error=str(error))
        return 2 if isinstance(error, Misconfigured | InvalidPresets) else 1
    return 0


async def run(settings: ApiSettings, declared: Declared) -> None:
    """Build the api, serve it until SIGTERM or SIGINT, finish what was asked, take it down."""
    registry = make_registry()
    process_metrics = ProcessMetrics(registry, service="api")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        aws = await stack.enter_async_context(connect(settings, metrics=process_metrics))
        # After the renderers' server, which must not inherit its thread.
        delivery = await _delivery(settings, declared, aws, stack, registry)
        app = make_app(
            records=await aws.records(),
            presigner=await aws.presigner() if UPLOADS in settings.api_roles else None,
            authentication=await stack.enter_async_context(make_authentication(settings)),
            ids=settings.image_ids,
            limits=Limits(
                max_upload_bytes=settings.max_upload_bytes,
                url_seconds=settings.url_seconds,
                uploads_per_minute=settings.uploads_per_minute,
                delivery_url=settings.delivery_url,
                cors_origins=settings.cors_origins,
                loopback_names_only=settings.loopback_names_only,
            ),
            registry=registry,
            delivery=delivery,
            spans=stack.enter_context(tracing(wanted=settings.tracing, service="api")),
        )
        url = await stack.enter_async_context(_served(app, settings))
        await stack.enter_async_context(background(process_metrics.watch_loop()))
        log.info("listening", url=url)
        await stop.wait()
        log.info("stopping")


def _declared(settings: ApiSettings) -> Declared:
    """Read what delivery is to serve, if that is this process's role."""
    if DELIVERY not in settings.api_roles:
        return (), {}
    presets = load_presets(settings.presets)
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
) -> Delivery | None:
    """Build what shows pictures, with its own render children, if that is this process's role."""
    if DELIVERY not in settings.api_roles:
        return None
    from api.delivery.build import build  # noqa: PLC0415 - it says why

    return await build(settings, *declared, aws, stack, registry)


@contextlib.asynccontextmanager
async def make_authentication(settings: ApiSettings) -> AsyncIterator[Authentication]:
    """Build what tells users apart, with its own HTTP client if an issuer is named."""
    if settings.oidc_issuer is None:
        yield Authentication(tokens=None, keys=settings.keys, anonymous=settings.anonymous)
        return
    async with aiohttp.ClientSession() as session:
        issuer = Issuer(
            session,
            issuer=settings.oidc_issuer,
            jwks_url=settings.oidc_jwks_url,
            acceptable=is_safe_url,
        )
        tokens = Tokens(
            SigningKeys(issuer), issuer=settings.oidc_issuer, audience=settings.oidc_audience
        )
        yield Authentication(tokens=tokens, keys=settings.keys, anonymous=False)


@contextlib.asynccontextmanager
async def _served(app: web.Application, settings: ApiSettings) -> AsyncIterator[str]:
    """Listen; tell where. On leaving, take no new requests and finish those under way."""
    runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_SECONDS / 2, **RUNNER_OPTIONS)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        host, port = runner.addresses[0][:2]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def without_request_bytes(record: logging.LogRecord) -> bool:
    """Strip what aiohttp logs of bytes that are no HTTP request: they may hold credentials."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "not_http", ()
        record.exc_info = None
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m api", description="Serve Safelight's HTTP API. Settings: docs/guide/api.md."
    )
    parser.add_argument("--print-config", action="store_true", help="print the settings and exit")
    parser.add_argument(
        "--new-key", metavar="NAME", help="print a new API key of this name and exit"
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser.parse_args()


def _print_new_key(name: str) -> int:
    """Print a key, which is shown this once, its entry in the setting, and its user id."""
    if not users.is_key_name(name):
        print(f"NAME must be {users.NAME_FORM}", file=sys.stderr)  # noqa: T201 - for a person
        return 2
    key = new_key()
    print(f"key (shown only now): {key}")  # noqa: T201 - what was asked for
    print(f"add to SAFELIGHT_API_KEYS: {name}:{digest_of(key)}")  # noqa: T201 - as above
    print(f"its user id: {users.of_key(name)}")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main())
