"""The session names the user, the limits, and the features of the server."""

from tests.unit.api.clients import Api, Start


async def test_the_session_of_an_anonymous_server(site: Api) -> None:
    answer, session = await site.ask("GET", "/v1/session")
    assert answer.headers["Cache-Control"] == "no-store"
    assert session == {
        "userId": "anonymous",
        "anonymous": True,
        "limits": {"uploadBytes": 1_000_000, "tags": 10, "tagCharacters": 64},
        "readable": ["jpeg", "png", "webp", "gif", "tiff", "avif", "heic", "bmp"],
        "roles": ["uploads", "pages"],
        "dialects": [],
        "can": {"erase": True, "originals": False},
    }


async def test_the_session_has_what_the_settings_switch_on(start: Start) -> None:
    site = await start(
        anonymous=True,
        api_roles=("uploads", "pages"),
        delivery_url="https://cdn.example/",
        accept_svg=True,
        originals=True,
        signing_keys=f"key-1:{'s' * 64}",
        options_keys=f"key-1:{'o' * 64}",
        imgix_keys="k" * 64,
    )
    _, session = await site.ask("GET", "/v1/session")
    assert session["deliveryUrl"] == "https://cdn.example"
    assert "svg" in session["readable"]
    assert session["dialects"] == ["own", "imgix"]
    assert session["can"]["originals"]


async def test_keys_of_presets_alone_are_no_keys_of_options(start: Start) -> None:
    site = await start(
        anonymous=True, api_roles=("uploads", "pages"), signing_keys=f"key-1:{'s' * 64}"
    )
    _, session = await site.ask("GET", "/v1/session")
    assert session["dialects"] == []
