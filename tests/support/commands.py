"""Finds the commands that documents show, as they are written."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_WORDS = r"make|safelight|docker|python3?|promtool|aws|curl|pip|\.venv/|export|[A-Z_]+="
_INDENTED = re.compile(rf"^    ((?:{_WORDS})(?![\w-]).*)$", re.MULTILINE)
_BLOCK = re.compile(r"^ *```(sh|console)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """List every document that is for users, developers or operators."""
    found = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
    return sorted(path for path in found if "decisions" not in path.parts)


def commands_of(page: Path) -> list[str]:
    """List the commands of a page: indented lines, blocks of shell, and the lines of a console."""
    text = page.read_text()
    blocks = list(_blocks(text))
    return [*_INDENTED.findall(_BLOCK.sub("", text)), *blocks]


def _blocks(text: str) -> Iterator[str]:
    for kind, body in _BLOCK.findall(text):
        if kind == "sh":
            yield body.rstrip("\n")
        else:
            yield from re.findall(r"^\$ ((?:.*\\\n)*.*)$", body, re.MULTILINE)
