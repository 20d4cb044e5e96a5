"""The cheapest HTTP client that will do, so that the bench measures Penstock and not itself."""

import asyncio
from asyncio import Transport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import orjson
from typing_extensions import override

from bench.upstream_stream import FIRST, TEXT


class _Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time; answers must have a Content-Length."""

    def __init__(self) -> None:
        self._transport: Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed before the answer"))

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length or self._answer is None:
            return
        body, self._buffer = self._buffer[end + 4 :], b""
        self._answer.set_result((int(head[9:12]), body))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a whole request; return status and body."""
        if self._transport is None:
            raise ConnectionError("not connected")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


@dataclass(slots=True)
class Streamed:
    """A streamed answer; `first_at` is when its first text came, by `time.perf_counter`.

    `texts` counts the upstream's pieces of text in it, `events` those that they came in.
    """

    status: int = 0
    texts: int = 0
    events: int = 0
    first_at: float = 0.0
    body: bytes = b""


class _Streaming(asyncio.Protocol):
    """One keep-alive connection, one stream at a time; it ends with its last HTTP chunk."""

    def __init__(self) -> None:
        self._transport: Transport | None = None
        self._parts: list[bytes] = []
        self._streamed = Streamed()
        self._answer: asyncio.Future[Streamed] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed before the end"))

    @override
    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        if not self._streamed.first_at and FIRST in data:
            self._streamed.first_at = perf_counter()
        if not data.endswith(b"0\r\n\r\n") or self._answer is None:
            return
        body = b"".join(self._parts)
        if not body.endswith(b"\r\n0\r\n\r\n"):
            return
        streamed = self._streamed
        streamed.status, streamed.body = int(body[9:12]), body
        streamed.texts, streamed.events = body.count(TEXT), body.count(b"data: {")
        self._answer.set_result(streamed)

    async def send(self, request: bytes) -> Streamed:
        """Send a whole request; return what was streamed."""
        if self._transport is None:
            raise ConnectionError("not connected")
        self._answer = asyncio.get_running_loop().create_future()
        self._parts, self._streamed = [], Streamed()
        self._transport.write(request)
        return await self._answer


class StreamClient:
    """One connection to a server on loopback that streams its answers."""

    def __init__(self, port: int, *, key: str = "") -> None:
        self._port = port
        self._head = _head(port, key)
        self._connection: _Streaming | None = None

    async def post(self, path: str, body: bytes) -> Streamed:
        """POST JSON bytes; return the streamed answer once it is whole."""
        if self._connection is None:
            loop = asyncio.get_running_loop()
            made = await loop.create_connection(_Streaming, "127.0.0.1", self._port)
            self._connection = made[1]
        return await self._connection.send(_post(path, self._head, body))


class Client:
    """A pool of up to `size` connections to one server on loopback."""

    def __init__(self, port: int, *, key: str = "", size: int) -> None:
        self._port = port
        self._head = _head(port, key)
        self._places = asyncio.Semaphore(size)
        self._idle: list[_Connection] = []

    async def get(self, path: str) -> tuple[int, bytes]:
        """GET a path; return status and body."""
        return await self._send(b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), self._head))

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """POST JSON bytes; return status and body."""
        return await self._send(_post(path, self._head, body))

    async def json(self, path: str, value: object = None) -> Any:
        """GET a path, or POST a value to it; return the decoded answer.

        Raises:
            RuntimeError: the status is not one of success.
        """
        answer = self.get(path) if value is None else self.post(path, orjson.dumps(value))
        status, body = await answer
        if status >= 300:
            raise RuntimeError(f"{path} answered {status}: {body[:500]!r}")
        return orjson.loads(body)

    def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _send(self, request: bytes) -> tuple[int, bytes]:
        async with self._places, self._connection() as connection:
            return await connection.send(request)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
        return connection


def _head(port: int, key: str) -> bytes:
    return b"host: 127.0.0.1:%d\r\nauthorization: Bearer %b\r\n" % (port, key.encode())


def _post(path: str, head: bytes, body: bytes) -> bytes:
    return (
        b"POST %b HTTP/1.1\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        % (path.encode(), head, len(body), body)
    )
