"""What the demo takes for pictures, and which folders it refuses."""

import re
from pathlib import Path

import pytest

from ops.demo import OWN_FILES, find_pictures
from ops.folders import Unusable


def test_every_visible_file_of_the_folder_is_taken_and_nothing_below_it(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.txt", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c.jpg").touch()
    assert [path.name for path in find_pictures(tmp_path, None)] == ["a.txt", "b.jpg"]


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="is not a folder"):
        find_pictures(tmp_path / "nowhere", None)
    with pytest.raises(Unusable, match="holds no files"):
        find_pictures(tmp_path, None)


@pytest.mark.parametrize("name", sorted(OWN_FILES))
def test_a_picture_in_the_way_of_the_report_is_refused_before_anything_starts(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()
    assert find_pictures(tmp_path, None)
    with pytest.raises(Unusable, match=re.escape(name)):
        find_pictures(tmp_path, tmp_path / "out")
