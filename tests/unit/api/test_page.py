"""The statements of docs/guide/api.md are true."""

import json
import re
from pathlib import Path
from typing import Any

from api.apikeys import KEY_BYTES, PREFIX
from api.bodies import BODY_SECONDS, MAX_BODY_BYTES
from api.health import READY_SECONDS, REMEMBERED_SECONDS
from api.images import Image
from api.jwks import COOL_DOWN_SECONDS, LIFETIME_SECONDS
from api.problems import Problem, ProblemDocument
from api.session import Session
from api.settings import ApiSettings
from api.tokens import LEEWAY_SECONDS
from api.upload_documents import UploadIssued, UploadRequest
from api.uploads import A_DAY, PENDING_SECONDS
from api.url_request import UrlsIssued, UrlsRequest
from safelight.formats import READABLE

PAGE = (Path(__file__).parents[3] / "docs" / "guide" / "api.md").read_text()
FLOWING = " ".join(PAGE.split())
EXAMPLES: list[dict[str, Any]] = [
    json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
]


def test_every_problem_is_told_as_it_is() -> None:
    told = [line for line in PAGE.splitlines() if line.startswith("| `/problems/")]
    assert told == [
        f"| `{problem.type}` | {problem.status} | {problem.title} | {problem.remedy} |"
        for problem in Problem
    ]


def test_the_example_requests_are_valid_ones() -> None:
    bodies = re.findall(r"-d '(\{.*\})'", PAGE)
    assert len(bodies) == 4
    *uploads, urls = bodies
    for body in uploads:
        UploadRequest.model_validate_json(body)
    UrlsRequest.model_validate_json(urls)


def test_the_example_answers_have_the_members_of_real_ones() -> None:
    issued, image, session, urls, problem = EXAMPLES
    assert UploadIssued.model_validate(issued).image_id == image["imageId"]
    assert Image.model_validate(image).savings_percent == 71.4
    assert ProblemDocument.model_validate(problem).errors
    assert Session.model_validate(session).user_id
    for each in UrlsIssued.model_validate(urls).urls.values():
        assert len({each.url, each.refused, each.off} - {None}) == 1
    for example, model in (
        (issued, UploadIssued),
        (image, Image),
        (session, Session),
        (urls, UrlsIssued),
        (problem, ProblemDocument),
    ):
        assert example.keys() <= {field.alias for field in model.model_fields.values()}


def test_every_member_of_a_request_is_told() -> None:
    for field in UploadRequest.model_fields.values():
        required = "yes" if field.is_required() else "no"
        assert f"| `{field.alias}` | {required} |" in PAGE
    for format in READABLE:
        for media_type in (format.media_type, *format.also_declared):
            assert f"`{media_type}`" in PAGE


def test_every_setting_that_is_named_is_there() -> None:
    named = set(re.findall(r"SAFELIGHT_([A-Z_]+)", PAGE))
    assert named <= {name.upper() for name in ApiSettings.model_fields}


def test_the_numbers_are_those_of_the_code() -> None:
    assert ApiSettings.model_fields["url_seconds"].default == 15 * 60
    assert f"forgotten after {PENDING_SECONDS // A_DAY} days" in FLOWING
    assert f"at most {MAX_BODY_BYTES // 1024} KiB" in FLOWING
    assert f"within {BODY_SECONDS} seconds" in FLOWING
    assert f"differ by {LEEWAY_SECONDS} seconds" in FLOWING
    assert LIFETIME_SECONDS == 3600
    assert f"at most every {COOL_DOWN_SECONDS} seconds" in FLOWING
    assert f"within {READY_SECONDS} seconds" in FLOWING
    assert REMEMBERED_SECONDS == 1
    assert f"Bearer {PREFIX}..." in FLOWING
    assert KEY_BYTES >= 32
