"""Logging of the API and the worker: one wide event per message and request, without secrets."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from safelight import __version__

_SECRET_QUERY = re.compile(
    r"\?[^\s\"'?]*(?:signature|credential|security(?:-|%2d)token|versionid)=[^\s\"']*",
    re.IGNORECASE,
)
_HEADERS = r"(?:proxy-)?authorization|x-api-key|x-amz-security-token|(?:set-)?cookie"
_SECRET_HEADER = re.compile(
    rf"(?<![\w-])({_HEADERS})([\"']?[ \t]*[:=][ \t]*)\S[^\r\n]*", re.IGNORECASE
)
_CREDENTIALS = re.compile(_HEADERS, re.IGNORECASE)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove signed queries, version ids of objects and headers with credentials.

    A presigned URL in a log could be used. From a source's version id every asset key of its image
    can be computed. botocore's connection errors contain the whole URL. Case is ignored.
    """
    for name, value in event.items():
        event[name] = _redacted(value, name)
    return event


def _redacted(value: Any, name: object = "") -> Any:
    if isinstance(name, str) and _CREDENTIALS.fullmatch(name):
        return "[redacted]"
    match value:
        case str():
            cut = _SECRET_QUERY.sub("?[redacted]", value)
            return _SECRET_HEADER.sub(r"\1\2[redacted]", cut)
        case dict():
            return {name: _redacted(inner, name) for name, inner in value.items()}
        case list() | tuple():
            return [_redacted(inner) for inner in value]
    return value


def configure_logging(*, log_format: str, level: str, service: str) -> None:
    """Write the logs of structlog and of the standard library to stderr in one format."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for noisy in ("botocore", "aiobotocore", "aioboto3", "urllib3", "pyvips", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service, version=__version__)
