"""The number of renders that a signing key may cause."""

import json
from typing import Any

from safelight.presets import Preset
from tests.unit.api.delivery.gallery import IMAGE_ID, Gallery


async def test_renders_count_and_what_is_stored_does_not(open_: Any) -> None:
    presets = [Preset(name=f"p{n}", format="jpeg", box=(n, n)) for n in range(5, 9)]
    gallery: Gallery = await open_(*presets, renders_per_minute=2)
    gallery.hang()
    urls = [gallery.signing.sign(f"/{preset.name}/{IMAGE_ID}") for preset in presets]
    answers = [await gallery.ask(url) for url in [*urls[:2], *urls]]
    assert [answer.status for answer, _ in answers] == [200] * 4 + [429] * 2
    refused, body = answers[-1]
    assert json.loads(body)["type"] == "/problems/rate_limited"
    assert refused.headers["RateLimit"].startswith('"renders";r=0;')
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert answers[0][0].headers["RateLimit-Policy"] == '"renders";q=2;w=60'
    other = gallery.signing.sign(f"/p8/{IMAGE_ID}", key_id="alices")
    assert (await gallery.ask(other))[0].status == 200


async def test_what_begins_no_render_takes_nothing(open_: Any) -> None:
    """A remembered rejection and a full queue cost the key nothing."""
    gallery: Gallery = await open_(Preset(name="p", format="jpeg"), renders_per_minute=3)
    gallery.hang(b"no picture")
    url = gallery.signing.sign(f"/p/{IMAGE_ID}")
    answers = [(await gallery.ask(url))[0] for _ in range(6)]
    assert len({answer.status for answer in answers}) == 1
    assert answers[-1].status != 429
    assert gallery.renderer.calls["probe"] == 1
