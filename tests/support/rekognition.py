"""A stub of Amazon Rekognition on loopback. It answers `DetectFaces` as AWS documents it.

The form of requests and errors is that of AWS's JSON protocol, 1.1:
https://docs.aws.amazon.com/rekognition/latest/APIReference/API_DetectFaces.html
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

from aiohttp import web
from PIL import Image, UnidentifiedImageError

MOST_BYTES = 5 * 1024**2
"""The most bytes of a picture that is sent along."""
LEAST_SIDE = 80
"""The shortest side of a picture, in pixels."""
_TARGET = "RekognitionService.DetectFaces"


@dataclass(slots=True)
class RekognitionStub:
    """What the stub answers, and the pictures that it got."""

    boxes: list[dict[str, float]] = field(default_factory=list)
    """The bounding boxes of the faces that it finds in every picture."""
    errors: list[tuple[int, str]] = field(default_factory=list)
    """Status and code of the next answers, before it finds anything."""
    pictures: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    """Format and size of each picture that it looked at."""
    url: str = ""

    def forget(self) -> None:
        """Start again, without faces and errors."""
        for kept in (self.boxes, self.errors, self.pictures):
            kept.clear()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        said = json.loads(await request.read())
        if self.errors:
            return _error(*self.errors.pop(0))
        if request.headers["X-Amz-Target"] != _TARGET or "Authorization" not in request.headers:
            return _error(400, "AccessDeniedException")
        given = base64.b64decode(said["Image"]["Bytes"])
        if len(given) > MOST_BYTES:
            return _error(400, "ImageTooLargeException")
        try:
            picture = Image.open(BytesIO(given), formats=["JPEG", "PNG"])
        except UnidentifiedImageError:
            return _error(400, "InvalidImageFormatException")
        if min(picture.size) < LEAST_SIDE:
            return _error(400, "InvalidParameterException")
        self.pictures.append((str(picture.format), picture.size))
        details = [{"BoundingBox": box, "Confidence": 99.9} for box in self.boxes]
        return _json(200, {"FaceDetails": details})


def _error(status: int, code: str) -> web.Response:
    return _json(status, {"__type": code, "Code": code, "Message": "as documented"})


def _json(status: int, answer: object) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(answer), content_type="application/x-amz-json-1.1"
    )


@asynccontextmanager
async def rekognition_stub() -> AsyncIterator[RekognitionStub]:
    """Serve a stub on a free port of loopback for the block."""
    stub = RekognitionStub()
    app = web.Application(client_max_size=2 * MOST_BYTES)
    app.router.add_post("/", stub.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        stub.url = f"http://{host}:{port}"
        yield stub
    finally:
        await runner.cleanup()
