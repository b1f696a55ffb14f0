"""Pages carry no data, load the files of one build, and are confined by their headers."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from api.pages.static import FOLDER, PAGE, StaticFiles
from safelight.presets import Preset
from tests.unit.api.clients import Api, Start

PAGES = ("pictures", "playground", "sign-in")
MOST = {"pictures": 50_000, "playground": 25_000, "sign-in": 25_000}
"""The most bytes of the scripts of a page's first load, gzipped."""
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
LOADED = [name for name in FILES if not name.endswith(PAGE)]
DELIVERY = "https://cdn.example"


def directives(policy: str) -> dict[str, set[str]]:
    words = [directive.split() for directive in policy.split(";")]
    return {name: set(sources) for name, *sources in words}


async def test_the_start_of_the_pages_redirects_to_the_pictures(site: Api) -> None:
    answer, _ = await site.ask("GET", "/ui", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (308, "/ui/")


async def test_a_page_is_confined_by_its_headers(site: Api) -> None:
    answer, _ = await site.ask("GET", "/ui/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert directives(answer.headers["Content-Security-Policy"]) == {
        "default-src": {"'none'"},
        "script-src": {"'self'"},
        "style-src": {"'self'"},
        "img-src": {"'self'", "blob:", "https://uploads.example"},
        "connect-src": {"'self'", "https://uploads.example"},
        "form-action": {"'self'"},
        "base-uri": {"'none'"},
        "frame-ancestors": {"'none'"},
        "require-trusted-types-for": {"'script'"},
        "trusted-types": {"'none'"},
    }
    expected = {
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    assert {name: answer.headers[name] for name in expected} == expected


async def test_pictures_come_from_delivery_alone_where_its_address_is_set(
    start: Start, preset: Preset
) -> None:
    site = await start(
        anonymous=True,
        api_roles=("uploads", "pages"),
        delivery_url=f"{DELIVERY}/pictures",
        presets=(preset,),
    )
    answer, _ = await site.ask("GET", "/ui/")
    policy = directives(answer.headers["Content-Security-Policy"])
    assert policy["img-src"] == {"'self'", "blob:", DELIVERY}
    assert policy["connect-src"] == {"'self'", "https://uploads.example"}
    answer, _ = await site.ask("GET", "/ui/playground")
    fetched = directives(answer.headers["Content-Security-Policy"])
    assert fetched["connect-src"] == policy["connect-src"] | {DELIVERY}
    assert {**fetched, "connect-src": policy["connect-src"]} == policy


@pytest.fixture
def preset() -> Preset:
    return Preset(name="small", box=(150, 150), format="jpeg", access="public")


async def test_a_page_that_the_browser_has_is_confirmed(site: Api) -> None:
    first, _ = await site.ask("GET", "/ui/")
    again, body = await site.ask("GET", "/ui/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, body) == (304, b"")
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/ui/pcitures", "/ui/pictures/", "/ui/a/b", "/ui/sign-in"])
async def test_a_browser_at_an_unknown_path_gets_a_page_that_leads_to_the_pictures(
    site: Api, path: str
) -> None:
    page, _ = await site.ask("GET", "/ui/")
    for headers in (BROWSER, {**BROWSER, "If-None-Match": "*"}):
        answer, body = await site.ask("GET", path, headers=headers)
        assert (answer.status, answer.content_type) == (404, "text/html")
        assert "/ui/" in Links(body.decode()).found
        policy = page.headers["Content-Security-Policy"]
        assert answer.headers["Content-Security-Policy"] == policy


@pytest.mark.parametrize("accepted", ["*/*", "application/json", "image/*, text/html;q=0"])
async def test_another_client_at_an_unknown_path_gets_a_problem(site: Api, accepted: str) -> None:
    answer, problem = await site.ask("GET", "/ui/pcitures", headers={"Accept": accepted})
    assert (answer.status, problem["type"]) == (404, "/problems/unknown_path")


class Links(HTMLParser):
    """The addresses that a page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]
        assert tag != "style"
        assert all(name != "style" and not name.startswith("on") for name, _ in attrs)


async def test_every_file_of_a_page_is_served_for_good_and_compressed(site: Api) -> None:
    _, body = await site.ask("GET", "/ui/")
    links = Links(body.decode()).found
    build = StaticFiles().build
    assert {link.removeprefix(f"/ui/static/{build}/") for link in links} <= set(LOADED)
    for link in links:
        answer, plain = await site.ask("GET", link, headers={"Accept-Encoding": "identity"})
        assert (answer.status, "Content-Encoding" in answer.headers) == (200, False), link
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert plain == (FOLDER / link.partition(f"{build}/")[2]).read_bytes()


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=1.", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("identity", False),
        ("gzip;q=.", False),
        ("gzip;q=1.0.0", False),
    ],
)
async def test_a_file_is_compressed_for_clients_that_accept_it(
    site: Api, accepted: str, packed: bool
) -> None:
    path = f"/ui/static/{StaticFiles().build}/words.js"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {accepted}\r\n"
    answer = await site.send(f"{request}Connection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) is packed
    assert (gzip.decompress(body) if packed else body) == (FOLDER / "words.js").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/ui/static/0123456789abcdef/words.js",
        "/ui/static/{build}/nothing.js",
        "/ui/static/{build}/pictures.html",
        "/ui/static/{build}/../pages.py",
        "/ui/static/{build}/%2e%2e/pages.py",
        "/ui/static/{build}/",
    ],
)
async def test_only_files_of_this_build_are_served(site: Api, path: str) -> None:
    answer, _ = await site.ask("GET", path.format(build=StaticFiles().build))
    assert answer.status == 404


def test_the_build_is_another_one_after_any_change(tmp_path: Path) -> None:
    builds = set()
    for name, text in (("a.js", "1"), ("a.js", "2"), ("b.js", "")):
        (tmp_path / name).write_text(text)
        builds.add(StaticFiles(tmp_path).build)
    (tmp_path / "a.js").rename(tmp_path / "c.js")
    builds.add(StaticFiles(tmp_path).build)
    assert len(builds) == 4


@pytest.mark.parametrize("name", PAGES)
def test_a_page_preloads_the_modules_that_it_reaches(name: str) -> None:
    page = (FOLDER / f"{name}.html").read_text()
    linked = {link.partition("{build}/")[2] for link in Links(page).found}
    modules = {link for link in linked if link.endswith(".js")}
    assert modules == reached(f"{name}.js")


AT_ONCE = r"(?:from|^import) '\./([a-z/-]+\.js)'"
NAMED = r"'\./([a-z/-]+\.js)'"
"""The modules that a module imports, also later."""


def reached(name: str, imports: str = AT_ONCE) -> set[str]:
    """List a module and all that it imports at once: not the parts that are shown later."""
    found, left = set(), [name]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            if "/" not in one:  # bundles import nothing
                code = (FOLDER / one).read_text()
                left += re.findall(imports, code, re.MULTILINE)
    return found


def test_modules_are_short() -> None:
    for path in FOLDER.glob("*.js"):
        assert len(path.read_text().splitlines()) <= 200, path.name


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small(name: str) -> None:
    """Sizes in bytes, gzipped, of all that a page reaches, without pictures.

    Uppy and other parts are loaded after the first look at a page: they count in the last sum only.
    """

    def size(*names: str) -> int:
        return sum(len(gzip.compress((FOLDER / name).read_bytes())) for name in names)

    first, everything = reached(f"{name}.js"), reached(f"{name}.js", NAMED)
    assert size(*first) <= MOST[name]
    assert size("safelight.css") <= 6_000
    assert size(*first, "safelight.css", f"{name}.html", "icon.svg") <= 60_000
    assert size(*everything) <= 84_000


def test_modules_use_every_text_of_words_and_no_other() -> None:
    tables = "\n".join(path.read_text() for path in FOLDER.glob("words*.js"))
    words = set(re.findall(r"^    '([\w.]+)':", tables, re.MULTILINE))
    modules = [path for path in FOLDER.glob("*.js") if not path.name.startswith("words")]
    code = "\n".join(path.read_text() for path in modules)
    used = set(re.findall(r"'([a-z]+\.[a-zA-Z]+)'", code))
    made = {f"{part}." for part in re.findall(r"t\(`([a-z]+)\.\$\{", code)}
    assert used <= words
    assert {word for word in words - used if not word.startswith(tuple(made))} == set()
