"""What the demo takes for pictures, and which folders it refuses or leaves as they are."""

import os
import re
from pathlib import Path

import pytest

from ops.contact_sheet import write_contact_sheet
from ops.demo import OWN_FILES, _write, find_pictures, prepare
from ops.folders import NotWritten, Unusable


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(folder: Path, out: Path | None = None) -> list[str]:
    return [str(path.relative_to(folder)) for path in find_pictures(folder, out)]


def test_every_visible_file_of_the_folder_and_of_folders_below_it_is_taken(tmp_path: Path) -> None:
    filled(tmp_path, "b.jpg", "a.txt", ".hidden", "z/y/c.jpg", "below/d.jpg", ".git/e.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "below")
    assert found(tmp_path) == ["a.txt", "b.jpg", "below/d.jpg", "z/y/c.jpg"]


def test_the_results_of_an_earlier_demo_are_no_pictures(tmp_path: Path) -> None:
    filled(tmp_path, "a.jpg", "out/a.jpg/small.jpg")
    assert found(tmp_path, tmp_path / "out") == ["a.jpg"]


def test_a_folder_below_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, "a.jpg", "closed/b.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    with pytest.raises(Unusable, match="closed: cannot be read: Permission denied"):
        find_pictures(tmp_path, None)


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="is not a folder"):
        find_pictures(tmp_path / "nowhere", None)
    with pytest.raises(Unusable, match="holds a file"):
        find_pictures(tmp_path, None)


@pytest.mark.parametrize("name", sorted(OWN_FILES))
def test_a_picture_in_the_way_of_the_report_is_refused_before_anything_starts(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()
    assert find_pictures(tmp_path, None)
    with pytest.raises(Unusable, match=re.escape(name)):
        find_pictures(tmp_path, tmp_path / "out")


BY = "OVERWRITE=yes make demo (or --overwrite) replaces it"


@pytest.mark.parametrize("name", ["index.html", "report.json", "a.jpg", "below/b.jpg"])
def test_files_in_out_that_no_demo_wrote_are_kept_unless_they_may_be_replaced(
    tmp_path: Path, name: str
) -> None:
    photos = filled(tmp_path / "photos", "a.jpg", "below/b.jpg")
    out = filled(tmp_path / "out", name)
    pictures = find_pictures(photos, out)
    with pytest.raises(Unusable, match=re.escape(f"out/{name} exists already; {BY}")):
        prepare(out, photos, pictures, overwrite=False)
    prepare(out, photos, pictures, overwrite=True)


def test_the_results_of_an_earlier_demo_are_replaced(tmp_path: Path) -> None:
    photos = filled(tmp_path / "photos", "a.jpg")
    out = filled(tmp_path / "out", "report.json", "a.jpg/small.jpg", "notes.txt")
    write_contact_sheet([], out / "index.html")
    prepare(out, photos, find_pictures(photos, out), overwrite=False)


def test_other_files_in_out_are_no_hindrance(tmp_path: Path) -> None:
    photos = filled(tmp_path / "photos", "a.jpg")
    prepare(filled(tmp_path / "out", "b"), photos, find_pictures(photos, None), overwrite=False)


@pytest.mark.parametrize("name", sorted(OWN_FILES))
def test_a_full_disk_is_explained_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(NotWritten, match=rf"^OUT: cannot write into {tmp_path}: No space left"):
        _write([], tmp_path)
