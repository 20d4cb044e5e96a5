"""One request to the application as its server makes it: piece by piece, with a client that may leave."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self

import orjson
from starlette.types import ASGIApp, Message

PATIENCE_S = 10.0


class Exchange:
    """A request under way; the application runs in a task of its own."""

    def __init__(self, app: ASGIApp, path: str, body: object, headers: Mapping[str, str]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.over = False
        self.reads = asyncio.Event()
        self.reads.set()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        raw = orjson.dumps(body)
        self._incoming.put_nowait({"type": "http.request", "body": raw, "more_body": False})
        pairs = {"content-type": "application/json", **headers}
        path, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("penstock", 80),
            "client": ("client", 1),
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs.items()],
        }
        self.task = asyncio.create_task(self._run(app, scope))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()
        self.reads.set()
        await asyncio.wait_for(asyncio.wait([self.task]), PATIENCE_S)

    def leave(self) -> None:
        """Go away, as a client whose connection is cut."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def piece(self) -> bytes:
        """Return the next piece of the body; empty at the end."""
        return await asyncio.wait_for(self._pieces.get(), PATIENCE_S)

    async def rest(self) -> bytes:
        """Return the body from here to its end."""
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    async def _run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._incoming.get, self._send)
        finally:
            self._pieces.put_nowait(b"")

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["body"]:
            self._pieces.put_nowait(message["body"])
        if not message.get("more_body", True):
            self.over = True


def events(raw: bytes) -> list[Any]:
    """Return the data of a stream's events; comments are left out, anything else fails."""
    found: list[Any] = []
    assert raw.isascii()
    for block in raw.split(b"\n\n")[:-1]:
        if block.startswith(b":"):
            continue
        assert block.startswith(b"data: "), block
        assert b"\n" not in block
        data = block.removeprefix(b"data: ")
        found.append("[DONE]" if data == b"[DONE]" else orjson.loads(data))
    return found


def text_of(raw: bytes) -> str:
    """Return what a stream's first choice says."""
    parts = [part for each in events(raw) if each != "[DONE]" for part in each.get("choices", [])]
    return "".join(part["delta"].get("content") or "" for part in parts)
