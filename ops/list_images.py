"""`safelight list`: list and search the images of one user or all users, read from the table.

It reads an index, never the whole table, and prints every page as soon as it is read.
"""

import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Protocol

from pydantic import ValidationError
from rich.cells import set_cell_size
from rich.console import Console

from api.list_request import ListRequest
from api.listing import ListedImage
from ops.exit_codes import ExitCode
from ops.folders import Unusable
from ops.operator import connected
from ops.tables import printable
from safelight.aws.settings import AwsSettings
from safelight.record import Record
from safelight.refused_values import why_refused
from safelight.search import EVERYONE, Found, Likeness, Position, Search, Settled, Summary

PAGE = 1000
"""The most images that one query reads."""
_WIDTHS = {"image": 26, "status": 9, "uploaded (UTC)": 16, "pixels": 11}
"""The widths of the columns, in characters. The file name has the rest of the line."""
_WIDTHS_OF_ALL = {"image": 26, "status": 9, "settled (UTC)": 16}
"""The same for the images of all users. The user has the rest of the line."""


class Records(Protocol):
    """The table of images."""

    async def get(self, image_id: str) -> Record | None:
        """Return an image's record, or None."""
        ...

    async def find(self, search: Search, *, after: Position | None, most: int) -> Found:
        """Read up to `most` images behind a position, and return those that the search finds."""
        ...


async def list_images(
    conditions: Mapping[str, object], *, limit: int | None, as_json: bool
) -> ExitCode:
    """Print the images that meet the conditions; all of them without a limit.

    Raises `Unusable` for a condition that cannot be used.
    """
    asked, user_id = read_conditions(conditions)
    count = 0
    async with connected(AwsSettings.load()) as aws:
        async for summary in images(await aws.records(), asked, user_id=user_id, limit=limit):
            if not as_json and not count:
                print(header(user_id))
            print(as_line(summary) if as_json else row(summary), flush=True)
            count += 1
    if not count and not as_json:
        whose = "" if user_id == EVERYONE else f" of {user_id}"
        print(f"No image{whose} meets the conditions.", file=sys.stderr)
    return ExitCode.DONE


def read_conditions(conditions: Mapping[str, object]) -> tuple[ListRequest, str]:
    """Read the options of the command, by the API's names; return them and the user id.

    Without a user it is `EVERYONE`. Raises `Unusable` with every option at fault.
    """
    given = {"user": EVERYONE} | {
        name: value for name, value in conditions.items() if value not in (None, ())
    }
    try:
        asked = ListRequest.model_validate(given)
    except ValidationError as error:
        faults = {str(fault["loc"][0]): why_refused(fault) for fault in error.errors()}
    else:
        faults = dict(asked.contradictions)
        if not faults:
            return asked, str(asked.user)
    raise Unusable("\n".join(f"{_option(name)}: {fault}" for name, fault in faults.items()))


async def images(
    records: Records, asked: ListRequest, *, user_id: str, limit: int | None
) -> AsyncIterator[Summary]:
    """Yield the images that meet the conditions, and read pages as they are needed."""
    search, alike = asked.search(user_id), await _likeness(records, asked, user_id)
    whole = not search.narrows and alike is None
    after: Position | None = None
    count = 0
    while True:
        most = min(PAGE, limit - count) if whole and limit else PAGE
        found = await records.find(search, after=after, most=most)
        for summary in found:
            if alike is None or alike.finds(summary):
                yield summary
                count += 1
                if count == limit:
                    return
        after = found.ends_at
        if after is None:
            return


async def _likeness(records: Records, asked: ListRequest, user_id: str) -> Likeness | None:
    if asked.like is None:
        return None
    record = await records.get(asked.like)
    try:
        return Likeness.to(record, user_id=user_id, distance=asked.distance)
    except ValueError as error:
        raise Unusable(f"--like: {error}") from error


def as_line(summary: Summary) -> str:
    """Write an image as one line of JSON, with the members that the API's lists have."""
    return ListedImage.of(summary, thumbnails={}).model_dump_json(by_alias=True, exclude_none=True)


def header(user_id: str) -> str:
    """Write the names of the columns of a list."""
    if user_id == EVERYONE:
        return _line([*_WIDTHS_OF_ALL, "user"], _WIDTHS_OF_ALL)
    return _line([*_WIDTHS, "file name"], _WIDTHS)


def row(summary: Summary) -> str:
    """Write an image as a row that is no wider than the terminal, or 80 characters elsewhere."""
    at = datetime.fromtimestamp(summary.position.time / 1000, UTC)
    first = [summary.image_id, str(summary.status), f"{at:%Y-%m-%d %H:%M}"]
    if isinstance(summary, Settled):
        return _line([*first, printable(summary.user_id)], _WIDTHS_OF_ALL)
    pixels = f"{summary.width}x{summary.height}" if summary.width else "-"
    name = printable(summary.filename or "-")
    return _line([*first, pixels, name], _WIDTHS)


def _line(cells: list[str], widths: Mapping[str, int]) -> str:
    columns = [
        set_cell_size(cell, width) for cell, width in zip(cells, widths.values(), strict=False)
    ]
    start = " ".join(columns) + " "
    return (start + set_cell_size(cells[-1], max(8, Console().width - len(start)))).rstrip()


def _option(name: str) -> str:
    """Write the option of a parameter of the API, such as --min-width of minWidth."""
    return "--" + "".join(f"-{one.lower()}" if one.isupper() else one for one in name)
