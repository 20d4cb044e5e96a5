"""How a Google stream ends on the wire: properly, or cut, so that no client takes half for all."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.gemini.chunks import ArrayChunks, EventChunks
from api.gemini.stream import GeminiStream
from shared.errors import Unavailable

SCOPE: Scope = {"type": "http"}


class Server:
    """What uvicorn's cycle is to an application: it has a transport."""

    def __init__(self) -> None:
        self.transport = self
        self.sent: list[Message] = []
        self.closed_after: int | None = None

    def close(self) -> None:
        """Close the connection."""
        self.closed_after = len(self.sent)

    async def receive(self) -> Message:
        """Tell of the end once it is closed."""
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep what is sent."""
        self.sent.append(message)


def streaming(framing: EventChunks | ArrayChunks, *, fails: bool) -> GeminiStream:
    async def inner(scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x", b"y")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        last = framing.failed(Unavailable("Gone."), scope) if fails else framing.end()
        await send({"type": "http.response.body", "body": last, "more_body": False})

    return GeminiStream(inner, framing)


@pytest.mark.parametrize("framing", [EventChunks(), ArrayChunks()])
async def test_a_good_end_is_the_end(framing: Any) -> None:
    server = Server()
    await streaming(framing, fails=False)(SCOPE, server.receive, server.send)

    assert server.closed_after is None
    assert server.sent[-1]["more_body"] is False
    assert dict(server.sent[0]["headers"]) == {
        b"content-type": framing.media_type.encode(),
        b"x": b"y",
    }


@pytest.mark.parametrize("framing", [EventChunks(), ArrayChunks()])
async def test_a_failure_is_told_and_then_cut(framing: Any) -> None:
    server = Server()
    await streaming(framing, fails=True)(SCOPE, server.receive, server.send)

    assert b'"error"' in server.sent[-1]["body"]
    assert server.sent[-1]["more_body"] is True
    assert server.closed_after == len(server.sent)


async def test_a_server_that_cannot_cut_ends_properly() -> None:
    server = Server()

    async def receive() -> Message:
        return await server.receive()

    await streaming(EventChunks(), fails=True)(SCOPE, receive, server.send)

    assert server.closed_after is None
    assert server.sent[-1]["more_body"] is False
