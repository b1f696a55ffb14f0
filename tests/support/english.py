"""Finds words that keep readers out: in docstrings, comments, texts of programs, documents.

    python -m tests.support.english [PATH ...]

Prints each place as `file:line: word: the sentence`. The words come from the rules for plain
English in CONTRIBUTING.md.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
INSTEAD = {
    r"tells?|telling|told": "print, log, return, report, say, explain, distinguish",
    r"whoever|whomever|whosoever|whichever way": "the caller, client, viewer, operator, user",
    r"somebody|someone|nobody|anybody|everybody": "the caller, client, operator, user; no one",
    r"who looks|who asks|who reads": "the viewer, the caller, the reader",
    r"lest": "so that ... not",
    r"hangs? (?:on|from)": "depends on, belongs to",
    r"stands?|standing": "is, is stored, is current, means, represents",
    r"is wished|are wished|wished": "asked for, requested",
    r"is so anyway|are so anyway|so anyway": "already the case",
    r"better times|for want of|in (?:its|their|his) stead": "a plain clause",
    r"where(?:in|of|by|from)|there(?:of|in|by)|herein|whence|thence|hence": "a plain clause",
    r"upon|amid|anew|naught|ere|befalls?|amiss|nigh": "on, among, again, before, happens, wrong",
    r"puts? (?:it |them |that |this |things? )?right": "fix",
    r"what (?:is|was) not there|what is there": "missing results, existing results",
    r"a met|met demands?": "completed",
    r"nor was|nor is it|nor does": "two sentences",
}
"""Regular expression -> what to say instead."""
BANNED = re.compile(rf"(?<![\w/.-])(?:{'|'.join(INSTEAD)})(?![\w-])", re.IGNORECASE)
CODE = ("safelight", "worker", "api", "ops", "tools", "bench", "examples", "tests/support")
LONGEST_LINE = 140
"""Characters in a line of a document. Tables and code are exempt."""


class Fault(NamedTuple):
    """A word in its place."""

    path: Path
    line: int
    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.word}: {self.text.strip()[:110]}"


def faults_of(path: Path) -> list[Fault]:
    """Find what a file says in other than plain English."""
    prose = _prose_of_python(path) if path.suffix == ".py" else _prose_of_document(path)
    return [
        Fault(path, line, found[0], text) for line, text in prose for found in BANNED.finditer(text)
    ]


def long_lines_of(path: Path) -> list[int]:
    """Find the lines of a document that are too long to read in a diff."""
    return [
        line
        for line, text in _prose_of_document(path)
        if len(text) > LONGEST_LINE and not text.startswith("|")
    ]


def files_of_code() -> list[Path]:
    """List every module whose prose is read."""
    found = (path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if path != Path(__file__))


def documents() -> list[Path]:
    """List every document; the changelog's released part is history."""
    folders = (ROOT / "docs", ROOT / "deploy", ROOT / ".github", ROOT / "examples")
    found = (path for folder in folders for path in folder.rglob("*.md"))
    return sorted([*found, *(p for p in ROOT.glob("*.md") if p.name != "THIRD_PARTY_NOTICES.md")])


def _prose_of_python(path: Path) -> Iterator[tuple[int, str]]:
    """Read comments, and texts with a space in them; other texts are names."""
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for number, text in enumerate(node.value.split("\n")):
                yield node.lineno + number, text


def _prose_of_document(path: Path) -> Iterator[tuple[int, str]]:
    """Read a document's text without its code, and of the changelog only what is not released."""
    fenced = False
    for number, text in enumerate(path.read_text().split("\n"), 1):
        if path.name == "CHANGELOG.md" and text.startswith("## [0"):
            return
        fenced ^= text.startswith("```")
        if not fenced and not text.startswith(("    ", "```")):
            yield number, re.sub(r"`[^`]*`", "", text) if path.suffix == ".md" else text


def main() -> None:
    """Print the faults of the files, or of everything."""
    named = [Path(name).resolve() for name in sys.argv[1:]]
    every = [*files_of_code(), *documents()]
    wanted = [p for p in every if not named or any(p == n or n in p.parents for n in named)]
    faults = [fault for path in wanted for fault in faults_of(path)]
    print("\n".join(map(str, faults)))  # noqa: T201 - what was asked for
    print(len(faults), "found")  # noqa: T201


if __name__ == "__main__":
    main()
