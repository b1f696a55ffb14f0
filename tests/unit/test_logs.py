"""Logs contain no secrets, and all have one form."""

import json
import logging

import pytest
import structlog

from safelight.logs import configure_logging, redact

SIGNED = (
    "http://127.0.0.1:4566/b/uploads/alice/1?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIA%2F20261121&X-Amz-Signature=0123abc"
)


@pytest.mark.parametrize("text", [SIGNED, f"GET {SIGNED} failed", f'{{"url": "{SIGNED}"}}'])
def test_no_presigned_query_reaches_a_log(text: str) -> None:
    line = redact(None, "info", {"event": text})["event"]
    assert "Signature" not in line
    assert "AKIA" not in line
    assert "/b/uploads/alice/1?[redacted]" in line


def test_no_presigned_query_hides_inside_other_values() -> None:
    line = redact(None, "info", {"event": "x", "headers": {"urls": [SIGNED]}})
    assert "Signature" not in str(line)


@pytest.mark.parametrize(
    "text",
    [
        "https://s3/b/x?x-amz-SIGNATURE=hush",
        "GET /small/x?key=web&SIGNATURE=hush HTTP/1.1",
        "HTTPS://S3/b/x?X-Amz-Security-Token=hush",
        "/b/x?x-amz-security%2Dtoken=hush",
        "/b/x?VERSIONID=hush",
        "authorization: Bearer hush",
        "AUTHORIZATION: AWS4-HMAC-SHA256 Credential=x, Signature=hush",
        "{'X-Amz-Security-Token': 'hush'}",
        "x-api-key=hush",
        "Set-Cookie: session=hush",
    ],
)
def test_no_secret_reaches_a_log_in_any_case(text: str) -> None:
    assert "hush" not in str(redact(None, "info", {"event": f"failed: {text}"}))


def test_a_header_of_credentials_is_cut_out_by_its_name() -> None:
    event = {"event": "x", "headers": {"authorization": "hush"}, "X-API-Key": "hush"}
    assert "hush" not in str(redact(None, "info", event))


def test_words_about_credentials_stay() -> None:
    event = {"event": "The request carries neither an Authorization nor an X-Api-Key header."}
    assert redact(None, "info", dict(event)) == event


def test_an_ordinary_query_stays() -> None:
    event = {"event": "GET https://example.com/v1/images?status=pending"}
    assert redact(None, "info", dict(event)) == event


def test_our_logs_and_the_librarys_are_json_of_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs():
        pass
    configure_logging(log_format="json", level="info", service="test")
    structlog.get_logger().info("ours", url=SIGNED, error=None)
    logging.getLogger("somebody").warning("theirs %s", SIGNED)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"].split()[0] for line in lines] == ["ours", "theirs"]
    for line in lines:
        assert line["service"] == "test"
        assert line["level"]
        assert line["timestamp"].endswith("Z")
        assert "Signature" not in json.dumps(line)


def test_a_version_of_a_source_in_a_foreign_error_is_cut_off():
    text = 'Could not connect to the endpoint URL: "http://s3/b/uploads/x?versionId=3%2FL4kq"'
    line = redact(None, "info", {"error": text})["error"]
    assert line == 'Could not connect to the endpoint URL: "http://s3/b/uploads/x?[redacted]"'
