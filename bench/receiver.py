"""The receiver of webhooks that everything is measured against: it takes note of the time and says yes."""

import asyncio
import re
from asyncio import Transport
from time import time
from typing import cast

from typing_extensions import override

JOB = re.compile(rb'"data":\{"id":"(job_\w+)"')
YES = b"HTTP/1.1 204 No Content\r\n\r\n"
BACKLOG = 8192


class Receiver:
    """`arrived` has the time of each job's first webhook; `times` those of all."""

    def __init__(self) -> None:
        self.port = 0
        self.arrived: dict[str, float] = {}
        self.times: list[float] = []
        self._server: asyncio.Server | None = None
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._wanted = 0
        self._enough = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, backlog=BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def arrival(self, job_id: str, *, within_s: float) -> float:
        """Return when a job's webhook came, waiting for it.

        Raises:
            TimeoutError: it did not, in time.
        """
        if job_id not in self.arrived:
            arriving = self._waiting[job_id] = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(within_s):
                await arriving
        return self.arrived[job_id]

    async def arrivals(self, count: int, *, within_s: float) -> float:
        """Return when the last of so many webhooks came, waiting for it.

        Raises:
            TimeoutError: they did not, in time.
        """
        self._wanted = count
        if len(self.times) < count:
            async with asyncio.timeout(within_s):
                await self._enough.wait()
        return self.times[count - 1]

    def take(self, body: bytes) -> None:
        """Take note of a webhook."""
        now = time()
        self.times.append(now)
        found = JOB.search(body)
        job_id = found[1].decode() if found else ""
        self.arrived.setdefault(job_id, now)
        arriving = self._waiting.pop(job_id, None)
        if arriving is not None and not arriving.done():
            arriving.set_result(now)
        if len(self.times) == self._wanted:
            self._enough.set()


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._transport: Transport | None = None
        self._buffer = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:end].lower()
            length = int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0] or 0)
            whole = end + 4 + length
            if len(buffer) < whole:
                break
            self._receiver.take(buffer[end + 4 : whole])
            buffer = buffer[whole:]
            if self._transport is not None:
                self._transport.write(YES)
        self._buffer = buffer
