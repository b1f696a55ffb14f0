"""Calls a service of AWS with a time limit and metrics, and translates its errors.

Every call goes through here, so no error of botocore, aiobotocore or aiohttp leaves this package.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from safelight.aws.failures import FOREIGN, LABELS, code_of, translated
from safelight.errors import SafelightError
from safelight.metrics import ProcessMetrics

CALL_SECONDS = 20
"""The default time limit of a call in seconds, including botocore's retries."""

Meanings = Mapping[str, Callable[[str], SafelightError]]
"""Error code -> exception made from the service's message, for codes that mean something special to
one operation. Such an error is a normal answer and not counted as a failure."""

_AS_IN_THE_TABLE: Meanings = MappingProxyType({})


class Dependency:
    """A service, under the name that logs and metrics use."""

    def __init__(self, name: str, *, metrics: ProcessMetrics | None = None) -> None:
        self._name = name
        self._metrics = metrics

    @asynccontextmanager
    async def call(
        self,
        operation: str,
        resource: str,
        *,
        seconds: float = CALL_SECONDS,
        meanings: Meanings = _AS_IN_THE_TABLE,
    ) -> AsyncIterator[None]:
        """Limit, measure and translate the one call in the block.

        Raises `Unavailable`, `Misconfigured`, `Refused` or an error from `meanings`. Cancellation
        from outside is not a failure and passes unchanged.
        """
        started = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                yield
        except FOREIGN as error:
            code = code_of(error)
            if (meaning := meanings.get(code)) is not None:
                raise meaning(str(error)) from error
            self._count(code)
            call = f"{operation} of {resource}"
            raise translated(error, dependency=self._name, call=call) from error
        finally:
            self._observe(operation, time.perf_counter() - started)

    def _count(self, code: str) -> None:
        if self._metrics is not None:
            label = code if code in LABELS else "other"
            self._metrics.dependency_errors.labels(self._name, label).inc()

    def _observe(self, operation: str, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.dependency_seconds.labels(self._name, operation).observe(seconds)
