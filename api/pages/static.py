"""The files of the pages: read and compressed at start, and named by a hash over all of them.

A page links its files below `/ui/static/{build}/`, so modules that import each other are always of
one build, and browsers may keep them for good.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from aiohttp import ETag, web

from api.problems import Problem, Refusal

FOLDER = Path(__file__).with_name("static")
PAGE = ".html"
MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        PAGE: "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".toml": "text/plain; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
    }
)
FOR_GOOD = "public, max-age=31536000, immutable"
_BUILD = b"{build}"
"""What a page has in place of the build."""
_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?P<q>[01](?:\.[0-9]*)?)\s*)?(?:,|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file as it is sent."""

    media_type: str
    body: bytes
    gzipped: bytes
    tag: str

    def answer(
        self, request: web.Request, headers: Mapping[str, str], *, status: int = 200
    ) -> web.Response:
        """Answer with the file, compressed if the client accepts that.

        A client that has the file gets 304 in place of 200; other statuses stay.
        """
        headers = {**headers, "Vary": "Accept-Encoding"}
        known = {etag.value for etag in request.if_none_match or ()}
        if status == 200 and not known.isdisjoint((self.tag, "*")):
            answer = web.Response(status=304, headers=headers)
        elif _accepts_gzip(request):
            headers |= {"Content-Type": self.media_type, "Content-Encoding": "gzip"}
            answer = web.Response(status=status, body=self.gzipped, headers=headers)
        else:
            headers |= {"Content-Type": self.media_type}
            answer = web.Response(status=status, body=self.body, headers=headers)
        # Two encodings are two representations, so they share a weak tag only.
        answer.etag = ETag(self.tag, is_weak=True)
        return answer


class StaticFiles:
    """The files of a folder: pages, and what they load."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Read every file. Raises `KeyError` for a file whose media type is not in the table."""
        bodies = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        whole = sha256()
        for name, body in bodies.items():
            whole.update(f"{name} {len(body)}\n".encode() + body)
        self.build = whole.hexdigest()[:16]
        """The name of this state of the files."""
        self._files = {name: self._file(name, body) for name, body in bodies.items()}

    def page(self, name: str) -> StaticFile:
        """Return a page, such as `pictures`, with links to the files of this build."""
        return self._files[name + PAGE]

    async def get(self, request: web.Request) -> web.Response:
        """Answer with a file of this build. Other builds are unknown here."""
        build, name = request.match_info["build"], request.match_info["path"]
        file = self._files.get(name)
        if build != self.build or file is None or name.endswith(PAGE):
            raise Refusal(Problem.UNKNOWN_PATH, "This build of the pages has no such file.")
        headers = {"Cache-Control": FOR_GOOD, "Cross-Origin-Resource-Policy": "same-origin"}
        return file.answer(request, headers)

    def _file(self, name: str, body: bytes) -> StaticFile:
        suffix = Path(name).suffix
        if suffix == PAGE:
            body = body.replace(_BUILD, self.build.encode())
        return StaticFile(
            media_type=MEDIA_TYPES[suffix],
            body=body,
            gzipped=gzip.compress(body, mtime=0),
            tag=sha256(body).hexdigest()[:32],
        )


def _accepts_gzip(request: web.Request) -> bool:
    found = _GZIP.search(request.headers.get("Accept-Encoding", ""))
    return found is not None and (found["q"] is None or float(found["q"]) > 0)
