"""deploy/upload.py, which uploads a picture to the containers of docker-compose.yml."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "samples" / "cat-451px.jpg"
pytestmark = pytest.mark.starts


class Refusing(BaseHTTPRequestHandler):
    """An API that grants an upload, and a storage that refuses it."""

    def do_POST(self) -> None:
        url = f"http://127.0.0.1:{self.server.server_port}/bucket?X-Amz-Signature=hidden"
        self._answer(
            201, {"url": url, "headers": {"x-amz-meta-upload-token": "t"}, "statusUrl": "/v1"}
        )

    def do_PUT(self) -> None:
        self._answer(403, {"Code": "AccessDenied"})

    def _answer(self, status: int, body: object) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "deploy" / "upload.py", *map(str, arguments)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip


def test_a_refused_upload_is_reported_without_its_signature(api: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GRAFANA_PASSWORD=x\nAPI_KEY=sl_key\n")
    done = run(PICTURE, "--api", api, "--env", tmp_path / ".env")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f'{api}/bucket answered 403: {{"Code": "AccessDenied"}}\n'


def test_without_a_key_it_says_what_makes_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GRAFANA_PASSWORD=x\n")
    done = run(PICTURE, "--env", tmp_path / ".env")
    assert done.returncode == 1
    assert "no API_KEY; run make env first" in done.stderr
