"""A response that goes on: to whoever takes it, until it ends or the client is gone."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from starlette.types import Message

from api.events import response as event_response
from api.events.response import EventResponse

HEAD = {"X-More": "1"}
STREAMING = 2
"""The head and a block are out."""


class Source:
    """Blocks, and what it hears of the client."""

    job_id = "job_1"

    def __init__(self, *blocks: bytes, stays: bool = False) -> None:
        self.gone = asyncio.Event()
        self.closed = False
        self._blocks = blocks
        self._stays = stays

    def hear(self, number: int) -> None:
        raise AssertionError(number)

    def hang_up(self) -> None:
        self.gone.set()

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        try:
            for block in self._blocks:
                yield block
            if self._stays:
                await self.gone.wait()
        finally:
            self.closed = True


class Wire:
    """What a server gives to an application; `transport` is as uvicorn has it."""

    def __init__(self, *, takes: int = 100) -> None:
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.sending = asyncio.Event()
        self.transport = self
        self._takes = takes

    def abort(self) -> None:
        self.gone.set()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if len(self.sent) == self._takes:
            await asyncio.Event().wait()
        self.sent.append(message)
        if len(self.sent) == STREAMING:
            self.sending.set()


def response(source: Source, *, patience_s: float = 60) -> tuple[EventResponse, list[bool]]:
    ended: list[bool] = []
    made = EventResponse(source, source.blocks(), send_timeout_s=patience_s, headers=HEAD)
    made.on_end = lambda: ended.append(made.slow)
    return made, ended


async def serve(made: EventResponse, wire: Wire) -> None:
    scope: dict[str, Any] = {"type": "http", "method": "GET"}
    async with asyncio.timeout(10):
        await made(scope, wire.receive, wire.send)


async def test_what_comes_is_sent_piece_by_piece_to_the_end() -> None:
    source, wire = Source(b"one", b"two"), Wire()
    made, ended = response(source)

    await serve(made, wire)

    start, *bodies = wire.sent
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-accel-buffering"] == b"no"
    assert headers[b"x-more"] == b"1"
    assert b"content-length" not in headers
    assert [(each["body"], each["more_body"]) for each in bodies] == [
        (b"one", True),
        (b"two", True),
        (b"", False),
    ]
    assert ended == [False]
    assert source.closed
    assert not source.gone.is_set()


async def test_a_client_that_leaves_ends_it() -> None:
    source, wire = Source(b"one", stays=True), Wire()
    made, ended = response(source)
    serving = asyncio.create_task(serve(made, wire))
    await wire.sending.wait()

    wire.gone.set()

    await serving
    assert source.closed
    assert ended == [False]


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    source, wire = Source(b"one", b"two", stays=True), Wire(takes=2)
    made, ended = response(source, patience_s=0.02)

    await serve(made, wire)

    assert wire.gone.is_set()
    assert ended == [True]
    assert source.closed
    assert [each.get("more_body") for each in wire.sent] == [None, True]


async def test_a_server_of_another_kind_is_left_in_peace() -> None:
    source, wire = Source(b"one", b"two"), Wire(takes=2)
    made, ended = response(source, patience_s=0.02)

    async def receive() -> Message:
        return await wire.receive()

    async with asyncio.timeout(10):
        await made({"type": "http"}, receive, wire.send)

    assert ended == [True]


async def test_nobody_is_waited_for_when_the_process_is_to_stop(monkeypatch: Any) -> None:
    monkeypatch.setattr(event_response, "GOODBYE_S", 0.02)
    source, wire = Source(b"one", b"two"), Wire(takes=2)
    made, ended = response(source)
    serving = asyncio.create_task(serve(made, wire))
    await wire.sending.wait()
    await asyncio.sleep(0)

    made.hurry()

    await serving
    assert ended == [True]


async def test_whoever_reads_is_not_hurt_by_the_hurry(monkeypatch: Any) -> None:
    monkeypatch.setattr(event_response, "GOODBYE_S", 0.02)
    source, wire = Source(b"one", stays=True), Wire()
    made, ended = response(source)
    serving = asyncio.create_task(serve(made, wire))
    await wire.sending.wait()

    made.hurry()
    source.hang_up()

    await serving
    assert ended == [False]
    assert wire.sent[-1]["more_body"] is False
