"""Foreign errors are translated by who can fix them."""

import aiohttp
import pytest
from botocore import exceptions as botocore
from botocore.exceptions import ClientError

from safelight.aws.failures import CODES, FOREIGN, LABELS, code_of, translated
from safelight.errors import Misconfigured, Refused, Unavailable


def answer(code: str, status: int = 400) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": "as the service says"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "GetObject")


def kind(error: Exception) -> type[Exception]:
    return type(translated(error, dependency="s3", call="GetObject of bucket/key"))


@pytest.mark.parametrize(
    "code", ["SlowDown", "ThrottlingException", "InternalError", "ExpiredToken", "OverLimit"]
)
def test_what_passes_by_itself_is_unavailable(code):
    assert kind(answer(code)) is Unavailable


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed",
        "NoSuchBucket", "ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue",
        "NotFound", "KMS.DisabledException", "UnrecognizedClientException",
    ],
)  # fmt: skip
def test_what_a_person_must_put_right_is_misconfigured(code):
    assert kind(answer(code, 403)) is Misconfigured


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_an_unknown_code_is_known_by_its_status(status):
    assert kind(answer("NeverHeardOf", status)) is Unavailable


@pytest.mark.parametrize("status", [400, 404, 409, 413])
def test_any_other_answer_is_a_fault_of_ours_and_stops_no_worker(status):
    assert kind(answer("NeverHeardOf", status)) is Refused


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        (TimeoutError(), Unavailable, "timeout"),
        (botocore.ReadTimeoutError(endpoint_url="x"), Unavailable, "timeout"),
        (botocore.ConnectTimeoutError(endpoint_url="x"), Unavailable, "timeout"),
        (botocore.EndpointConnectionError(endpoint_url="x"), Unavailable, "connection"),
        (botocore.ConnectionClosedError(endpoint_url="x"), Unavailable, "connection"),
        (ConnectionResetError(), Unavailable, "connection"),
        (aiohttp.ClientPayloadError(), Unavailable, "connection"),
        (botocore.IncompleteReadError(actual_bytes=1, expected_bytes=2), Unavailable, "body"),
        (botocore.NoCredentialsError(), Misconfigured, "credentials"),
        (botocore.NoRegionError(), Misconfigured, "settings"),
        (botocore.ParamValidationError(report="x"), Refused, "other"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_never_became_an_answer_is_sorted_too(error, expected, code):
    assert isinstance(error, FOREIGN)
    assert (kind(error), code_of(error)) == (expected, code)


def test_a_full_disk_is_not_taken_for_a_service_that_is_down():
    assert not isinstance(OSError(28, "No space left on device"), FOREIGN)


def test_a_translation_names_the_call_the_thing_and_the_services_words():
    told = str(translated(answer("AccessDenied"), dependency="s3", call="GetObject of bucket/key"))
    assert told.startswith("s3 is misconfigured: GetObject of bucket/key: ")
    assert "AccessDenied" in told
    assert "as the service says" in told


def test_an_error_without_words_is_told_by_its_name():
    told = str(translated(TimeoutError(), dependency="sqs", call="ReceiveMessage of queue"))
    assert told == "sqs is unavailable: ReceiveMessage of queue: TimeoutError"


def test_every_code_is_a_label_and_no_code_stands_twice():
    assert set(CODES) < LABELS
    assert len(LABELS) < 150
