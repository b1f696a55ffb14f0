"""The table of a dialect's options. One row says how an option is written, means and is read.

docs/guide/dialects.md is written from these rows, and `safelight explain` reports from them where
a picture differs from the other system's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from api.dialects.draft import Draft
from safelight.wish.errors import InvalidOption

DraftT = TypeVar("DraftT", bound=Draft)
Arguments = list[Any]
"""The texts of a URL's option, or the one JSON value of an edit."""
Reader = Callable[[Draft, str, Arguments], None]
"""Takes the draft, the option's name for errors and the arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[DraftT]):
    """One option of a dialect."""

    form: str = ""
    """How the arguments are written."""
    meaning: str
    """What the option does here, or why it is refused."""
    reader: Callable[[DraftT, str, Arguments], None] | None
    """Reads the arguments into a draft. None: the option is refused."""
    also: tuple[str, ...] = ()
    """Other names of the option; errors in its arguments use the first one."""
    differs: str = ""
    """How the picture differs from the other system's, as a sentence; empty if it is the same."""
    differs_for: Callable[[Arguments], bool] = lambda _: True
    """Whether it differs for these arguments."""


@dataclass(frozen=True, slots=True)
class Rows(Generic[DraftT]):
    """All options of a dialect, by name."""

    kind: str
    """What the dialect calls an option, for errors."""
    rows: Mapping[str, Row[DraftT]]

    def read(self, draft: DraftT, name: str, arguments: Arguments) -> None:
        """Read one option into a draft. Raises an `InvalidOption` that names it."""
        key = self._key(name)
        if key is None:
            raise self.unknown(name)
        row = self.rows[key]
        if row.reader is None:
            raise InvalidOption(name, f"is refused: {row.meaning}")
        try:
            row.reader(draft, next(iter(row.also), name), arguments)
        except InvalidOption as error:
            if error.option.partition(".")[0] in (key, *row.also):
                raise
            # It names a part of the wish, which the author of the URL has not written.
            message = f"{error.message}, in {name} {_shown(arguments)}"
            raise InvalidOption(error.option, message) from error
        except (ValueError, TypeError, LookupError) as error:
            expected = row.form or "no arguments"
            message = f"expected {expected}; found {_shown(arguments)}"
            raise InvalidOption(name, message) from error
        if row.differs and row.differs_for(arguments):
            draft.differs[key] = row.differs

    def knows(self, name: str) -> bool:
        """Return whether an option of this name is in the table, accepted or refused."""
        return self._key(name) is not None

    def unknown(self, name: str) -> InvalidOption:
        """Make the error for a name that is not in the table."""
        known = ", ".join(self.rows)
        return InvalidOption(name[:40], f"is not a known {self.kind}; known are {known}")

    def _key(self, name: str) -> str | None:
        """Return the first name of the option that has this name."""
        if name in self.rows:
            return name
        return next((key for key, row in self.rows.items() if name in row.also), None)


def accepted(
    form: str,
    meaning: str,
    reader: Callable[[DraftT, str, Arguments], None],
    *also: str,
    differs: str = "",
    differs_for: Callable[[Arguments], bool] = lambda _: True,
) -> Row[DraftT]:
    """Make the row of an option that is understood."""
    return Row(
        form=form,
        meaning=meaning,
        reader=reader,
        also=also,
        differs=differs,
        differs_for=differs_for,
    )


def no_effect(meaning: str, *also: str) -> Row[Any]:
    """Make the row of an option that is accepted and changes nothing."""
    return Row(meaning=f"No effect: {meaning}", reader=lambda *_: None, also=also)


def refused(why: str, *also: str) -> Row[Any]:
    """Make the row of an option that is known and refused."""
    return Row(meaning=why, reader=None, also=also)


def sets(field: str, convert: Callable[..., Any], option: str = "") -> Reader:
    """Read an option into one field: `convert(option, *arguments)` makes its value.

    `option` is the name in errors, by default the row's. A converter that takes another number of
    arguments raises a `TypeError`, which `Rows.read` reports with the expected form.
    """

    def read(draft: Draft, name: str, arguments: Arguments) -> None:
        setattr(draft, field, convert(option or name, *arguments))

    return read


def adds(convert: Callable[..., Any], option: str = "", *, field: str = "operations") -> Reader:
    """Read an option that adds one operation, or one item of another list; None adds nothing."""

    def read(draft: Draft, name: str, arguments: Arguments) -> None:
        item = convert(option or name, *arguments)
        if item is not None:
            getattr(draft, field).append(item)

    return read


def checks(convert: Callable[..., object]) -> Reader:
    """Read an option whose arguments must be valid and change nothing."""

    def read(_: Draft, name: str, arguments: Arguments) -> None:
        convert(name, *arguments)

    return read


def _shown(arguments: Arguments) -> str:
    texts = all(isinstance(each, str) for each in arguments)
    return repr(",".join(arguments)[:80]) if texts else repr(arguments[0])[:80]
