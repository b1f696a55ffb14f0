"""Checks the origins of web pages, as operators configure them (RFC 6454, section 7).

A browser sends an origin in one spelling only. Any other spelling would be accepted here and never
match, so it is refused with the reason.
"""

import re
from collections.abc import Callable

ANY = "*"
FORM = "scheme://host or scheme://host:port, such as https://app.example.com"

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])"
    r"(:(?P<port>[1-9][0-9]{0,4}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _has_default_port(origin: str) -> bool:
    found = _ORIGIN.fullmatch(origin)
    return found is not None and found["port"] == _DEFAULT_PORTS.get(found["scheme"], "")


_FAULTS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda origin: "*" in origin, "has a wildcard: name each origin"),
    (
        lambda origin: origin == "null",
        "is the origin of every page without one: serve the page from an origin of its own",
    ),
    (lambda origin: not origin.isascii(), "is not ASCII: browsers send the name as xn--..."),
    (
        lambda origin: origin != origin.lower(),
        "has upper case: browsers send origins in lower case",
    ),
    (
        lambda origin: _ORIGIN.fullmatch(origin) is None,
        f"is not {FORM}, without a path and a slash at the end",
    ),
    (_has_default_port, "names the default port: browsers leave it out"),
)
"""What makes an origin impossible, and how to say so. The first that holds is reported."""


def check_origin(origin: str) -> str:
    """Return an origin that browsers can send. Raises a `ValueError` that says why it cannot be.

    Apps in a web view have schemes of their own, such as `capacitor://localhost`.
    """
    for holds, fault in _FAULTS:
        if holds(origin):
            raise ValueError(f"{origin} {fault}")
    return origin
