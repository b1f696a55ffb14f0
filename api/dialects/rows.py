"""One row of a dialect's table: what an option's form is, what it means here, or why it is refused.

docs/guide/dialects.md is written from these rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from safelight.wish.errors import InvalidOption

Draft = TypeVar("Draft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[Draft]):
    """One option of a dialect; `Draft` is what the dialect's options are gathered in."""

    form: str = ""
    meaning: str
    reader: Callable[[Draft, list[str]], None] | None
    """None: refused, and the meaning says why."""

    def apply(self, draft: Draft, name: str, texts: list[str]) -> None:
        """Take an option into a draft. Raises an `InvalidOption` that names it."""
        if self.reader is None:
            raise InvalidOption(name, f"is refused: {self.meaning}")
        try:
            self.reader(draft, texts)
        except (ValueError, IndexError) as error:
            found = ",".join(texts)[:80]
            raise InvalidOption(
                name, f"expected {self.form or 'no arguments'}; found {found!r}"
            ) from error


def accepted(form: str, meaning: str, reader: Callable[[Draft, list[str]], None]) -> Row[Draft]:
    """Make the row of an option that is understood."""
    return Row(form=form, meaning=meaning, reader=reader)


def nothing(meaning: str) -> Row[Draft]:
    """Make the row of an option that asks for what is so anyway."""
    return Row(meaning=meaning, reader=_ignore)


def refused(why: str) -> Row[Draft]:
    """Make the row of an option that is known and not done."""
    return Row(meaning=why, reader=None)


def _ignore(_: object, __: list[str]) -> None:
    """Change nothing."""
