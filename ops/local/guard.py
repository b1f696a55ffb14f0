"""Starts ministack, the embedded AWS, protected from web pages in this machine's browsers.

    .venv-emulator/bin/python -I ops/local/guard.py

Browsers let any page send requests to loopback. A page can also read the answers if its own domain
name points to 127.0.0.1. ministack accepts any Host header, lets every page read most answers, and
requires no key for its control paths. Behind the guard every caller needs a signature, and a page
gets only what a bucket's CORS rules allow.

Runs in ministack's own environment, so it must import nothing from Safelight. Listens on BIND_HOST
and GATEWAY_PORT. Answers to MINISTACK_HOST and to the names of loopback.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
HEALTH_PATH = "/_ministack/health"
KEEP_ALIVE_SECONDS = 75


class Guard:
    """An ASGI application that passes permitted requests to ministack and refuses all others."""

    def __init__(self, application: Application, *, name: str) -> None:
        """Accept requests for `name`, for loopback, and for subdomains of these.

        Buckets and distributions are subdomains; no stranger can own one.
        """
        self._application = application
        self._names = sorted({*LOOPBACK, name.lower()})

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        match scope["type"]:
            case "lifespan":
                await self._application(scope, receive, send)
            case "http":
                if refusal := self._refusal(scope):
                    await _refuse(send, *refusal)
                else:
                    await self._application(scope, receive, _without_open_cors(send))
            case "websocket":  # no CORS rule binds a page that opens one
                await receive()
                await send({"type": "websocket.close", "code": 1008})

    def _refusal(self, scope: Message) -> tuple[int, str] | None:
        """Return the status and the text of a refusal, or None for a permitted request."""
        hosts = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
        if not hosts or not all(self._is_called(_name(host)) for host in hosts):
            return 421, f"This emulator answers only to {', '.join(self._names)} and subdomains."
        # No bucket's name begins like this: such paths are ministack's own, and unsigned.
        if scope["path"].startswith("/_") and scope["path"] != HEALTH_PATH:
            return 403, f"Among the emulator's own paths only {HEALTH_PATH} is open."
        return None

    def _is_called(self, name: str) -> bool:
        return any(name == own or name.endswith(f".{own}") for own in self._names)


def _name(host: str) -> str:
    """Return a Host header's name without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _without_open_cors(send: Send) -> Send:
    """Remove the CORS permission that ministack gives to every page.

    A bucket's own rule with origins is kept: its answer names the page's origin.
    """

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: Headers = message["headers"]
            if any(_is_open_cors(key, value) for key, value in headers):
                kept = [one for one in headers if not one[0].lower().startswith(b"access-control-")]
                message = {**message, "headers": kept}
        await send(message)

    return send_on


def _is_open_cors(key: bytes, value: bytes) -> bool:
    return key.lower() == b"access-control-allow-origin" and value.strip() == b"*"


async def _refuse(send: Send, status: int, words: str) -> None:
    body = f"{words}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve ministack, guarded, until SIGTERM."""
    os.environ["AUTH"] = "true"  # ministack then checks every signature and policy
    os.environ["IOT_MTLS_ENABLED"] = "0"  # else it also listens on port 8883 of all interfaces
    # Imported here, because ministack reads its settings while it is imported.
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # noqa: PLC0415

    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    asyncio.run(serve(Guard(app, name=os.environ["MINISTACK_HOST"]), config))


if __name__ == "__main__":
    main()
