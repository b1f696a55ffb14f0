"""Rules for every HTTP server of Safelight: the `Server` header, loopback hosts, safe URLs."""

import ipaddress
import re
from urllib.parse import urlsplit

from aiohttp import hdrs, web, web_response
from aiohttp.typedefs import Handler

SERVER = "safelight"
"""The `Server` header of every answer. It names no software that an attacker could look up."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]+))(?::[0-9]{0,5})?")


def hide_software() -> None:
    """Replace the name and version that aiohttp sends if a response has no `Server` header.

    aiohttp answers malformed requests before any middleware runs, and has no setting for this.
    """
    web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]  # not meant to be set


@web.middleware
async def loopback_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 421 to a request whose `Host` is not a loopback name.

    A web page can make its own name resolve to 127.0.0.1 (DNS rebinding). A browser then treats
    this server as the page's own, and sends the page's name in `Host`.
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
    """Return whether an address is reachable only from this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe_url(url: str) -> bool:
    """Return whether a URL is HTTPS, or HTTP to this machine, so that its answer can be trusted."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    )
