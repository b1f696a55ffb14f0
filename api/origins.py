"""Checks the origins of web pages, as operators configure them (RFC 6454, section 7).

A browser sends an origin in one spelling only. Any other spelling would be accepted here and never
match, so it is refused with the reason.
"""

import re

ANY = "*"
FORM = "scheme://host or scheme://host:port, such as https://app.example.com"

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])"
    r"(:(?P<port>[1-9][0-9]{0,4}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def check_origin(origin: str) -> str:
    """Return an origin that browsers can send. Raises a `ValueError` that says why it cannot be.

    Apps in a web view have schemes of their own, such as `capacitor://localhost`.
    """
    if fault := _fault_of(origin):
        raise ValueError(f"{origin} {fault}")
    return origin


def _fault_of(origin: str) -> str | None:
    if "*" in origin:
        return "has a wildcard: name each origin"
    if origin == "null":
        return "is the origin of every page without one: serve the page from an origin of its own"
    if not origin.isascii():
        return "is not ASCII: browsers send the name as xn--..."
    if origin != origin.lower():
        return "has upper case: browsers send origins in lower case"
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return f"is not {FORM}, without a path and a slash at the end"
    if found["port"] and found["port"] == _DEFAULT_PORTS.get(found["scheme"]):
        return "names the default port: browsers leave it out"
    return None
