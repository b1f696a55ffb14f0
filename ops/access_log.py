"""Finds URLs in access logs, one line at a time.

Reads common and combined logs (Apache, nginx), CloudFront's standard logs, logs of an Application
Load Balancer, and files with one URL in each line.
"""

import gzip
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO, cast
from urllib.parse import unquote

STDIN = Path("-")
_CLOUDFRONT = (
    "date", "time", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem",
    "sc-status", "cs(Referer)", "cs(User-Agent)", "cs-uri-query",
)  # fmt: skip
"""The first fields of CloudFront's logs, for a file that lost its header."""
_REQUEST = re.compile(r'"(?P<method>[A-Z]+) (?P<url>\S+) HTTP/[0-9.]+"')
"""The request line, which all logs but CloudFront's have in quotes."""
_ORIGIN = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
_READS = ("GET", "HEAD")


def open_log(path: Path) -> AbstractContextManager[TextIO]:
    """Open a log for reading: `-` is standard input, and `.gz` is decompressed."""
    if path == STDIN:
        return nullcontext(sys.stdin)
    if path.suffix == ".gz":
        return cast("TextIO", gzip.open(path, "rt", encoding="utf-8", errors="replace"))
    return path.open(encoding="utf-8", errors="replace")


def urls_in(lines: Iterable[str]) -> Iterator[str | None]:
    """Read the path and query, still escaped, of each line; None for a line without a GET or HEAD.

    Empty lines and comments are left out.
    """
    fields: tuple[str, ...] = _CLOUDFRONT
    for line in lines:
        text = line.strip("\r\n")
        if text.startswith("#Fields:"):
            fields = tuple(text.removeprefix("#Fields:").split())
        elif text.strip() and not text.startswith("#"):
            yield _url_of(text, fields)


def _url_of(line: str, fields: tuple[str, ...]) -> str | None:
    if "\t" in line:
        return _of_cloudfront(dict(zip(fields, line.split("\t"), strict=False)))
    if request := _REQUEST.search(line):
        return _path_of(request["url"]) if request["method"] in _READS else None
    text = line.strip()
    return _path_of(text) if " " not in text else None


def _of_cloudfront(values: dict[str, str]) -> str | None:
    path = values.get("cs-uri-stem")
    if path is None or values.get("cs-method", "GET") not in _READS:
        return None
    query = values.get("cs-uri-query", "-")
    return _as_sent(path if query in ("-", "") else f"{path}?{query}")


def _as_sent(text: str) -> str:
    """Undo the escapes of CloudFront's logs, which escape `%` itself as `%25`.

    A text without `%25` is left as it is: its escapes, if any, may be those of the URL.
    """
    return unquote(text) if "%25" in text else text


def _path_of(url: str) -> str | None:
    """Return the path and query of a URL, or None for text that is none."""
    origin = _ORIGIN.match(url)
    path = url[origin.end() :] if origin else url
    return path if path.startswith("/") else None
