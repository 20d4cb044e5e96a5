"""The client in docs/events.md, against a server that breaks off in the middle."""

import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from typing_extensions import override

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text("utf-8")


def block(name: str, place: int, **data: Any) -> bytes:
    raw = orjson.dumps({"type": name, "data": data}).decode()
    return f"id: x.2.{place}\nevent: {name}\ndata: {raw}\n\n".encode()


def said(text: str, place: int) -> bytes:
    return block("job.delta", place, chunks=[{"choices": [{"delta": {"content": text}}]}])


SNAPSHOT = b"retry: 3000\n" + block("snapshot", 0, status="running")
NOTHING = block("job.delta", 3, chunks=[{"choices": []}, {"choices": [{"delta": {}}]}])
ANSWERS: dict[str | None, bytes] = {
    None: SNAPSHOT + said("one ", 1) + said("two", 2)[:30],
    "x.2.1": b": ping\n\n" + said("two", 2) + NOTHING + block("job.completed", 4),
}


class Handler(BaseHTTPRequestHandler):
    """Answers by what the client says it has."""

    def do_GET(self) -> None:
        raw = ANSWERS[self.headers.get("Last-Event-ID")]
        self.send_response(200)
        self.send_header(
            "Content-Length", str(len(raw) + 1 if b"completed" not in raw else len(raw))
        )
        self.end_headers()
        self.wfile.write(raw)

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_hears_each_piece_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"url": url, "key": "k", "job_id": "job_1"}

    exec(example, names)

    assert names["text"] == "one two"
