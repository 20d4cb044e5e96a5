"""The line to one provider with one key: a request out, its answer back, and failures as those of the tree."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Protocol

from shared.clock import now_ms
from shared.inference.response import InferenceChunk
from shared.providers.errors import ProviderError
from shared.providers.failures import CALL_ERRORS, from_exception, from_status, malformed
from shared.providers.transport import Call, Http, OpenReply, Reply, is_success

HIDDEN = b"[key]"
LEAST_SECRET = 8
"""What is shorter is no secret but a word that a local server wants, and may stand anywhere."""


class Reader(Protocol):
    """Turns the bytes of one stream into events of its dialect; `done` once its last one was read."""

    done: bool

    def feed(self, piece: bytes) -> Iterator[InferenceChunk]:
        """Yield the events that the next bytes complete.

        Raises:
            ProviderError: one is none, or is an error.
        """
        ...

    def close(self) -> None:
        """Make sure that the stream came to its proper end.

        Raises:
            ProviderError: it did not.
        """
        ...


class Line:
    """What every adapter does with bytes; what they mean is the adapter's."""

    def __init__(self, name: str, *, http: Http, api_key: str | None) -> None:
        self.name = name
        self._http = http
        key = api_key or ""
        self._secret = key.encode() if len(key) >= LEAST_SECRET else b""

    async def post(self, call: Call, content: bytes) -> Reply:
        """Send a request and return its answer, a success.

        Raises:
            ProviderError: it did not arrive, was refused, or was not answered.
        """
        try:
            reply = await self._http.post(call, content)
        except CALL_ERRORS as error:
            raise from_exception(error, provider=self.name) from error
        reply = Reply(reply.status, reply.headers, self._hide(reply.body))
        if not is_success(reply.status):
            raise self._refused(reply)
        return reply

    async def stream(
        self,
        call: Call,
        content: bytes,
        *,
        reader: Callable[[Mapping[str, str]], Reader],
        check: Callable[[bytes], object],
    ) -> AsyncGenerator[InferenceChunk, None]:
        """Yield what a reader makes of a streamed answer; it is made with the answer's headers.

        `check` reads an answer that came whole against our wish: it may be an error.

        Raises:
            ProviderError: as for a whole answer, and also if the stream breaks off.
        """
        try:
            reply = await self._http.open(call, content)
        except CALL_ERRORS as error:
            raise from_exception(error, provider=self.name) from error
        try:
            await self._check_opening(reply, check)
            reading = reader(reply.headers)
            while not reading.done and (piece := await reply.chunk()) is not None:
                for chunk in reading.feed(self._hide(piece)):
                    yield chunk
            reading.close()
            await reply.drain()
        except CALL_ERRORS as error:
            raise from_exception(error, provider=self.name) from error
        finally:
            await reply.aclose()

    async def _check_opening(self, reply: OpenReply, check: Callable[[bytes], object]) -> None:
        if not is_success(reply.status):
            body = self._hide(await reply.read())
            raise self._refused(Reply(reply.status, reply.headers, body))
        if "json" in reply.headers.get("content-type", ""):
            body = self._hide(await reply.read())
            check(body)
            raise malformed("did not stream", body, provider=self.name)

    def _refused(self, reply: Reply) -> ProviderError:
        return from_status(
            reply.status, reply.headers, reply.body, provider=self.name, now_ms=now_ms()
        )

    def _hide(self, raw: bytes) -> bytes:
        # Vendors like to quote the key that they refuse, and bodies reach clients.
        return raw.replace(self._secret, HIDDEN) if self._secret else raw
