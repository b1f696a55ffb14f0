"""What every HTTP server of Safelight does alike, whatever it serves."""

import ipaddress
import re

from aiohttp import hdrs, web, web_response
from aiohttp.typedefs import Handler

SERVER = "safelight"
"""What the `Server` header of every answer says: no software that an attacker could look up."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::[0-9]{0,5})?")


def hide_software() -> None:
    """Replace the name and version that aiohttp writes where a response has no `Server` header.

    Bytes that are no HTTP request are answered before any of our middlewares, and aiohttp has no
    setting for it.
    """
    web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]  # not meant to be set


@web.middleware
async def loopback_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 421 to a request whose `Host` is not a name of this machine's own loopback.

    A web page may let its own name lead to 127.0.0.1 (DNS rebinding): its reader's browser then
    takes what listens there for the page's own server, and names the page in `Host`.
    """
    hosts = request.headers.getall(hdrs.HOST, [])
    if len(hosts) != 1 or not is_loopback_host(hosts[0]):
        raise web.HTTPMisdirectedRequest(text="Ask for localhost, 127.0.0.1 or [::1].\n")
    return await handler(request)


def is_loopback_host(host: str) -> bool:
    """Return whether a `Host` header, with or without a port, names a loopback address."""
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback(found["v6"] or found["name"])


def is_loopback(host: str) -> bool:
    """Return whether an address is reachable from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
