"""Cursors: where the next page of a list begins, for the same list only.

A cursor is base64url of `[version, time, imageId, hash of the list]`. It holds no user and no
secret, and gives access to nothing: the list it is used with is the caller's own.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from api.problems import Problem, Refusal
from safelight import keys
from safelight.search import Position

_VERSION = 1
_HASH_LENGTH = 8
_MOST_TIME = 2**53


def write_cursor(position: Position, *, of_list: str) -> str:
    """Return the cursor for the images behind a position. `of_list` describes the list."""
    parts = [_VERSION, position.time, position.image_id, _hash(of_list)]
    return urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(text: str, *, of_list: str) -> Position:
    """Read a cursor. Raises a `Refusal` if it is damaged, or of another list."""
    try:
        parts = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        version, time, image_id, hash_of_list = parts
    except (ValueError, TypeError, RecursionError) as error:
        raise _refused("The cursor is damaged.") from error
    if (
        version != _VERSION
        or type(time) is not int
        or not 0 <= time <= _MOST_TIME
        or not (isinstance(image_id, str) and keys.is_image_id(image_id))
    ):
        raise _refused("The cursor is damaged.")
    if hash_of_list != _hash(of_list):
        raise _refused("The cursor belongs to a list with other parameters.")
    return Position(time=time, image_id=image_id)


def _hash(of_list: str) -> str:
    return sha256(of_list.encode()).hexdigest()[:_HASH_LENGTH]


def _refused(why: str) -> Refusal:
    return Refusal(Problem.INVALID_CURSOR, why)
