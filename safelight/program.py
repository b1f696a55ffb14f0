"""The shell around all programs: arguments, exit codes, signals, serving, background tasks.

0  the program stopped because it was asked to
1  it could not start
2  it is set up wrongly; every fault was printed
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

import structlog
import uvloop
from aiohttp import web

from safelight import __version__
from safelight.errors import InvalidConfiguration, Misconfigured, SafelightError
from safelight.hidden import hide_from_children
from safelight.logs import configure_logging
from safelight.settings import Settings

log = structlog.get_logger()

STOPPED = 0
"""The exit code of a program that stopped as requested."""
NOT_STARTED = 1
"""The exit code if the program could not start; starting it again may help."""
SET_UP_WRONGLY = 2
"""The exit code if only a person can fix the setup. Every fault was printed or logged."""

S = TypeVar("S", bound=Settings)
F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A command-line option that does one thing in place of running the program."""

    flag: str
    metavar: str
    help: str
    run: Callable[[str], int]
    """Takes the option's value and returns the exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Generic[S, F]):
    """A program: its settings, the files they name, and the coroutine that runs until a signal."""

    service: Literal["api", "worker", "worker.cleanup"]
    description: str
    settings: type[S]
    read_files: Callable[[S], F]
    """Read the files that the settings name, or raise `InvalidConfiguration`."""
    run: Callable[[S, F], Coroutine[Any, Any, None]]
    options: tuple[Option, ...] = ()

    def main(self) -> int:
        """Run the program with the arguments of the command line and return its exit code."""
        hide_from_children()
        arguments = self._arguments()
        for option in self.options:
            value = getattr(arguments, _attribute(option))
            if value is not None:
                return option.run(value)
        try:
            settings = self.settings.load()
            files = self.read_files(settings)
        except InvalidConfiguration as error:
            print(error, file=sys.stderr)  # noqa: T201 - for a person, before there is a log
            return SET_UP_WRONGLY
        if arguments.print_config:
            print(settings.printable())  # noqa: T201 - the requested output
            return STOPPED
        configure_logging(
            log_format=settings.log_format, level=settings.log_level, service=self.service
        )
        return self._run(settings, files)

    def _run(self, settings: S, files: F) -> int:
        try:
            uvloop.run(self.run(settings, files))
        except (Misconfigured, InvalidConfiguration) as error:
            log.error("not_started", error=str(error))
            return SET_UP_WRONGLY
        except (SafelightError, OSError) as error:
            log.error("not_started", error=str(error))
            return NOT_STARTED
        return STOPPED

    def _arguments(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser(
            prog=f"python -m {self.service}", description=self.description
        )
        parser.add_argument(
            "--print-config", action="store_true", help="print the settings and exit"
        )
        for option in self.options:
            parser.add_argument(
                option.flag, dest=_attribute(option), metavar=option.metavar, help=option.help
            )
        parser.add_argument("--version", action="version", version=__version__)
        return parser.parse_args()


def on_stop_signal(stop: Callable[[], None]) -> None:
    """Call `stop` when SIGTERM or SIGINT arrives, in place of ending at once."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


@contextlib.asynccontextmanager
async def serve(
    app: web.Application,
    *,
    host: str,
    port: int,
    shutdown_seconds: float,
    runner_options: Mapping[str, Any] = MappingProxyType({}),
) -> AsyncIterator[None]:
    """Serve an application during the block and log its URL; port 0 takes a free one.

    At the end of the block, accept no new requests and finish those under way for at most
    `shutdown_seconds`.
    """
    options = {"access_log": None, **runner_options}
    # aiohttp waits this long twice: for the handler, and after it stopped reading the body.
    runner = web.AppRunner(app, shutdown_timeout=shutdown_seconds / 2, **options)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound, number = runner.addresses[0][:2]
        log.info("listening", url=f"http://{f'[{bound}]' if ':' in bound else bound}:{number}")
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines beside the block and cancel them at its end.

    One that fails ends the block too, so that no part of a program stops unnoticed.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _attribute(option: Option) -> str:
    return option.flag.lstrip("-").replace("-", "_")
