"""A TCP proxy before Redis that can lose replies, refuse connections, or answer in its place."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

CHUNK = 1 << 16


class Proxy:
    """Forwards, until told otherwise.

    `down` closes every connection; `lose_replies` lets scripts run and drops what they answer;
    `answer` is what scripts get without running; `silent` keeps them waiting.
    """

    def __init__(self, redis_url: str) -> None:
        self._upstream = urlsplit(redis_url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._clients: list[Redis] = []
        self.down = False
        self.lose_replies = False
        self.silent = False
        self.answer: bytes | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for client in self._clients:
            await client.aclose()
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def client(self) -> Redis:
        """Return a client that goes through the proxy and does not retry by itself."""
        assert self._server
        port = self._server.sockets[0].getsockname()[1]
        database = self._upstream.path if self._upstream.scheme == "redis" else ""
        client: Redis = Redis.from_url(
            f"redis://127.0.0.1:{port}{database}", retry=Retry(NoBackoff(), 0)
        )
        self._clients.append(client)
        return client

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            if not self.down:
                await self._forward(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await self._connect()
        asked = asyncio.Event()
        back = asyncio.create_task(self._bring_back(up_reader, writer, asked))
        try:
            while data := await reader.read(CHUNK):
                if self.down:
                    return
                is_script = b"EVALSHA" in data
                if is_script:
                    asked.set()
                if is_script and self.silent:
                    continue
                if is_script and self.answer:
                    writer.write(self.answer)
                else:
                    up_writer.write(data)
        finally:
            back.cancel()
            up_writer.close()

    async def _bring_back(
        self, up_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        while data := await up_reader.read(CHUNK):
            if self.lose_replies and asked.is_set():
                break
            writer.write(data)
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._upstream.scheme == "unix":
            return await asyncio.open_unix_connection(self._upstream.path)
        return await asyncio.open_connection(self._upstream.hostname, self._upstream.port or 6379)
