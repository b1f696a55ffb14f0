import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bodies import parse
from api.problems import Problem, Refusal
from api.upload_documents import UploadRequest
from api.uploads import PENDING_SECONDS
from safelight.errors import Misconfigured, Unavailable
from safelight.formats import READABLE
from safelight.record import Record, Status
from tests.support.fakes import IDS
from tests.unit.api.clients import ALICE, BOB, MAX_UPLOAD_BYTES, Api, Start, an_upload, without


async def test_an_upload_is_issued_as_a_form_by_default(api: Api) -> None:
    answer, told = await api.post(an_upload())
    assert answer.status == 201
    assert told["method"] == "POST"
    assert told["key"] == f"uploads/key%3Aalice/{told['imageId']}"
    policy = json.loads(told["fields"]["policy"])
    assert policy["key"] == told["key"]
    assert policy["Content-Type"] == "image/jpeg"
    assert policy["content-length-range"] == [1, 1234]
    assert policy["expires_seconds"] == 900
    assert "headers" not in told


@pytest.mark.parametrize("sha256", [None, "ab" * 32])
async def test_a_put_names_all_headers_that_a_client_has_to_send(
    api: Api, sha256: str | None
) -> None:
    _, told = await api.post(an_upload(method="PUT", **({"sha256": sha256} if sha256 else {})))
    assert told["method"] == "PUT"
    assert told["headers"].pop("Content-Type") == "image/jpeg"
    token = api.records.records[told["imageId"]].upload_token
    assert told["headers"].pop("x-amz-meta-upload-token") == token
    assert list(told["headers"]) == (["x-amz-checksum-sha256"] if sha256 else [])
    assert "fields" not in told


async def test_an_upload_expires_after_fifteen_minutes(api: Api) -> None:
    before = datetime.now(UTC)
    _, told = await api.post(an_upload())
    expires_at = datetime.fromisoformat(told["expiresAt"])
    assert timedelta(0) <= expires_at - before + timedelta(seconds=1) - timedelta(minutes=15)
    assert expires_at <= datetime.now(UTC) + timedelta(minutes=15)


async def test_the_answer_leads_to_the_image_and_is_stored_nowhere(api: Api) -> None:
    answer, told = await api.post(an_upload())
    assert answer.headers["Location"] == told["statusUrl"] == f"/v1/images/{told['imageId']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    image, _ = await api.ask("GET", told["statusUrl"], headers=ALICE)
    assert image.status == 200


async def test_a_pending_record_is_written_that_expires_in_a_month(api: Api) -> None:
    _, told = await api.post(an_upload(tags=["a", "b", "a"]))
    record = api.records.records[told["imageId"]]
    assert record.status is Status.PENDING
    assert (record.user_id, record.original_key) == ("key:alice", told["key"])
    assert (record.filename, record.media_type) == ("cat.jpg", "image/jpeg")
    assert record.tags == ("a", "b")
    assert record.expires_at == record.uploaded_at // 1000 + 900 + PENDING_SECONDS


DAY_MS = 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("setting", "asked", "days"),
    [(None, None, None), (30, None, 30), (30, 7, 7), (None, 3650, 3650)],
)
async def test_an_upload_is_kept_for_its_own_days_or_those_of_the_setting(
    start: Start, setting: int | None, asked: int | None, days: int | None
) -> None:
    api = await start(keep_days=setting)
    _, told = await api.post(an_upload(**{"keepDays": asked} if asked else {}))
    record = api.records.records[told["imageId"]]
    expected = days and record.uploaded_at + days * DAY_MS
    assert record.keep_until == expected
    _, image = await api.get(told["imageId"])
    for answer in (told, image):
        shown = answer.get("keepUntil")
        assert (shown and datetime.fromisoformat(shown).timestamp() * 1000) == expected


@pytest.mark.parametrize("days", [0, 3651, 1.5, "7", True])
async def test_days_that_no_image_can_be_kept_are_refused(api: Api, days: Any) -> None:
    answer, problem = await api.post(an_upload(keepDays=days))
    assert answer.status == 422
    assert [fault["pointer"] for fault in problem["errors"]] == ["#/keepDays"]


async def test_the_same_key_with_another_retention_is_another_request(api: Api) -> None:
    header = {"Idempotency-Key": "order-17"}
    await api.post(an_upload(keepDays=7), **header)
    assert (await api.post(an_upload(keepDays=7.0), **header))[0].status == 201
    answer, problem = await api.post(an_upload(keepDays=8), **header)
    assert (answer.status, problem["type"]) == (422, "/problems/idempotency_key_reused")


async def test_two_uploads_of_one_name_are_two_images(api: Api) -> None:
    (_, one), (_, other) = await asyncio.gather(api.post(an_upload()), api.post(an_upload()))
    assert one["imageId"] != other["imageId"]
    assert one["key"] != other["key"]


async def test_a_checksum_is_signed_in_lower_case(api: Api) -> None:
    _, told = await api.post(an_upload(sha256="AB" * 32))
    assert json.loads(told["fields"]["policy"])["x-amz-checksum-sha256"] == "ab" * 32


@pytest.mark.parametrize(
    "media_type",
    [*(format.media_type for format in READABLE), "image/heif", "application/octet-stream"],
)
async def test_every_readable_format_may_be_declared(api: Api, media_type: str) -> None:
    answer, _ = await api.post(an_upload(contentType=media_type))
    assert answer.status == 201


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        ("image/jpg", "image/jpeg"),  # React Native, Android
        ("image/pjpeg", "image/jpeg"),
        ("IMAGE/JPEG", "image/jpeg"),
        (' image/jpeg ; name="cat.jpg"', "image/jpeg"),
        ("image/x-png", "image/png"),
        ("image/apng", "image/png"),
        ("image/x-ms-bmp", "image/bmp"),
        ("image/heic-sequence", "image/heic"),
        ("image/heif", "image/heif"),
        ("", "application/octet-stream"),  # Chromium for IMG_0001.HEIC
        ("image", "application/octet-stream"),  # Expo
        ("image/*", "application/octet-stream"),
        ("image/vnd.adobe.photoshop", "application/octet-stream"),
        ("binary/octet-stream", "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_declared_type_is_a_claim_and_the_answer_says_which_one_to_send(
    api: Api, method: str, declared: str, sent: str
) -> None:
    answer, told = await api.post(an_upload(contentType=declared, method=method))
    assert answer.status == 201
    assert told["contentType"] == sent
    assert told["fields" if method == "POST" else "headers"]["Content-Type"] == sent
    assert api.records.records[told["imageId"]].media_type == sent


async def test_a_client_that_knows_no_type_leaves_it_out(api: Api) -> None:
    answer, told = await api.ask("POST", "/v1/uploads", json=without("contentType"), headers=ALICE)
    assert (answer.status, told["contentType"]) == (201, "application/octet-stream")


@pytest.mark.parametrize("declared", ["image/svg+xml", "image/svg+xml;charset=utf-8", "image/svg"])
async def test_a_drawing_may_be_declared_where_it_is_accepted_but_is_never_stored_as_one(
    start: Start, declared: str
) -> None:
    api = await start(accept_svg=True)
    answer, told = await api.post(an_upload(contentType=declared))
    assert (answer.status, told["contentType"]) == (201, "application/octet-stream")


def test_a_request_has_the_same_hash_as_in_the_first_release() -> None:
    """Or a repeated Idempotency-Key would be refused after an upgrade."""
    for declared in ("application/octet-stream", "image/heif", "image/jpeg"):
        body = json.dumps(an_upload(contentType=declared)).encode()
        read = parse(body, UploadRequest, context={})
        stored = f'{{"filename":"cat.jpg","content_type":"{declared}","size":1234}}'
        assert read.hash == hashlib.sha256(stored.encode()).hexdigest()


@pytest.mark.parametrize("size", [0, 1, MAX_UPLOAD_BYTES, 5.0])
async def test_every_size_up_to_the_limit_is_accepted(api: Api, size: int) -> None:
    answer, _ = await api.post(an_upload(size=size))
    assert answer.status == 201


@pytest.mark.parametrize(
    "filename", ["a b+ü(1)&=#%.jpg", "../../etc/passwd", "猫🐈.png", "x" * 255]
)
async def test_any_file_name_is_remembered_and_is_part_of_no_key(api: Api, filename: str) -> None:
    _, told = await api.post(an_upload(filename=filename))
    assert api.records.records[told["imageId"]].filename == filename
    assert told["key"] == f"uploads/key%3Aalice/{told['imageId']}"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (without("filename"), "#/filename"),
        (without("size"), "#/size"),
        (an_upload(filename=""), "#/filename"),
        (an_upload(filename="x" * 256), "#/filename"),
        (an_upload(filename="a\0b"), "#/filename"),
        (an_upload(filename="a\nb"), "#/filename"),
        (an_upload(filename="a\x85b"), "#/filename"),
        (an_upload(filename=5), "#/filename"),
        (an_upload(contentType="image/svg+xml"), "#/contentType"),
        (an_upload(contentType="IMAGE/SVG; charset=utf-8"), "#/contentType"),
        (an_upload(contentType="text/html"), "#/contentType"),
        (an_upload(contentType="application/pdf"), "#/contentType"),
        (an_upload(contentType="video/quicktime"), "#/contentType"),
        (an_upload(contentType="text/html; image/jpeg"), "#/contentType"),
        (an_upload(contentType="images/jpeg"), "#/contentType"),
        (an_upload(contentType=None), "#/contentType"),
        (an_upload(size=-1), "#/size"),
        (an_upload(size=MAX_UPLOAD_BYTES + 1), "#/size"),
        (an_upload(size=10**400), "#/size"),
        (an_upload(size="1234"), "#/size"),
        (an_upload(size=True), "#/size"),
        (an_upload(size=1.5), "#/size"),
        (an_upload(size=None), "#/size"),
        (an_upload(sha256="ab" * 31), "#/sha256"),
        (an_upload(sha256="xy" * 32), "#/sha256"),
        (an_upload(sha256="ab" * 32 + "\n"), "#/sha256"),
        (an_upload(tags=["t"] * 11), "#/tags"),
        (an_upload(tags=["ok", ""]), "#/tags/1"),
        (an_upload(tags=["t" * 65]), "#/tags/0"),
        (an_upload(tags=["a\tb"]), "#/tags/0"),
        (an_upload(tags="cat"), "#/tags"),
        (an_upload(method="post"), "#/method"),
        (an_upload(method="DELETE"), "#/method"),
        (an_upload(**{"a/b~é": 1}), "#/a~1b~0%C3%A9"),
        (an_upload(image_id="x"), "#/image_id"),
        ([], "#"),
        ("text", "#"),
    ],
)
async def test_a_member_at_fault_is_named(api: Api, body: Any, pointer: str) -> None:
    answer, problem = await api.ask("POST", "/v1/uploads", json=body, headers=ALICE)
    assert answer.status == 422
    assert answer.content_type == "application/problem+json"
    assert problem["type"] == "/problems/invalid_request"
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert api.records.records == {}


async def test_all_faults_are_named_at_once_up_to_a_limit(api: Api) -> None:
    _, few = await api.post(an_upload(size=-1, filename="", tags=[""]))
    assert {fault["pointer"] for fault in few["errors"]} == {"#/size", "#/filename", "#/tags/0"}
    _, many = await api.post(an_upload(**{f"unknown{number}": 1 for number in range(500)}))
    assert len(many["errors"]) == 20
    assert "500 members" in many["detail"]


async def test_the_largest_size_is_told(api: Api) -> None:
    _, problem = await api.post(an_upload(size=MAX_UPLOAD_BYTES + 1))
    assert problem["errors"][0]["detail"] == f"must be at most {MAX_UPLOAD_BYTES}."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"filename": "\xff"}',
        b'{"filename": "\\ud800", "contentType": "image/jpeg", "size": 1}',
        b'{"filename": "a\0b"}',
        b"[" * 15_000,
        b'{"a":' * 3_000,
        b'{"size": 1' + b"0" * 15_000 + b"}",
        b"\xef\xbb\xbf{}x",
        json.dumps(an_upload()).encode("utf-16"),
    ],
)
async def test_what_is_no_json_is_told_so(api: Api, body: bytes) -> None:
    headers = ALICE | {"Content-Type": "application/json"}
    answer, problem = await api.ask("POST", "/v1/uploads", data=body, headers=headers)
    assert answer.status == 400
    assert problem["type"] == "/problems/malformed_json"


WORDS = st.sampled_from([*an_upload(), "tags", "sha256", "method", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner),
).map(lambda value: json.dumps(value).encode())


@given(body=st.binary(max_size=400) | JSON)
def test_whatever_a_body_is_it_is_read_or_refused(body: bytes) -> None:
    try:
        read = parse(body, UploadRequest, context={"max_upload_bytes": 9})
    except Refusal as refusal:
        assert refusal.problem in {Problem.MALFORMED_JSON, Problem.INVALID_REQUEST}  # noqa: PT017 - or it is read
    else:
        assert read.size <= 9


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json; charset=utf-8; charset=utf-16"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "(" * 3000},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Encoding": "br, gzip"},
    ],
)
async def test_another_media_type_or_encoding_is_unsupported(
    api: Api, headers: dict[str, str]
) -> None:
    body = json.dumps(an_upload()).encode()
    answer, problem = await api.ask("POST", "/v1/uploads", data=body, headers=ALICE | headers)
    assert answer.status == 415
    assert problem["type"] == "/problems/unsupported_media_type"
    assert answer.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    "content_type",
    [
        'Application/JSON ; Charset="UTF-8"',
        "application/json; a*",
        "application/json; a*" + "0" * 5000,
        r"application/json; title*=\0''%ff",
        "application/json" + ";" * 20_000,
        "application/json" + "; charset" * 2_000,
    ],
    ids=lambda text: text[:30],
)
async def test_whatever_else_is_said_of_json_it_is_read(api: Api, content_type: str) -> None:
    """A parser of e-mail headers takes seconds for the last two."""
    body = json.dumps(an_upload()).encode()
    headers = ALICE | {"Content-Type": content_type}
    answer, _ = await api.ask("POST", "/v1/uploads", data=body, headers=headers)
    assert answer.status == 201


async def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    answer, problem = await api.post(an_upload(filename="x" * 70_000))
    assert answer.status == 413
    assert problem["type"] == "/problems/body_too_large"


async def test_a_body_that_never_ends_is_refused(api: Api) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 10_000

    headers = ALICE | {"Content-Type": "application/json"}
    answer, _ = await api.ask("POST", "/v1/uploads", data=endless(), headers=headers)
    assert answer.status == 413


KEY = {"Idempotency-Key": "order-17"}


def token_in(told: dict[str, Any]) -> str | None:
    fields: dict[str, str] = told["fields"]
    return fields.get("x-amz-meta-upload-token")


async def settle(api: Api, image_id: str) -> Record:
    """Settle the upload that an image waits for, as a worker does."""
    waiting = api.records.records[image_id]
    settlement = waiting.model_copy(
        update={
            "status": Status.COMPLETED,
            "revision": f"of {waiting.upload_token}",
            "sequencer": str(waiting.sequence or 0),
            "upload_token": None,
            "settled_token": waiting.upload_token,
        }
    )
    return (await api.records.commit(settlement)).record


async def test_the_same_key_and_request_mean_the_same_image_with_a_fresh_url(api: Api) -> None:
    first, one = await api.post(an_upload(), **KEY)
    api.a_second_later()
    second, other = await api.post(an_upload(), **KEY)
    assert (first.status, second.status) == (201, 201)
    assert one["imageId"] == other["imageId"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(api.records.records) == 1
    assert api.presigner.calls["post"] == 2


async def test_a_write_that_is_repeated_because_its_answer_was_lost_is_no_replay(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = api.records.create

    async def twice(record: Record, **how: Any) -> Record:
        await create(record, **how)
        return Record.from_item((await create(record, **how)).to_item())

    monkeypatch.setattr(api.records, "create", twice)
    answer, _ = await api.post(an_upload(), **KEY)
    assert "Idempotent-Replayed" not in answer.headers


async def test_the_same_key_for_another_request_is_refused(api: Api) -> None:
    await api.post(an_upload(), **KEY)
    answer, problem = await api.post(an_upload(size=99), **KEY)
    assert answer.status == 422
    assert problem["type"] == "/problems/idempotency_key_reused"
    assert api.presigner.calls["post"] == 1


async def test_two_requests_with_one_key_at_once_make_one_image(api: Api) -> None:
    answers = await asyncio.gather(*(api.post(an_upload(), **KEY) for _ in range(10)))
    assert len({told["imageId"] for _, told in answers}) == 1
    assert len(api.records.records) == 1


async def test_two_users_with_one_key_have_two_images(api: Api) -> None:
    _, alices = await api.post(an_upload(), **KEY)
    _, bobs = await api.post(an_upload(), **KEY, **BOB)
    assert alices["imageId"] != bobs["imageId"]


async def test_a_key_whose_upload_was_settled_leads_to_the_image(api: Api) -> None:
    _, told = await api.post(an_upload(), **KEY)
    await settle(api, told["imageId"])
    answer, problem = await api.post(an_upload(), **KEY)
    assert (answer.status, problem["type"]) == (409, "/problems/already_settled")
    assert problem["statusUrl"] == told["statusUrl"]
    assert api.presigner.calls["post"] == 1


async def test_a_repeated_key_has_the_same_token(api: Api) -> None:
    _, one = await api.post(an_upload(), **KEY)
    _, other = await api.post(an_upload(), **KEY)
    (record,) = api.records.records.values()
    assert {token_in(one), token_in(other)} == {record.upload_token}


async def test_a_pending_upload_that_was_requested_of_an_older_version_has_no_token(
    api: Api,
) -> None:
    _, told = await api.post(an_upload(), **KEY)
    older = api.records.records[told["imageId"]].model_copy(update={"upload_token": None})
    api.records.records[told["imageId"]] = older
    answer, again = await api.post(an_upload(), **KEY)
    assert (answer.status, token_in(again)) == (201, None)


async def test_a_key_whose_image_was_erased_is_gone(api: Api) -> None:
    _, told = await api.post(an_upload(), **KEY)
    api.records.records[told["imageId"]] = Record(
        image_id=told["imageId"], user_id="key:alice", uploaded_at=0, original_key=told["key"],
        status=Status.ERASED,
    )  # fmt: skip
    answer, problem = await api.post(an_upload(), **KEY)
    assert answer.status == 410
    assert problem["type"] == "/problems/image_erased"


@pytest.mark.parametrize("key", ["x" * 256, "naïve", "", "a b", "a\tb"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answer, problem = await api.post(an_upload(), **{"Idempotency-Key": key})
    assert answer.status == 400
    assert problem["type"] == "/problems/invalid_idempotency_key"


async def test_two_keys_are_refused(api: Api) -> None:
    headers = [*ALICE.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    _, problem = await api.ask("POST", "/v1/uploads", json=an_upload(), headers=headers)
    assert problem["type"] == "/problems/invalid_idempotency_key"


async def test_the_id_of_an_idempotency_key_is_derived_with_the_secret(api: Api) -> None:
    _, told = await api.post(an_upload(), **{"Idempotency-Key": "order-1001"})
    expected = IDS.of_request(user_id="key:alice", idempotency_key="order-1001")
    assert told["imageId"] == expected


async def test_an_idempotent_id_never_meets_an_adopted_one(api: Api) -> None:
    _, told = await api.post(an_upload(), **{"Idempotency-Key": "uploads/x"})
    assert told["imageId"] != IDS.of_object(bucket="key:alice", key="uploads/x")


async def test_a_table_that_is_out_of_reach_is_temporary(api: Api) -> None:
    api.records.fail_next["create"] = [Unavailable("dynamodb", "10.0.0.1 refused")]
    answer, problem = await api.post(an_upload())
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert problem["type"] == "/problems/unavailable"
    assert "10.0.0.1" not in json.dumps(problem)


async def test_missing_permissions_are_told_as_such_without_their_details(api: Api) -> None:
    api.presigner.fail_next["post"] = [Misconfigured("s3", "arn:aws:iam::1:role/x is denied")]
    answer, problem = await api.post(an_upload())
    assert answer.status == 500
    assert problem["type"] == "/problems/misconfigured"
    assert "arn:" not in json.dumps(problem)


async def test_outcomes_are_counted(api: Api) -> None:
    name = "safelight_uploads_presigned_total"
    await api.post(an_upload(), **KEY)
    api.a_second_later()
    await api.post(an_upload(), **KEY)
    await api.post(an_upload(size=-1))
    api.records.fail_next["create"] = [RuntimeError("a bug")]
    await api.post(an_upload())
    counted = {o: api.value(name, outcome=o) for o in ("issued", "replayed", "refused", "failed")}
    assert counted == {"issued": 1, "replayed": 1, "refused": 1, "failed": 1}
