"""deploy/grafana is what the code writes, and asks for what the code measures."""

import json
from typing import Any

import pytest
import yaml

from tests.support.declared import faults, known
from tools.dashboards import FOLDER, dashboards, files

PANELS = [(f"{page.uid}: {panel.title}", panel) for page in dashboards() for panel in page.panels]


def test_the_files_are_what_the_code_writes() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert written == {path.name: text for path, text in files()}, "run `make dashboards`"


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[name for name, _ in PANELS])
def test_every_panel_asks_for_what_is_measured(name: str, panel: Any) -> None:
    series = known()
    for expression in panel.lines.values():
        assert list(faults(expression, series)) == []


def test_every_page_and_panel_is_told_apart() -> None:
    uids = [page.uid for page in dashboards()]
    assert len(uids) == len(set(uids)) == 7
    for page in dashboards():
        titles = [panel.title for panel in page.panels]
        assert len(titles) == len(set(titles))


def test_the_panels_do_not_overlap() -> None:
    for _, text in files():
        places = [panel["gridPos"] for panel in json.loads(text)["panels"]]
        assert len({(place["x"], place["y"]) for place in places}) == len(places)


def test_the_pages_read_from_the_source_that_is_provisioned() -> None:
    folder = FOLDER.parent / "datasources"
    (source,) = yaml.safe_load((folder / "prometheus.yml").read_text())["datasources"]
    for _, text in files():
        for panel in json.loads(text)["panels"]:
            asked = {
                panel["datasource"]["uid"],
                *(t["datasource"]["uid"] for t in panel["targets"]),
            }
            assert asked == {source["uid"]}
