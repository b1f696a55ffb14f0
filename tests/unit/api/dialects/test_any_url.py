"""What holds for every URL of every dialect, also for one that no client sends.

Few examples run in the normal set; `make slow` runs many.
"""

import ast
import asyncio
import base64
import contextlib
import re
from typing import Any
from urllib.parse import unquote, unquote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.delivery.aliases import Alias
from api.dialects.errors import URL_ERRORS
from api.dialects.table import DIALECTS, Dialects, read
from safelight.wish.canonical import canonical, read_options
from safelight.wish.errors import InvalidOption
from tests.unit.api.delivery.conftest import PRESETS
from tests.unit.api.delivery.gallery import SOURCE, Gallery
from tests.unit.api.dialects.test_dialects import NOW, dialect, url_of
from tests.unit.api.dialects.urls import (
    IMAGOR,
    OUT_OF_PLACE,
    REFUSED,
    REFUSED_AS_IMAGORS,
    REFUSED_AS_THUMBORS,
    URLS,
)

pytest_plugins = ["tests.unit.api.delivery.conftest"]

NAMES = (*DIALECTS, "imagor")
KNOWN: dict[str, list[str]] = {name: [] for name in NAMES}
for _name, _wanted, _ in [*URLS, *REFUSED]:
    KNOWN[_name].append(_wanted)
KNOWN["own"] = [f"{words}/photos/a.jpg" for words in {words for *_, words in URLS}]
KNOWN["thumbor"] += [wanted for wanted, _ in [*OUT_OF_PLACE, *REFUSED_AS_THUMBORS]]
KNOWN["imagor"] += [wanted for wanted, _ in [*IMAGOR, *OUT_OF_PLACE, *REFUSED_AS_IMAGORS]]
PIECES = (
    *'abw:/,=%-x0123456789().@?&{}"<>+_~![]|',
    "9999999999", "-1", "1e9", "nope", "%2F", "%00", "%FF", "%C3%A9", "..", "//", "filters:", "",
)  # fmt: skip
HOW_MANY = [20, pytest.param(1000, marks=pytest.mark.slow)]


@st.composite
def urls(draw: st.DrawFn, name: str) -> str:
    """Draw a URL of the tables, with up to three places changed."""
    url = draw(st.sampled_from(KNOWN[name]))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(url)))
        end = at + draw(st.integers(0, 3))
        piece = draw(st.sampled_from(PIECES) | st.sampled_from(KNOWN[name]))
        url = url[:at] + piece[at if len(piece) > 20 else 0 :] + url[end:]
    return url


def each_url(name: str, examples: int, holds: Any) -> None:
    """Check that something holds for a URL and its signed form, in so many examples."""

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(wanted=urls(name))
    def check(wanted: str) -> None:
        with contextlib.suppress(*URL_ERRORS):
            holds(wanted, *url_of(dialect(name), wanted))

    check()


def texts_of(url: str) -> list[str]:
    """List a URL as it is, decoded, and with the JSON of AWS's handler decoded."""
    texts = [url, unquote(url), unquote_plus(url)]
    with contextlib.suppress(ValueError):
        texts.append(base64.b64decode(texts[1].partition("?")[0], validate=True).decode())
    return texts


def names_of(name: str, option: str) -> set[str]:
    """List the other names of an option."""
    rows = dialect(name).ROWS
    found = [{key, *row.also} for key, row in rows.rows.items()] if rows else []
    return next((names for names in found if option in names), {option})


@pytest.mark.parametrize("examples", HOW_MANY)
@pytest.mark.parametrize("name", NAMES)
def test_a_url_that_is_refused_names_its_word(name: str, examples: int) -> None:
    known = Dialects(known=(dialect(name),))

    def holds(wanted: str, path: str, query: str) -> None:
        try:
            read(path, query, known, now=NOW)
        except InvalidOption as error:
            refusal = error
        else:
            return
        texts = texts_of(wanted)
        _, _, value = refusal.message.rpartition("found ")
        names = names_of(name, refusal.option) | {refusal.option.rpartition(".")[2]}
        words = [*names, value.strip("'"), *re.findall(r"\w{2,}", value)]
        with contextlib.suppress(ValueError, SyntaxError):
            words.append(str(ast.literal_eval(value)))  # with control characters as they were sent
        assert any(word.lower() in text.lower() for word in words for text in texts), str(refusal)

    each_url(name, examples, holds)


@pytest.mark.parametrize("examples", HOW_MANY)
@pytest.mark.parametrize("name", NAMES)
def test_reading_and_writing_a_wish_is_stable(name: str, examples: int) -> None:
    of = dialect(name)
    known = Dialects(known=(of,))

    def holds(_: str, path: str, query: str) -> None:
        url = read(path, query, known, now=NOW)
        written = canonical(url.options)
        assert read_options(written) == url.options
        assert canonical(read_options(written)) == written
        again = of.split(path[len(of.PREFIX) - 1 :], query)
        joined = of.join(again.given, again.target, again.query)
        joined_path, _, joined_query = joined.partition("?")
        prefix = of.PREFIX.rstrip("/")
        assert read(f"{prefix}{joined_path}", joined_query, known, now=NOW) == url

    each_url(name, examples, holds)


@pytest.mark.parametrize("examples", HOW_MANY)
async def test_no_url_gives_a_500(open_: Any, examples: int) -> None:
    aliases = (Alias(name="photos", bucket="photos", presets=("small",)),)
    for name in NAMES:
        known = Dialects(known=(dialect(name),), root=None if name == "own" else dialect(name).NAME)
        gallery: Gallery = await open_(*PRESETS, dialects=known, aliases=aliases)
        gallery.elsewhere.upload("a.jpg", SOURCE)
        loop = asyncio.get_running_loop()

        def holds(
            wanted: str, path: str, query: str, loop: Any = loop, gallery: Gallery = gallery
        ) -> None:
            raw = f"/{re.sub(r'[^!-~]|#', '', wanted).lstrip('/')}"
            for url in (f"{path}?{query}" if query else path, raw, f"/small{raw}"):
                asking = asyncio.run_coroutine_threadsafe(gallery.ask(url), loop)
                answer, body = asking.result()
                assert answer.status in (200, 202, 308, 400, 403, 404, 410, 422, 429), (url, body)

        await asyncio.to_thread(each_url, name, examples // 4, holds)
