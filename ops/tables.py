"""Tables for a terminal. They fit its width: long words are folded, not cut off."""

from collections.abc import Collection

from rich.console import Console
from rich.table import Table


def make_table(*columns: str, numbers: Collection[str] = (), header: bool = True) -> Table:
    """Make a table with these columns; those named in `numbers` are aligned right."""
    table = Table(show_header=header)
    for column in columns:
        justify = "right" if column in numbers else "left"
        table.add_column(column, overflow="fold", justify=justify)  # type: ignore[arg-type]
    return table


def print_table(table: Table) -> None:
    """Print a table in the width of the terminal, or of 80 characters elsewhere."""
    Console().print(table)


def printable(text: str) -> str:
    """Replace characters that would command the terminal or break the line."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


def counted(number: float, noun: str) -> str:
    """Write a number with its noun, such as `1 picture` or `2,000 pictures`."""
    return f"{number:,.0f} {noun}{'' if round(number) == 1 else 's'}"
