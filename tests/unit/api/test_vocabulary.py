"""`GET /v1/presets`: a form can be built from the answer, and what it sends is understood."""

from typing import Any

import pytest

from safelight.presets import Preset, load_presets
from safelight.wish.canonical import FORMS, read_options
from safelight.wish.operations import KINDS, MAX_OPERATIONS
from tests.unit.api.clients import ALICE, Api, Start
from tests.unit.test_imports import ROOT

PRESETS = (
    Preset(name="small", format="jpeg", box=(30, 20), access="public", formats=("webp", "avif")),
    Preset(
        name="hero", format="auto", box=(900, 600), fit="cover", gravity="attention",
        access="private", background="#FF0000", keep=("copyright",), quality="auto",
    ),
    Preset(name="vast", format="webp", box=(16383, 16383)),
)  # fmt: skip


async def vocabulary(api: Api) -> Any:
    answer, body = await api.ask("GET", "/v1/presets", headers=ALICE)
    assert answer.status == 200
    return body


async def test_presets_have_their_access_their_formats_and_the_closest_options(
    start: Start,
) -> None:
    presets = (await vocabulary(await start(presets=PRESETS)))["presets"]
    assert presets == [
        {
            "name": "small",
            "access": "public",
            "formats": ["avif", "webp", "jpeg"],
            "options": "box=30x20,format=jpeg,quality=85",
        },
        {
            "name": "hero",
            "access": "private",
            "formats": presets[1]["formats"],
            "options": "box=900x600,fit=cover,gravity=attention,background=ff0000,keep=copyright",
        },
        {"name": "vast", "access": "signed", "formats": ["webp"]},
    ]


async def test_every_preset_of_the_repository_can_be_a_start_for_options(start: Start) -> None:
    presets = load_presets(ROOT / "presets.toml")
    shown = (await vocabulary(await start(presets=presets)))["presets"]
    assert [each["name"] for each in shown] == [preset.name for preset in presets]
    assert all(read_options(each["options"]).format for each in shown)


def least_value(argument: dict[str, Any]) -> str:
    """Fill in the field of a form with the least that it accepts."""
    match argument["kind"]:
        case "number":
            return f"{argument['least']:g}"
        case "colour":
            return "transparent" if argument["transparent"] else "ff0000"
        case "choice":
            return str(argument["choices"][-1])
        case _:
            return "-5p"


@pytest.mark.parametrize("faces", [True, False])
async def test_operations_that_are_filled_in_within_their_bounds_are_understood(
    start: Start, faces: bool
) -> None:
    body = await vocabulary(await start(**({"faces": "local"} if faces else {})))
    without = {"watermark"} if faces else {"watermark", "face"}
    shown = {each["name"]: each["arguments"] for each in body["operations"]}
    assert shown.keys() == KINDS.keys() - without
    for name, arguments in shown.items():
        texts = ":".join(map(least_value, arguments))
        read_options(f"{name}={texts}" if texts else name)
    assert body["maxOperations"] == MAX_OPERATIONS


async def test_words_have_their_forms_and_only_choices_that_are_understood(start: Start) -> None:
    words = {each["name"]: each for each in (await vocabulary(await start()))["words"]}
    assert {name: each["form"] for name, each in words.items()} == dict(FORMS)
    assert "faces" not in words["gravity"]["choices"]
    for name, each in words.items():
        for choice in each.get("choices", ()):
            place = name == "gravity" and choice != "centre"
            box = "box=30x20,fit=cover," if place else "box=30x20," if name == "fit" else ""
            read_options(f"{box}{name}={choice}")
        for bound in ("least", "most"):
            if bound in each:
                read_options(f"{name}={each[bound]:g}")
