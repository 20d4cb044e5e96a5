"""A client of a job's events that costs next to nothing: it waits for the name of one of them."""

import asyncio
from asyncio import Transport
from time import time
from typing import cast

from typing_extensions import override


class Listener(asyncio.Protocol):
    """One connection that follows one job; `gone` once the server has ended it."""

    def __init__(self, port: int, key: str, job_id: str) -> None:
        self.gone = False
        self._port = port
        self._request = (
            f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            f"authorization: Bearer {key}\r\naccept: text/event-stream\r\n\r\n"
        ).encode()
        self._transport: Transport | None = None
        self._heard = b""
        self._wanted = b""
        self._there: asyncio.Future[float] | None = None

    async def until(self, event: str, *, within_s: float) -> float:
        """Connect, and return when the event of this name came.

        Raises:
            TimeoutError: it did not, in time.
            ConnectionError: the server said no, or ended the stream before.
        """
        loop = asyncio.get_running_loop()
        self._there = loop.create_future()
        self._wanted = f"event: {event}\n".encode()
        await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        async with asyncio.timeout(within_s):
            return await self._there

    def close(self) -> None:
        """Go away."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("Transport", transport)
        self._transport.write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        if self._there is None or self._there.done():
            return
        self._heard += data
        if self._wanted in self._heard:
            self._there.set_result(time())
            self._heard = b""

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self._there is not None and not self._there.done():
            said = self._heard[-300:]
            self._there.set_exception(exc or ConnectionError(f"it ended before: {said!r}"))
