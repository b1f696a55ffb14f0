"""Documents, docstrings, comments and texts of programs are in plain English.

`python -m tests.support.english PATH` prints each place with its word.
"""

from pathlib import Path

import pytest

from tests.support.english import (
    INSTEAD,
    LONGEST_LINE,
    ROOT,
    documents,
    faults_of,
    files_of_code,
    long_lines_of,
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*files_of_code(), *documents()], ids=name_of)
def test_no_word_keeps_a_reader_out(path: Path) -> None:
    assert not [str(fault) for fault in faults_of(path)], "tests/support/english.py has the list"


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_no_line_of_a_document_is_too_long_for_a_diff(path: Path) -> None:
    """Lines of tables and of code are exempt."""
    assert not long_lines_of(path), f"longer than {LONGEST_LINE} characters"


def test_words_are_found_in_comments_docstrings_and_texts_but_not_in_names(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""Tell whoever asks."""\n'
        "# nobody reads this\n"
        'told = ["whoever", "somebody asks"]\n'
        "def tell_nobody(): ...\n"
    )
    found = [(fault.line, fault.word) for fault in faults_of(module)]
    assert sorted(found) == [(1, "Tell"), (1, "whoever"), (2, "nobody"), (3, "somebody")]


def test_words_are_found_in_documents_but_not_in_code(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("It hangs on `told`.\n\n    whoever\n\n```sh\nnobody\n```\n\nIt stands.\n")
    found = [(fault.line, fault.word) for fault in faults_of(page)]
    assert found == [(1, "hangs on"), (9, "stands")]


def test_long_lines_are_found_but_for_tables_and_code(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    long = "word " * LONGEST_LINE
    page.write_text(f"{long}\n| {long} |\n```\n{long}\n```\n    {long}\nshort\n")
    assert long_lines_of(page) == [1]


def test_every_word_comes_with_what_to_say_instead() -> None:
    assert all(advice for advice in INSTEAD.values())
