"""Updates and conditions about the one upload that an image waits for. Pure.

A settlement ends the wait in the same write, so no second upload of one token is settled.
"""

from collections.abc import Mapping
from typing import Any

from safelight.aws.items import written
from safelight.record import Record

_WAITS = "#uploadToken = :awaited AND (attribute_not_exists(#revision) OR #revision <> :revision)"
_WITHOUT_TOKENS = (
    "attribute_not_exists(#uploadToken) AND attribute_not_exists(#settledToken)"
    " AND (attribute_not_exists(#sequencer)"
    " OR (#sequencer <= :sequencer AND #revision <> :revision))"
)


def waits_for(settlement: Record) -> tuple[str, Mapping[str, Any]]:
    """Return the condition that the image waits for the upload of a settlement, and its values.

    Without tokens the newest upload counts; with one, the token decides.
    """
    awaited = settlement.settled_token or settlement.upload_token
    return (_WAITS, written({":awaited": awaited})) if awaited else (_WITHOUT_TOKENS, {})


def waiting(read: Record, *, token: str, expires_at: int | None) -> dict[str, Any]:
    """Build the update of an image that waits for the upload with this token from now on.

    Its condition is that the record has the state and the tokens with which it was read.
    `expires_at` is the new end of a pending record, in seconds since 1970. A pending record loses
    its `requestHash`: it no longer waits for the upload of that request.
    """
    before = {
        "status": str(read.status),
        "uploadToken": read.upload_token,
        "settledToken": read.settled_token,
    }
    item = {"uploadToken": token} | ({"expiresAt": expires_at} if expires_at else {})
    first = "" if read.status.settled else " REMOVE requestHash"
    known = {name: value for name, value in before.items() if value is not None}
    unchanged = (
        f"#{name} = :read_{name}" if name in known else f"attribute_not_exists(#{name})"
        for name in before
    )
    return {
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in item) + first,
        "ConditionExpression": " AND ".join(unchanged),
        "ExpressionAttributeNames": {f"#{name}": name for name in item | before},
        "ExpressionAttributeValues": written(
            {f":{name}": value for name, value in item.items()}
            | {f":read_{name}": value for name, value in known.items()}
        ),
    }
