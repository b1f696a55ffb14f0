"""Reads what a request prefers: the header `Prefer` (RFC 7240)."""

import re

from aiohttp import web

MOST_WAIT_SECONDS = 25
"""The longest wait for one answer; load balancers and proxies give up after 30 to 60 seconds."""
_WAIT = re.compile(r"""wait[ \t]*=[ \t]*"?([0-9]{1,9})"?[ \t]*(?:;.*)?""", re.IGNORECASE)


def wait_of(request: web.Request) -> int | None:
    """Return how many seconds a client wants to wait for an answer, at most the longest wait.

    None without a readable `wait`: a preference that is not understood is ignored. Of several the
    first one counts.
    """
    preferences = ",".join(request.headers.getall("Prefer", [])).split(",")
    waits = (_WAIT.fullmatch(each.strip()) for each in preferences)
    seconds = next((int(found[1]) for found in waits if found), 0)
    return min(seconds, MOST_WAIT_SECONDS) or None
