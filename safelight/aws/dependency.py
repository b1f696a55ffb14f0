"""How Safelight calls a service of AWS: bounded in time, measured, its errors translated.

Every call goes through here, so no error of botocore, aiobotocore or aiohttp goes further.
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
"""The longest a call may take, botocore's retries included, unless it says otherwise."""

Meanings = Mapping[str, Callable[[str], SafelightError]]
"""What error codes mean to one operation where that differs from the table, made from the service's
words. An answer, not a failure: it is not counted as one."""

_AS_THE_TABLE_SAYS: Meanings = MappingProxyType({})


class Dependency:
    """A service as logs and metrics name it, and the way to call it."""

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
        meanings: Meanings = _AS_THE_TABLE_SAYS,
    ) -> AsyncIterator[None]:
        """Bound, measure and translate the one call that the block makes.

        Raises `Unavailable`, `Misconfigured`, `Refused` or what `meanings` says. To be cancelled
        from outside is not a failure: that passes.
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
