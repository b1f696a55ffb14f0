"""One call to a service: bounded, measured, translated."""

import asyncio

import pytest
from botocore.exceptions import ClientError
from prometheus_client import CollectorRegistry

from safelight.aws.dependency import Dependency
from safelight.errors import Reason, Rejection, Unavailable
from safelight.metrics import ProcessMetrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def dependency(registry) -> Dependency:
    return Dependency("s3", metrics=ProcessMetrics(registry, service="test"))


def failed(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetObject")


def errors(registry, code: str) -> float:
    labels = {"dependency": "s3", "code": code}
    return registry.get_sample_value("safelight_dependency_errors_total", labels) or 0


def calls(registry) -> float:
    labels = {"dependency": "s3", "operation": "GetObject"}
    return registry.get_sample_value("safelight_dependency_request_seconds_count", labels) or 0


async def test_a_call_that_takes_too_long_is_unavailable(dependency, registry):
    with pytest.raises(Unavailable, match="GetObject of bucket"):
        async with dependency.call("GetObject", "bucket", seconds=0):
            await asyncio.Event().wait()
    assert errors(registry, "timeout") == 1
    assert calls(registry) == 1


async def test_a_cancelled_call_stays_cancelled_and_is_no_failure(dependency, registry):
    entered = asyncio.Event()

    async def call() -> None:
        async with dependency.call("GetObject", "bucket"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert errors(registry, "timeout") == errors(registry, "other") == 0


async def test_an_error_is_translated_once_and_keeps_its_cause(dependency, registry):
    error = failed("SlowDown")
    with pytest.raises(Unavailable) as caught:
        async with dependency.call("GetObject", "bucket"):
            raise error
    assert caught.value.__cause__ is error
    assert errors(registry, "SlowDown") == 1


async def test_a_code_nobody_knows_is_counted_as_other(dependency, registry):
    with pytest.raises(Exception, match="Strange-7f3a"):
        async with dependency.call("GetObject", "bucket"):
            raise failed("Strange-7f3a")
    assert errors(registry, "other") == 1


async def test_what_an_operation_gives_a_meaning_is_an_answer_and_no_failure(dependency, registry):
    meanings = {"NoSuchKey": lambda words: Rejection(Reason.SOURCE_GONE, words)}
    with pytest.raises(Rejection):
        async with dependency.call("GetObject", "bucket", meanings=meanings):
            raise failed("NoSuchKey")
    assert errors(registry, "NoSuchKey") == errors(registry, "other") == 0


async def test_our_own_errors_and_a_developers_pass_untouched(dependency):
    for error in (Rejection(Reason.EMPTY, "x"), KeyError("x"), OSError(28, "disk full")):
        with pytest.raises(type(error)) as caught:
            async with dependency.call("GetObject", "bucket"):
                raise error
        assert caught.value is error


async def test_without_metrics_a_call_is_only_translated():
    with pytest.raises(Unavailable):
        async with Dependency("s3").call("GetObject", "bucket"):
            raise ConnectionResetError
