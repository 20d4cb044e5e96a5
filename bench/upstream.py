"""The upstream that everything is measured against: a chat endpoint that costs next to nothing.

`python -m bench.upstream --delay-ms 1000` prints its port and answers until it is terminated.
`GET /stats` tells what it saw; `POST /reset?delay_ms=…&pause_ms=…&spread_ms=…` begins a new count:
`delay_ms` is the time to an answer, to which chance adds up to `spread_ms`, `pause_ms` the time
between the chunks of a stream. `trouble=…` is what shall be wrong with it, see `upstream_trouble`.
"""

import argparse
import asyncio
import contextlib
import random
import re
import resource
from asyncio import Transport
from collections import deque
from dataclasses import asdict, dataclass
from time import time
from typing import cast
from urllib.parse import parse_qs

import orjson
import uvloop
from typing_extensions import override

from bench.upstream_stream import stream
from bench.upstream_trouble import REFUSALS, REFUSED, SILENT, Trouble, trouble_of

BACKLOG = 8192
STREAMS = re.compile(rb'"stream"\s*:\s*true')
OPEN_FILES = 65_536
TEXT = (
    "The invoice of Northwind Traders is dated 2026-03-14, is due within thirty days, and asks for"
    " 1,284.50 EUR including 19 % VAT. It lists four positions, of which two were delivered late."
)
ANSWER = orjson.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 230, "completion_tokens": 61, "total_tokens": 291},
    }
)


@dataclass(slots=True)
class Stats:
    """What was seen since the last reset; times are seconds since the epoch, 0 before the first."""

    delay_s: float
    pause_s: float = 0.0
    spread_s: float = 0.0
    trouble: Trouble | None = None
    calls: int = 0
    refused: int = 0
    answered: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    first_call_at: float = 0.0
    last_call_at: float = 0.0
    last_answer_at: float = 0.0


class Upstream:
    """One per process; `stats` is what its connections share."""

    def __init__(self, delay_s: float) -> None:
        self.stats = Stats(delay_s)

    def reset(
        self, delay_s: float, pause_s: float, spread_s: float, trouble: Trouble | None
    ) -> None:
        """Begin a new count."""
        self.stats = Stats(delay_s, pause_s, spread_s, trouble)


class _Connection(asyncio.Protocol):
    """Parses by hand: a head, a Content-Length, a body; answers in the order of the requests."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._transport: Transport | None = None
        self._buffer = b""
        self._timers: deque[asyncio.TimerHandle] = deque()
        self._streaming: asyncio.Task[None] | None = None
        self._silent = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for timer in self._timers:
            timer.cancel()
            self._upstream.stats.in_flight -= 1
        self._upstream.stats.in_flight -= self._silent

    @override
    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:end]
            whole = end + 4 + _content_length(head)
            if len(buffer) < whole:
                break
            body, buffer = buffer[end + 4 : whole], buffer[whole:]
            self._handle(head, body)
        self._buffer = buffer

    def _handle(self, head: bytes, body: bytes) -> None:
        if b"/chat/completions " in head[:80]:
            self._call(body)
        elif head.startswith(b"GET /stats "):
            self._reply(orjson.dumps(asdict(self._upstream.stats)))
        elif head.startswith(b"POST /reset?delay_ms="):
            asked = parse_qs(head.split(b" ", 2)[1].partition(b"?")[2])
            delay, pause, spread = (
                int(asked[name][0]) / 1000 for name in (b"delay_ms", b"pause_ms", b"spread_ms")
            )
            trouble = trouble_of(asked.get(b"trouble", [b""])[0].decode())
            self._upstream.reset(delay, pause, spread, trouble)
            self._reply(b"{}")
        else:
            self._reply(b'{"error":{"message":"no such path"}}', b"404 Not Found")

    def _call(self, body: bytes) -> None:
        stats = self._upstream.stats
        now = time()
        stats.calls += 1
        stats.first_call_at = stats.first_call_at or now
        stats.last_call_at = now
        stats.in_flight += 1
        stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
        if stats.trouble is not None and stats.trouble.strikes(now):
            self._refuse(stats, stats.trouble.status)
        elif stats.delay_s:
            loop = asyncio.get_running_loop()
            delay_s = stats.delay_s + stats.spread_s * random.random()
            self._timers.append(loop.call_later(delay_s, self._answer_next, stats, body))
        else:
            self._answer(stats, body)

    def _refuse(self, stats: Stats, status: int) -> None:
        if status == SILENT:
            self._silent += 1
            return
        stats.in_flight -= 1
        stats.refused += 1
        self._reply(REFUSED, REFUSALS[status])

    def _answer_next(self, stats: Stats, body: bytes) -> None:
        self._timers.popleft()
        self._answer(stats, body)

    def _answer(self, stats: Stats, body: bytes) -> None:
        stats.in_flight -= 1
        stats.answered += 1
        stats.last_answer_at = time()
        if self._transport is not None and STREAMS.search(body):
            usage = b'"include_usage"' in body
            self._streaming = stream(self._transport, usage=usage, pause_s=stats.pause_s)
        else:
            self._reply(ANSWER)

    def _reply(self, body: bytes, status: bytes = b"200 OK") -> None:
        if self._transport is not None:
            self._transport.write(
                b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )


def _content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    return int(lower[at + 17 :].split(b"\r\n", 1)[0])


def allow_many_files() -> None:
    """Lift the limit of open files as far as this user may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(*, delay_s: float, port: int = 0) -> None:
    """Answer on loopback until cancelled; print the port first."""
    upstream = Upstream(delay_s)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(upstream), "127.0.0.1", port, backlog=BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Run as a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=int, default=0)
    options = parser.parse_args()
    allow_many_files()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(delay_s=options.delay_ms / 1000, port=options.port))


if __name__ == "__main__":
    main()
