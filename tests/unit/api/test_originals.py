"""Downloads of originals: for owners, of settled images, where they are enabled."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from safelight import keys
from safelight.record import Record, Status
from tests.unit.api.clients import ALICE, BOB, Api, Start


@pytest.fixture
async def api(start: Start) -> Api:
    return await start(originals=True)


def stored(api: Api, **changes: Any) -> Record:
    usual = {
        "image_id": keys.new_image_id(),
        "user_id": "key:alice",
        "uploaded_at": 1,
        "original_key": "uploads/key%3Aalice/x",
        "status": Status.COMPLETED,
        "filename": "cat.jpg",
        "revision": "v1",
        "version_id": "secret-version",
    }
    record = Record(**usual | changes)
    api.records.records[record.image_id] = record
    return record


async def download(api: Api, record: Record, *, headers: Any = ALICE, method: str = "GET") -> Any:
    path = f"/v1/images/{record.image_id}/original"
    answer, _ = await api.ask(method, path, headers=headers, allow_redirects=False)
    return answer


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.REJECTED])
async def test_an_owner_is_sent_to_the_source_as_a_download(api: Api, status: Status) -> None:
    record = stored(api, status=status, filename='a"b\u00fc\r\nX: y.jpg')
    answer = await download(api, record)
    assert (answer.status, answer.headers["Cache-Control"]) == (303, "no-store")
    url = urlsplit(answer.headers["Location"])
    assert url.path == f"/{record.original_key}"
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query["X-Amz-Expires"] == "300"
    assert query["response-content-disposition"] == (
        "attachment; filename=\"a_b___X: y.jpg\"; filename*=UTF-8''a%22b%C3%BC%0D%0AX%3A%20y.jpg"
    )
    assert record.version_id not in answer.headers["Location"]


async def test_a_head_is_sent_to_a_url_that_allows_a_head(api: Api) -> None:
    """S3 refuses a HEAD with the signature of a GET."""
    record = stored(api)
    urls = [
        urlsplit((await download(api, record, method=method)).headers["Location"])
        for method in ("GET", "HEAD")
    ]
    assert [parse_qs(url.query)["method"] for url in urls] == [["GET"], ["HEAD"]]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_script_that_accepts_json_gets_the_url(api: Api, method: str) -> None:
    """A page with a token cannot follow the redirect: the bucket lets no page read sources."""
    record = stored(api)
    accept = ALICE | {"Accept": "application/json, text/plain;q=0.9, */*;q=0.8"}
    answer = await download(api, record, headers=accept, method=method)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert (answer.content_type, answer.headers["Vary"]) == ("application/json", "Accept")
    if method == "GET":
        document = await answer.json()
        assert urlsplit(document["url"]).path == f"/{record.original_key}"
        assert parse_qs(urlsplit(document["url"]).query)["method"] == ["GET"]
        ends = datetime.fromisoformat(document["expiresAt"])
        assert timedelta(seconds=290) < ends - datetime.now(UTC) <= timedelta(seconds=300)


@pytest.mark.parametrize("accept", ["*/*", "text/html, */*;q=0.8", "application/json;q=0"])
async def test_other_clients_are_redirected(api: Api, accept: str) -> None:
    answer = await download(api, stored(api), headers=ALICE | {"Accept": accept})
    assert (answer.status, answer.headers["Vary"]) == (303, "Accept")


async def test_an_image_without_a_file_name_is_saved_under_its_id(api: Api) -> None:
    record = stored(api, filename=None)
    assert f"{record.image_id}%22" in (await download(api, record)).headers["Location"]


async def test_others_and_erased_and_pending_images_have_no_original(api: Api) -> None:
    assert (await download(api, stored(api), headers=BOB)).status == 404
    assert (await download(api, stored(api, status=Status.ERASED))).status == 410
    pending = await download(api, stored(api, status=Status.PENDING))
    assert (pending.status, (await pending.json())["type"]) == (404, "/problems/not_arrived")
    assert api.presigner.calls["get_source"] == 0


async def test_without_the_setting_there_are_no_originals(start: Start) -> None:
    api = await start()
    assert (await download(api, stored(api))).status == 404
    _, document = await api.ask("GET", "/openapi.json")
    assert "/v1/images/{imageId}/original" not in document["paths"]
