"""A client of an event stream, one ASGI request: it hears event by event, and may stop reading or leave."""

import asyncio
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message

from api.cli.events import Event, Parser

PATIENCE_S = 10.0


class Stream:
    """A request under way; the application runs in a task of its own."""

    def __init__(self, app: ASGIApp, url: str, **headers: str) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.comments = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self._heard: list[Event] = []
        self._parser = Parser()
        parts = urlsplit(url)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("penstock", 80),
            "client": ("client", 1),
            "headers": [
                (name.replace("_", "-").lower().encode(), value.encode())
                for name, value in headers.items()
            ],
        }
        self.task = asyncio.create_task(self._run(app, scope))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.leave()
        self.reads.set()
        done, _ = await asyncio.wait([self.task], timeout=PATIENCE_S)
        assert done, "the application goes on without a client"
        self.task.result()

    def leave(self) -> None:
        """Go away, as a client whose connection is cut."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def event(self) -> Event:
        """Return the next event."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._heard:
                piece = await self._pieces.get()
                assert piece, "the stream has ended"
                self._take(piece)
        return self._heard.pop(0)

    async def names(self, count: int) -> list[str]:
        """Return the names of the next events."""
        return [(await self.event()).type for _ in range(count)]

    async def rest(self) -> list[Event]:
        """Return all that comes to the end."""
        async with asyncio.timeout(PATIENCE_S):
            while piece := await self._pieces.get():
                self._take(piece)
        heard, self._heard = self._heard, []
        return heard

    def _take(self, piece: bytes) -> None:
        assert piece.isascii()
        assert piece.endswith(b"\n\n"), "an event came in pieces"
        self.comments += piece.startswith(b":")
        self._heard += self._parser.feed(piece)

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


Follow = Callable[..., Stream]
"""Begins to follow a job by its id, or what a URL leads to."""
