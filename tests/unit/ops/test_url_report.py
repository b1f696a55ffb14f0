"""`safelight explain --report` counts the URLs of another system's log."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.__main__ import app
from ops.access_log import urls_in
from tests.unit.api.dialects.test_dialects import dialect, url_of

IMGPROXY_KEYS = "00112233445566778899aabbccddeeff:00112233445566778899aabbccddeeff"
GOOD = "w:300/plain/s3://photos/a%20b.jpg@webp"
DIFFERS = "w:300/sa:0.5/plain/a.jpg"
REFUSED = "raw:1/plain/a.jpg"


def signed(wanted: str) -> str:
    path, _ = url_of(dialect("imgproxy", IMGPROXY_KEYS), wanted)
    return path.removeprefix("/imgproxy")


def common(path: str, method: str = "GET") -> str:
    return f'192.0.2.1 - - [29/Nov/2026:18:00:00 +0000] "{method} {path} HTTP/1.1" 200 5120'


def combined(path: str) -> str:
    return f'{common(path)} "https://example.com/" "Mozilla/5.0 (X11; \\"Linux\\")"'


def balancer(path: str) -> str:
    return (
        "https 2026-11-29T18:00:00.186641Z app/pictures/50dc6c495c0c9188 192.0.2.1:2817 10.0.0.1:80"
        f' 0.086 0.048 0.037 200 200 0 57 "GET https://pictures.example.com:443{path} HTTP/1.1"'
        ' "curl/8.5.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 - "Root=1-58337281" "-" "-" 1 - "-"'
    )


CLOUDFRONT_HEADER = (
    "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) "
    "cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie)"
)


def cloudfront(path: str, query: str = "-") -> str:
    escaped = path.replace("%", "%25")
    return (
        f"2026-11-29\t18:00:00\tFRA50-C1\t5120\t192.0.2.1\tGET\td111.cloudfront.net\t{escaped}\t200"
        f"\t-\tMozilla/5.0%20(X11)\t{query}\t-"
    )


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("/sig/w:1/plain/a.jpg", "/sig/w:1/plain/a.jpg"),
        ("https://img.example.com/sig/w:1/plain/a.jpg\r\n", "/sig/w:1/plain/a.jpg"),
        (common("/a.jpg?w=1&s=2"), "/a.jpg?w=1&s=2"),
        (common("/a.jpg", "HEAD"), "/a.jpg"),
        (common("/a.jpg", "POST"), None),
        (combined("/a%20b.jpg"), "/a%20b.jpg"),
        (balancer("/x/w:1/plain/https://b/a.jpg?v=1"), "/x/w:1/plain/https://b/a.jpg?v=1"),
        (cloudfront("/a%20b.jpg", "w=1&s=2"), "/a%20b.jpg?w=1&s=2"),
        (cloudfront("/a.jpg"), "/a.jpg"),
        ("https://img.example.com", None),
        ("started in 3 seconds", None),
        ('- - - "-" 400 0', None),
    ],
)
def test_a_line_of_any_log_gives_its_path_and_query(line: str, url: str | None) -> None:
    assert list(urls_in([line])) == [url]


def test_the_header_of_a_cloudfront_log_names_its_fields() -> None:
    lines = ["#Fields: cs-uri-query cs-method cs-uri-stem", "w=1\tGET\t/a.jpg", "", "-\tPUT\t/b"]
    assert list(urls_in(lines)) == ["/a.jpg?w=1", None]


def run(*words: str, stdin: str | None = None) -> tuple[int, dict[str, Any]]:
    answer = CliRunner().invoke(app, ("explain", *words, "--json"), input=stdin)
    return answer.exit_code, json.loads(answer.stdout)


def counts(requests: int, urls: int) -> dict[str, int]:
    return {"requests": requests, "urls": urls}


def without_example(told: object) -> object:
    assert isinstance(told, dict)
    return {name: value for name, value in told.items() if name != "example"}


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_IMGPROXY_KEYS", IMGPROXY_KEYS)
    monkeypatch.setenv("SAFELIGHT_ROOT_DIALECT", "imgproxy")


@pytest.mark.usefixtures("keys")
def test_a_log_is_counted_by_requests_and_by_urls(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    wrong = signed(GOOD).replace("w:300", "w:301")
    lines = [
        *[combined(signed(GOOD))] * 5,
        balancer(signed(DIFFERS)),
        CLOUDFRONT_HEADER,
        cloudfront(signed(GOOD)),
        cloudfront(signed(REFUSED)),
        common(signed("raw:1/plain/b.jpg")),
        common(wrong),
        common("/favicon.ico"),
        common(signed(GOOD), "POST"),
    ]
    log.write_text("\n".join(lines))
    code, told = run("--report", str(log))
    assert code == 3
    assert without_example(told["all"]) == counts(11, 6)
    assert without_example(told["understood"]) == counts(8, 3)
    assert without_example(told["differing"]) == counts(1, 1)
    assert without_example(told["refused"]) == counts(2, 2)
    assert told["elsewhere"] == {**counts(1, 1), "example": "/favicon.ico"}
    assert told["signatures"] == {
        "checked": True,
        "wrong": {**counts(1, 1), "example": wrong},
        "missing": counts(0, 0),
    }
    assert told["linesWithoutUrl"] == 1
    assert told["refusals"] == [
        {
            "dialect": "imgproxy",
            "option": "raw",
            "why": "is refused: sources are never delivered unrendered.",
            **counts(2, 2),
            "example": signed(REFUSED),
        }
    ]
    assert [(each["place"], each["requests"]) for each in told["sources"]] == [
        ("s3://photos", 7),
        ("no folder", 1),
    ]
    assert told["differences"] == [
        {
            "dialect": "imgproxy",
            "option": "sa",
            "why": "imgproxy Pro does not publish its formula.",
            **counts(1, 1),
            "example": signed(DIFFERS),
        }
    ]


def test_no_key_is_needed_to_know_what_urls_ask_for() -> None:
    urls = "/unsafe/300x200/a.jpg\n/AAAA/filters:noise(3)/a.jpg\n"
    code, told = run("--report", "-", "--as", "thumbor", stdin=urls)
    assert code == 3
    assert without_example(told["understood"]) == counts(1, 1)
    assert told["signatures"] == {
        "checked": False,
        "wrong": counts(0, 0),
        "missing": {**counts(1, 1), "example": "/unsafe/300x200/a.jpg"},
    }
    assert [each["option"] for each in told["refusals"]] == ["noise"]
    code, _ = run("--report", "-", "--as", "thumbor", stdin="/unsafe/300x200/a.jpg\n")
    assert code == 0


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("url", "code"),
    [
        (signed(GOOD), 0),
        (signed(f"exp:1/{GOOD}"), 0),
        ("/favicon.ico", 0),
        (signed(GOOD)[:-1], 3),
        (signed(REFUSED), 3),
    ],
)
def test_the_exit_code_says_whether_a_url_would_be_refused(url: str, code: int) -> None:
    """A URL that has expired was valid when it was logged."""
    assert run("--report", "-", stdin=url)[0] == code


@pytest.fixture
def deployed(keys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivery has the preset `small` and the alias `photos`."""
    presets = '[small]\nformat = "jpeg"\naccess = "public"\n'
    aliases = '[photos]\nbucket = "acme"\nprefix = "public/"\npresets = ["small"]\n'
    for name, text in (("presets", presets), ("aliases", aliases)):
        (tmp_path / f"{name}.toml").write_text(text)
        monkeypatch.setenv(f"SAFELIGHT_{name.upper()}", str(tmp_path / f"{name}.toml"))


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("url", "code", "refused", "unsigned", "without_alias"),
    [
        (signed("pr:small/plain/photos/a.jpg"), 0, 0, 0, 0),
        (signed("pr:sharp/plain/photos/a.jpg"), 3, 1, 0, 0),
        (signed("w:300/plain/s3://other/a.jpg"), 3, 0, 0, 1),
        ("/insecure/w:300/plain/photos/a.jpg", 3, 0, 1, 0),
    ],
)
def test_a_report_refuses_what_delivery_would(
    url: str, code: int, refused: int, unsigned: int, without_alias: int
) -> None:
    found, told = run("--report", "-", stdin=url)
    assert found == code
    assert without_example(told["refused"]) == counts(refused, refused)
    assert [each["option"] for each in told["refusals"]] == ["preset sharp"] * refused
    assert without_example(told["signatures"]["missing"]) == counts(unsigned, unsigned)
    assert without_example(told["signatures"]["wrong"]) == counts(0, 0)
    assert told["aliases"]["checked"]
    assert without_example(told["aliases"]["missing"]) == counts(without_alias, without_alias)
    answer = CliRunner().invoke(app, ("explain", "--report", "-"), input=url)
    assert "without an alias" in answer.stdout


@pytest.mark.usefixtures("deployed")
def test_each_preset_that_there_is_not_has_a_row() -> None:
    urls = "".join(f"{signed(f'pr:{name}/plain/photos/a.jpg')}\n" for name in ("sharp", "soft"))
    _, told = run("--report", "-", stdin=urls)
    assert {each["option"]: each["why"] for each in told["refusals"]} == {
        "preset sharp": "preset: there is no 'sharp'",
        "preset soft": "preset: there is no 'soft'",
    }


@pytest.mark.parametrize("name", ["own", "thumbor", "imgproxy"])
@pytest.mark.parametrize("word", ["insecure", "unsafe", "_"])
def test_a_word_that_stands_for_a_signature_is_none(name: str, word: str) -> None:
    wanted = {"own": "box=9x9/a.jpg", "thumbor": "9x9/a.jpg", "imgproxy": "w:9/plain/a.jpg"}
    _, told = run("--report", "-", "--as", name, stdin=f"/{word}/{wanted[name]}\n")
    assert without_example(told["signatures"]["missing"]) == counts(1, 1)
    assert without_example(told["understood"]) == counts(1, 1)


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ({}, ("/imgproxy/", "--as imgproxy")),
        (
            {"SAFELIGHT_THUMBOR_KEYS": "correct horse battery"},
            ("/thumbor/ or /imgproxy/", "--as thumbor or --as imgproxy"),
        ),
    ],
)
def test_a_log_without_our_prefixes_says_how_to_read_it(
    monkeypatch: pytest.MonkeyPatch, others: dict[str, str], names: tuple[str, str]
) -> None:
    """No other system's URL has a prefix of Safelight."""
    for name, value in {"SAFELIGHT_IMGPROXY_KEYS": IMGPROXY_KEYS, **others}.items():
        monkeypatch.setenv(name, value)
    answer = CliRunner().invoke(app, ("explain", "--report", "-"), input=f"{signed(GOOD)}\n/x\n")
    assert answer.exit_code == 3
    prefix, options = names
    assert answer.stderr == (
        f"No URL begins with {prefix}. For URLs of the old system add {options} "
        "or set SAFELIGHT_ROOT_DIALECT\n"
    )
    found = CliRunner().invoke(app, ("explain", "--report", "-"), input=f"/imgproxy{signed(GOOD)}")
    assert (found.exit_code, found.stderr) == (0, "")


@pytest.mark.usefixtures("keys")
def test_a_compressed_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "access.log.gz"
    log.write_bytes(gzip.compress(common(signed(GOOD)).encode()))
    assert without_example(run("--report", str(log))[1]["understood"]) == counts(1, 1)


@pytest.mark.usefixtures("keys")
def test_a_report_for_people_has_every_count_and_reason() -> None:
    urls = f"{signed(GOOD)}\n{signed(DIFFERS)}\n{signed(REFUSED)}\n"
    answer = CliRunner(env={"COLUMNS": "200"}).invoke(app, ("explain", "--report", "-"), input=urls)
    assert answer.exit_code == 3
    for text in ("understood", "imgproxy: raw", "never delivered unrendered", "imgproxy: sa"):
        assert text in answer.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--report", "-"),
        ("--report", "-", "--as", "cloudinary"),
        ("--report", "nowhere.log"),
        ("/x", "--report", "-"),
        ("/x", "--as", "cloudinary"),
        (),
    ],
)
def test_a_report_that_cannot_be_made_says_so(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "nowhere.log" in words:
        monkeypatch.setenv("SAFELIGHT_IMGPROXY_KEYS", IMGPROXY_KEYS)
    answer = CliRunner().invoke(app, ("explain", *words), input="")
    assert answer.exit_code == 2
    assert answer.stderr
    assert "Errno" not in answer.stderr
