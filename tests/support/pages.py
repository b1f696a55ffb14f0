"""Reads programs and examples from documents, so that tests run what readers copy."""

import re
import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    """List the fenced blocks of one language in a page below docs/, in order."""
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def load(program: str, folder: Path, *, as_main: bool = False) -> dict[str, Any]:
    """Save a Python program as a reader would, run it, and return its global names."""
    path = folder / "program.py"
    path.write_text(program)
    return runpy.run_path(str(path), run_name="__main__" if as_main else "program")
