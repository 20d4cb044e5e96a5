"""A fake receiver of webhooks: a real HTTP server on a thread of its own, told how to misbehave.

    with Receiver() as receiver:
        receiver.script(Answer(503), Answer(delay_s=3), Answer(301, location="http://…"))
        ...  # whoever posts to receiver.url()
        await receiver.wait_for(3)
        receiver.received[0].headers["webhook-id"]

What was scripted is used up answer by answer, for a path or for all; then comes `default`.
"""

import asyncio
import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, Self

import uvloop
from typing_extensions import override

from tests.fakes.upstream_http import Connection, Exchange

PIECE = b"x" * 65536
BACKLOG = 4096
POLL_S = 0.01

Manner = Literal["whole", "endless_body", "endless_headers", "stalled_body", "close", "reset"]


@dataclass(frozen=True, slots=True)
class Answer:
    """How to answer a request, `delay_s` after it came.

    `endless_body` announces 5 GB and sends as much as is taken, `endless_headers` never comes to
    their end (one each `pause_s`), `stalled_body` sends the headers and `body`, then nothing more;
    `close` and `reset` end the connection without an answer.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0
    location: str | None = None
    manner: Manner = "whole"
    pause_s: float = 0


OK = Answer()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came; header names are lower case, `at` is of the monotonic clock."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


class Receiver:
    """Listens on 127.0.0.1 from `start` to `stop`; with `tls` it speaks https.

    `connects` counts connections, over TLS those whose handshake came to its end.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.received: list[Received] = []
        self.connects = 0
        self.at_once = 0
        self.most_at_once = 0
        self.bytes_sent = 0
        self.default = OK
        self.port = port
        self._tls = tls
        self._scripts: dict[str | None, deque[Answer]] = defaultdict(deque)
        self._loop = uvloop.new_event_loop()
        self._thread: threading.Thread | None = None
        self._server: asyncio.AbstractServer | None = None
        self._connections: set[_Counted] = set()
        self._writers: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1") -> str:
        """Return the URL of a path."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def script(self, *answers: Answer, path: str | None = None) -> None:
        """Answer the next requests so, one after the other; only those for `path`, if it is given."""
        self._scripts[path].extend(answers)

    def clear(self) -> None:
        """Forget what was received and scripted."""
        self.received = []
        self._scripts.clear()
        self.default = OK

    async def wait_for(self, count: int, *, within_s: float = 10) -> list[Received]:
        """Wait until so many requests have come; return all that have.

        Raises:
            AssertionError: they did not come in time.
        """
        deadline = monotonic() + within_s
        while len(self.received) < count:
            assert monotonic() < deadline, f"{len(self.received)} of {count} requests came"
            await asyncio.sleep(POLL_S)
        return list(self.received)

    def start(self) -> None:
        """Listen; the port is chosen at the first start and stays the same after `pause`."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.resume()

    def resume(self) -> None:
        """Listen again after `pause`."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def pause(self) -> None:
        """Refuse connections and end those that there are, until `resume`."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)

    def stop(self) -> None:
        """Stop for good."""
        self.pause()
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        door = socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG)
        self.port = door.getsockname()[1]
        self._server = await self._loop.create_server(
            lambda: _Counted(self), sock=door, ssl=self._tls, backlog=BACKLOG
        )

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.abort()
        for writer in list(self._writers):
            writer.cancel()
        await asyncio.sleep(0)

    def connected(self, connection: "_Counted") -> None:
        """Count a connection."""
        self.connects += 1
        self._connections.add(connection)

    def disconnected(self, connection: "_Counted") -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def take(self, exchange: Exchange) -> None:
        """Keep a request and answer it in its time."""
        path = exchange.path.partition("?")[0]
        self.received.append(
            Received(exchange.method, exchange.path, exchange.headers, exchange.body, monotonic())
        )
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        exchange.on_gone = self._ended
        script = self._scripts[path] or self._scripts[None]
        answer = script.popleft() if script else self.default
        if answer.delay_s:
            self._loop.call_later(answer.delay_s, self._answer, exchange, answer)
        else:
            self._answer(exchange, answer)

    def _ended(self) -> None:
        self.at_once -= 1

    def _answer(self, exchange: Exchange, answer: Answer) -> None:
        if exchange.done:
            return
        headers = {**answer.headers, **({"location": answer.location} if answer.location else {})}
        match answer.manner:
            case "whole":
                self._ended()
                exchange.reply(answer.status, headers, answer.body)
            case "close":
                self._ended()
                exchange.close()
            case "reset":
                self._ended()
                exchange.reset()
            case "stalled_body":
                exchange.promise(answer.status, headers, answer.body, len(answer.body) + 100)
            case "endless_body":
                exchange.promise(answer.status, headers, b"", 5 * 1024**3)
                self._write_on(exchange, PIECE, answer.pause_s)
            case "endless_headers":
                self._connection(exchange).send(b"HTTP/1.1 %d Status\r\n" % answer.status)
                self._write_on(exchange, b"x-more: and more\r\n", answer.pause_s)

    def _write_on(self, exchange: Exchange, piece: bytes, pause_s: float) -> None:
        writing = self._loop.create_task(self._write(exchange, piece, pause_s))
        self._writers.add(writing)
        writing.add_done_callback(self._writers.discard)

    async def _write(self, exchange: Exchange, piece: bytes, pause_s: float) -> None:
        connection = self._connection(exchange)
        while not exchange.done:
            transport = connection._transport
            # Never more in memory than the other side is about to take.
            if transport is not None and transport.get_write_buffer_size() < len(PIECE):
                connection.send(piece)
                self.bytes_sent += len(piece)
            await asyncio.sleep(pause_s)

    @staticmethod
    def _connection(exchange: Exchange) -> Connection:
        return exchange._connection


class _Counted(Connection):
    def __init__(self, receiver: Receiver) -> None:
        super().__init__(receiver.take)
        self._receiver = receiver

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._receiver.connected(self)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._receiver.disconnected(self)
