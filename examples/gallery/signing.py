"""Signs URLs of private pictures; signing.mjs does the same in JavaScript."""

import hmac
from base64 import urlsafe_b64encode
from urllib.parse import quote, urlencode

UNESCAPED = "/:@!$&'()*+,;="


def signed(
    path: str, *, key_id: str, secret: str, expires: int, query: dict[str, str] | None = None
) -> str:
    """Sign a path that is not percent-encoded; return path and query of the URL.

    `expires` is in seconds since 1970. The secret must never reach a browser.
    """
    given = {**(query or {}), "expires": str(expires), "key": key_id}
    parameters = urlencode(sorted(given.items()), quote_via=quote)
    text = f"safelight-1\n{path}\n{parameters}"
    digest = hmac.digest(secret.encode(), text.encode(), "sha256")
    signature = urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{quote(path, safe=UNESCAPED)}?{parameters}&signature={signature}"
