"""A response that goes on: blocks of server-sent events as they come, to whoever takes them in time.

Our own, not sse-starlette's: that runs four tasks for a client, takes twice the memory, logs what
it sends, and leaves a client that does not read to TCP, which holds the connection for ever.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Protocol

import structlog
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from api.slow_reader import SlowReader, abort

GOODBYE_S = 2.0
"""Once the process is to stop, a client has this time to take what was sent to it."""
GONE_S = 1.0
log = structlog.get_logger()


class Followed(Protocol):
    """What the blocks come from."""

    @property
    def job_id(self) -> str:
        """Whose story it tells."""
        ...

    def hear(self, number: int) -> None:
        """Hear of the newest event that there is."""
        ...

    def hang_up(self) -> None:
        """Hear that the client is gone."""
        ...


class EventResponse(Response):
    """Sends blocks until there are no more or the client is gone, which the follower is told.

    One task sends, a second one listens for the client's leaving, and nothing is cancelled.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        follower: Followed,
        blocks: AsyncGenerator[bytes, None],
        *,
        send_timeout_s: float,
        headers: Mapping[str, str],
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no", **headers})
        self.follower = follower
        self.slow = False
        self.on_end: Callable[[], None] = lambda: None
        self._blocks = blocks
        self._patience_s = send_timeout_s
        self._sending: asyncio.Timeout | None = None

    @override
    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the client."""
        leaving = asyncio.create_task(self._listen(receive), name="event-client")
        try:
            async with aclosing(self._blocks):
                await self._send_all(send)
        except SlowReader:
            self.slow = True
            log.info("events.slow_reader")
            if abort(receive):
                with suppress(TimeoutError):
                    await asyncio.wait_for(leaving, GONE_S)
        finally:
            leaving.cancel()
            self.on_end()

    def hurry(self) -> None:
        """Wait for a slow client no longer than it takes to stop the process in order."""
        self._patience_s = min(self._patience_s, GOODBYE_S)
        if self._sending is not None:
            soon = asyncio.get_running_loop().time() + self._patience_s
            self._sending.reschedule(min(soon, self._sending.when() or soon))

    async def _send_all(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await self._send(send, start)
        async for block in self._blocks:
            await self._send(send, {"type": "http.response.body", "body": block, "more_body": True})
            del block
        await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, message: Message) -> None:
        try:
            async with asyncio.timeout(self._patience_s) as self._sending:
                await send(message)
        except TimeoutError as error:
            raise SlowReader from error
        finally:
            self._sending = None

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.follower.hang_up()
