"""Just enough of an HTTP/1.1 server to misbehave exactly: half bodies, resets, single bytes."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Mapping
from typing import cast

import httptools
import orjson
from typing_extensions import override

REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 429: b"Too Many Requests"}


class Exchange:
    """One request and the way to answer it; `on_gone` is called if the client leaves before."""

    def __init__(self, connection: "Connection", method: str, path: str) -> None:
        self.method, self.path = method, path
        self.peer = connection.peer
        self.headers: dict[str, str] = {}
        self.body = b""
        self.on_gone: Callable[[], None] | None = None
        self.done = False
        self._connection = connection
        self._chunked = False

    def json(self, value: object, *, status: int = 200) -> None:
        """Answer with a JSON document."""
        self.reply(status, {"content-type": "application/json"}, orjson.dumps(value))

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer with a whole body."""
        self._head(status, {**headers, "content-length": str(len(body))}, body)
        self.done = True

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer of unknown length."""
        self._chunked = True
        self._head(status, {**headers, "transfer-encoding": "chunked"}, b"")

    def promise(self, status: int, headers: Mapping[str, str], part: bytes, length: int) -> None:
        """Begin an answer that announces more bytes than it gives."""
        self._head(status, {**headers, "content-length": str(length)}, part)

    def write(self, *parts: bytes) -> None:
        """Send parts of a body begun with `start`, each as its own HTTP chunk."""
        frames = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part)
        self._connection.send(frames)

    def end(self) -> None:
        """End a body begun with `start`."""
        self._connection.send(b"0\r\n\r\n")
        self.done = True

    def reset(self) -> None:
        """Cut the connection as a crashed peer does, with RST."""
        self.done = True
        self._connection.reset()

    def close(self) -> None:
        """Close the connection quietly, with FIN, whatever was promised."""
        self.done = True
        self._connection.close()

    def gone(self) -> None:
        """Tell whoever is answering that the client has left."""
        if not self.done:
            self.done = True
            if self.on_gone is not None:
                self.on_gone()

    def _head(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        lines = [b"HTTP/1.1 %d %b" % (status, REASONS.get(status, b"Status"))]
        lines += [f"{name}: {value}".encode() for name, value in headers.items()]
        self._connection.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)


class Connection(asyncio.Protocol):
    """One client connection; hands each whole request to `handle`."""

    def __init__(self, handle: Callable[[Exchange], None]) -> None:
        self._handle = handle
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self.peer = ""
        self._target = b""
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = str(transport.get_extra_info("peername")[1])

    @override
    def data_received(self, data: bytes) -> None:
        """Feed the parser; anything that is not HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request under way that its client has left."""
        self._transport = None
        if self._exchange is not None:
            self._exchange.gone()

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._target, self._headers, self._parts = b"", {}, []

    def on_url(self, url: bytes) -> None:
        """Collect the path."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        self._headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Hand the request over."""
        method = self._parser.get_method().decode()
        exchange = Exchange(self, method, self._target.decode())
        exchange.headers, exchange.body = self._headers, b"".join(self._parts)
        self._exchange = exchange
        self._handle(exchange)

    def send(self, data: bytes) -> None:
        """Write bytes, if there is still someone to read them."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close after what was written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Drop the connection so that the kernel sends RST."""
        if self._transport is None:
            return
        raw = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
