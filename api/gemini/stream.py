"""Google's streams on the wire: as events or as an array, and cut short where they fail."""

import asyncio
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.gemini.chunks import ArrayChunks, EventChunks

EVENTS = b"text/event-stream"
GONE_S = 1.0


class GeminiStream:
    """The ASGI response to a call that asked for a stream."""

    def __init__(self, stream: ASGIApp, framing: EventChunks | ArrayChunks) -> None:
        """Take what streams with this framing."""
        self._stream = stream
        self._framing = framing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the answer.

        A failure in the middle is told of as an object with `error`; then the connection is closed
        without the body's end, because Google's older clients pass over such objects, and would
        take what came so far for the whole answer.
        """

        async def passed_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._headers(message["headers"])}
            over = not message.get("more_body", True)
            if not (over and self._framing.broken and (transport := _transport(receive))):
                await send(message)
                return
            await send({**message, "more_body": True})
            # What was written goes out first.
            transport.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(receive(), GONE_S)

        await self._stream(scope, receive, passed_on)

    def _headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        mine = self._framing.media_type.encode()
        return [
            (name, mine if name == b"content-type" and value.startswith(EVENTS) else value)
            for name, value in headers
        ]


def _transport(receive: Receive) -> Any:
    # ASGI has no word for a broken answer: this takes what uvicorn's `receive` belongs to.
    return getattr(getattr(receive, "__self__", None), "transport", None)
