"""The table, report.json and the contact sheet report the same outcomes, safely."""

import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from ops.contact_sheet import contact_sheet
from ops.journey import Outcome, Saved
from ops.report import as_report, size, table, write_report
from ops.tables import counted, make_table

FOLDER = Path("/photos/out")
OPS = Path(__file__).parents[3] / "ops"


def saved(file: str, width: int, height: int) -> Saved:
    return Saved(
        file=file, media_type="image/webp", width=width, height=height, size=1234, sha256="ab"
    )


def completed(name: str = "a.jpg", **changes) -> Outcome:
    facts = {
        "source": Path("/photos") / name,
        "original_size": 2_000_000,
        "status": "completed",
        "image_id": "01",
        "media_type": "image/jpeg",
        "width": 3000,
        "height": 1500,
        "variants": {
            "compressed": saved(f"{name}/compressed.webp", 3000, 1500),
            "small": saved(f"{name}/small.webp", 150, 75),
        },
        "savings_percent": 40.0,
        "seconds_to_completion": 1.25,
        "renders_seconds": 0.5,
    }
    return Outcome(**(facts | changes))


REJECTED = Outcome(
    source=Path("/photos/notes.txt"),
    original_size=6,
    status="rejected",
    reason="unsupported",
    detail="no picture",
)


def text_of(*outcomes: Outcome) -> str:
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(table(outcomes))
    return capture.get()


def test_the_table_shows_every_variant_with_its_size_and_dimensions():
    shown = text_of(completed())
    for part in ("a.jpg", "2.00 MB", "3000x1500", "1.23 kB", "150x75", "40.0 %", "1.25"):
        assert part in shown


def test_the_table_fits_80_columns_with_any_number_of_presets_and_any_names():
    presets = {f"{number:02}-{'x' * 37}": saved("f", 50_000, 50_000) for number in range(12)}
    outcome = completed(
        "a-name-without-a-space" * 8 + ".jpg", variants=presets, width=50_000, height=50_000,
        original_size=999_000_000, failed_variants={"y" * 40: "nothing" * 30},
    )  # fmt: skip
    shown = text_of(outcome, REJECTED)
    assert max(map(len, shown.splitlines())) == 80
    letters = re.sub(r"[^a-z0-9.-]", "", shown)
    for whole in (*presets, "y" * 40):
        assert all(piece in letters for piece in (whole[:10], whole[-10:]))
    assert "…" not in shown
    assert shown.count("50000x50000") == 13
    assert shown.count("1.23 kB") == 12


def test_every_table_folds_long_words_and_cuts_nothing_off():
    shown = make_table("area", "check", "", "result")
    shown.add_row("permissions", "UploadsBucket", "failed", arn := "arn:aws:dynamodb:" + "a" * 90)
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(shown)
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    folded = "".join(line.split("│")[-2].strip() for line in lines if line.count("│") == 5)
    assert folded == arn


@pytest.mark.parametrize("path", sorted(OPS.rglob("*.py")), ids=lambda path: path.stem)
def test_every_table_of_a_command_is_made_to_fit(path: Path):
    assert not re.search(r"\bTable\(", path.read_text()) or path.name == "tables.py"


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 pictures"), (1, "1 picture"), (2000, "2,000 pictures")]
)
def test_one_picture_is_not_called_pictures(number, words):
    assert counted(number, "picture") == words


def test_the_contact_sheet_of_one_picture_says_so():
    assert "<p>1 picture, 1 completed." in contact_sheet([completed()], folder=FOLDER)


def test_the_table_shows_why_a_picture_was_rejected():
    assert "rejected unsupported: no picture" in text_of(completed(), REJECTED)


def test_the_table_shows_why_a_variant_is_missing():
    assert "too wide" in text_of(completed(failed_variants={"huge": "too wide"}))


def test_a_name_can_neither_mark_up_nor_steer_the_terminal():
    shown = text_of(completed("[red]\x1b[2J\n.jpg"))
    assert "[red]" in shown
    assert "\x1b" not in shown


def test_the_report_has_exactly_the_promised_facts(tmp_path):
    write_report([completed(), REJECTED], tmp_path / "report.json")
    first, second = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert list(first) == [
        "file", "imageId", "status", "reason", "mediaType", "width", "height", "originalSize",
        "variants", "savingsPercent", "secondsToCompletion", "rendersSeconds", "sha256",
        "placeholder", "dominantColour", "perceptualHash",
    ]  # fmt: skip
    assert list(first["variants"]["small"]) == [
        "file", "mediaType", "width", "height", "size", "sha256",
    ]  # fmt: skip
    assert (second["status"], second["reason"], second["variants"]) == (
        "rejected", "unsupported", {},
    )  # fmt: skip


def test_a_name_that_is_not_unicode_can_be_reported(tmp_path):
    outcome = completed("bad\udcff.jpg", variants={})
    write_report([outcome], tmp_path / "report.json")
    assert as_report([outcome])[0]["file"] == "bad\ufffd.jpg"
    assert "bad%FF.jpg" in contact_sheet([outcome], folder=FOLDER)


def test_the_contact_sheet_links_to_the_source_and_to_every_variant():
    page = contact_sheet([completed("a b#%.jpg")], folder=FOLDER)
    for link in ("../a%20b%23%25.jpg", "a%20b%23%25.jpg/compressed.webp"):
        assert f'src="{link}"' in page


def test_the_contact_sheet_shows_thumbnails_at_their_own_size_and_no_picture_wider_than_a_row():
    page = contact_sheet([completed()], folder=FOLDER)
    assert 'width="150" height="75"' in page
    assert 'width="480" height="240"' in page


def test_the_contact_sheet_escapes_what_came_from_outside():
    nasty = "<script>alert(1)</script>"
    page = contact_sheet(
        [
            completed(nasty.replace("/", "\u2215") + "'\"&.jpg"),
            Outcome(source=Path("x"), original_size=1, status="rejected", detail=nasty),
            completed(failed_variants={"huge": nasty}),
        ],
        folder=FOLDER,
    )
    assert "<script" not in page
    assert '"&.jpg' not in page


def test_the_contact_sheet_offers_a_source_that_browsers_do_not_show():
    page = contact_sheet([completed("a.tif", media_type="image/tiff")], folder=FOLDER)
    assert "Browsers do not show image/tiff" in page
    assert 'src="../a.tif"' not in page


def test_the_contact_sheet_says_why_a_picture_was_rejected():
    assert "unsupported: no picture" in contact_sheet([REJECTED], folder=FOLDER)


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (4442, "4.44 kB"), (67_200, "67.2 kB"), (421_000, "421 kB"),
     (1_372_000, "1.37 MB"), (73_400_320, "73.4 MB")],
)  # fmt: skip
def test_sizes_have_three_figures(size_bytes, shown):
    assert size(size_bytes) == shown
