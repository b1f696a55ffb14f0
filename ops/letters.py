"""Single dead letters, for `safelight redrive --show` and `--delete ID`."""

import json
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Protocol

from ops.exit_codes import ExitCode
from ops.report import one_line
from ops.tables import counted
from safelight.aws.queue import BATCH_SIZE, Failure, Message

SILENT = "unexplained"
"""The reason shown for letters that SQS moved itself: they carry no reason attribute."""


class Letters(Protocol):
    """The dead-letter queue."""

    async def delete(self, receipts: Sequence[str]) -> tuple[Failure, ...]:
        """Delete up to ten messages; return the failures."""
        ...


def reason_of(message: Message) -> str:
    """Return the reason why a message became a dead letter."""
    return message.attributes.get("reason", SILENT)


def print_letters(found: Sequence[Message], *, as_json: bool) -> None:
    """Print letters whole, the oldest first. Unprintable characters are replaced."""
    found = sorted(found, key=lambda one: one.sent_at)
    if as_json:
        print(json.dumps([_described(one) for one in found], indent=2))
        return
    for one in found:
        for name, value in _described(one).items():
            print(f"{'' if name == 'id' else '  '}{name}: {one_line(value)}")
    print(f"{counted(len(found), 'letter')}.", file=sys.stderr)


def _described(letter: Message) -> dict[str, str]:
    sent_at = datetime.fromtimestamp(letter.sent_at, UTC).isoformat(timespec="seconds")
    return {
        "id": letter.message_id,
        "sentAt": sent_at,
        "reason": reason_of(letter),
        **letter.attributes,
        "body": letter.body,
    }


async def delete_letters(letters: Letters, found: Sequence[Message], ids: Collection[str]) -> int:
    """Delete the letters of these ids for good; return the exit code, `FAILED` if one remains."""
    chosen = [one for one in found if one.message_id in ids]
    missing = sorted(set(ids) - {one.message_id for one in chosen})
    failed = [
        failure.detail
        for start in range(0, len(chosen), BATCH_SIZE)
        for failure in await letters.delete(
            [one.receipt for one in chosen[start : start + BATCH_SIZE]]
        )
    ]
    for one in missing:
        print(f"No dead letter has the id {one_line(one)}.", file=sys.stderr)
    for detail in failed:
        print(f"A letter was not deleted: {detail}", file=sys.stderr)
    print(f"Deleted {counted(len(chosen) - len(failed), 'letter')}.", file=sys.stderr)
    return ExitCode.FAILED if missing or failed else ExitCode.DONE
