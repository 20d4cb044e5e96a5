"""An answer in pieces, in whatever dialect: follows a job from its first delta to its end.

A response of our own, not sse-starlette's: the head waits until the status is known, and one loop
sends, keeps alive and listens. The library runs four tasks for each client and a scope for each
piece: by CPU a short stream costs fifteen times as much with it, a piece of a long one 2.5 times.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass

import orjson
import structlog
from redis import RedisError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from api.direct.aside import aside, dropped_header
from api.direct.call import Call, failure_response
from api.direct.failures import StreamBroken
from api.direct.framing import Framing
from api.direct.late import explained
from api.direct.vigil import NoAnswerYet, Vigil, vigil
from api.job_replies import result_bytes
from api.log_reader import LogReader
from api.slow_reader import SlowReader, abort
from shared.database import Row
from shared.errors import PenstockError
from shared.events.deltas import MOST_READ, Delta
from shared.jobs.failures import JobFailed, failure_of
from shared.jobs.reader import FullJob
from shared.jobs.transitions import JobState

GONE_S = 1.0
HEAD = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tempo:
    """Seconds: until the head is sent at the latest, between signs of life, for a slow reader."""

    head_s: float = 10.0
    ping_s: float = 15.0
    send_s: float = 30.0


class AnswerStream:
    """The ASGI response to a call that asked for a stream."""

    def __init__(
        self,
        call: Call,
        framing: Framing,
        tempo: Tempo | None = None,
        *,
        at_once: bool = False,
        floor: int | None = None,
    ) -> None:
        """Begin; with `at_once` the head is sent before anything is known, so that failures are events.

        With `floor` the log is read from its beginning, but for claims up to that number.
        """
        self._call = call
        self._framing = framing
        self._at_once = at_once
        self._floor = floor
        self._tempo = _within(tempo or Tempo(), call.read_timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the answer; a failure before anything was sent has its own status."""
        call, outlet = self._call, _Outlet(self._call, send, self._tempo.send_s)
        try:
            if self._at_once:
                await outlet.write(b"")
            with vigil(call, receive, deltas=True) as kept:
                follower = _Follower(call, kept, self._tempo, self._framing, self._floor)
                outlet.beside = follower.beside
                async with aclosing(follower.pieces()) as pieces:
                    async for piece in pieces:
                        await outlet.write(piece)
            await outlet.write(b"", more=False)
        except (ClientDisconnect, SlowReader) as gone:
            slow = isinstance(gone, SlowReader)
            log.info("stream.left", slow=slow)
            call.abandon()
            if slow and abort(receive):
                # The server has to notice, or it takes us for one who forgot to answer.
                with suppress(TimeoutError):
                    await asyncio.wait_for(receive(), GONE_S)
        except PenstockError as failure:
            error = await explained(call, failure) if isinstance(failure, NoAnswerYet) else failure
            if not isinstance(error, JobFailed):
                call.abandon()
            if not outlet.begun:
                await failure_response(call, error)(scope, receive, send)
                return
            await outlet.write(self._framing.failed(error, scope), more=False)


class _Outlet:
    """Sends the head with the first piece, and with it what is known by then."""

    def __init__(self, call: Call, send: Send, send_s: float) -> None:
        self._call = call
        self._send = send
        self._send_s = send_s
        self.begun = False
        self.beside: Mapping[str, str] = {}

    async def write(self, piece: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._send_s):
                if not self.begun:
                    self.begun = True
                    await self._send(self._start())
                body = {"type": "http.response.body", "body": piece, "more_body": more}
                await self._send(body)
        except TimeoutError as error:
            raise SlowReader from error

    def _start(self) -> dict[str, object]:
        headers = {**HEAD, **self._call.headers(), **self.beside}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        return {"type": "http.response.start", "status": 200, "headers": raw}


class _Follower:
    """Turns what is heard of a job into pieces to send; behind all of it stands the stored result.

    `beside` holds the headers that what was heard calls for.
    """

    def __init__(
        self, call: Call, kept: Vigil, tempo: Tempo, framing: Framing, floor: int | None
    ) -> None:
        self.beside: dict[str, str] = {}
        self._call = call
        self._vigil = kept
        self._watch = kept.watch
        self._tempo = tempo
        self._log: LogReader = call.request.state.deltas
        self._framing = framing
        # The claim that is being streamed, and how far; nothing of claims that are over is told.
        self._floor = _last_claim_over(call.job) if floor is None else floor
        self._version = 0
        self._number = 0
        self._whole = False
        # A part is missing: to be looked for in the log; there is more; or it is not even there.
        self._behind = floor is not None
        self._more = False
        self._lost = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what to send, to the end.

        Raises:
            PenstockError: the job failed, or the stream cannot go on.
            ClientDisconnect: nobody is there to read it.
        """
        clock = asyncio.get_running_loop().time
        silent_until = clock() + self._tempo.head_s
        if opening := self._framing.opening():
            yield opening
        while True:
            for piece in await self._heard():
                yield piece
                silent_until = clock() + self._tempo.ping_s
            if self._more:
                continue
            if self._vigil.due and (full := await self._vigil.look()) is not None:
                yield await self._ending(full)
                return
            if clock() >= silent_until:
                if self._framing.keep_alive:
                    yield self._framing.keep_alive
                silent_until = clock() + self._tempo.ping_s
            await self._vigil.news(silent_until - clock())

    async def _heard(self) -> list[bytes]:
        heard = self._take_heard()
        pieces = self._pieces(heard)
        if self._nothing_missed():
            self._watch.stale = False
        if self._watch.stale or self._behind or self._more:
            self._watch.stale = False
            pieces += await self._caught_up(heard)
        if self._watch.number > self._version > 0 and not self._watch.ended:
            if pieces:
                # First what was said, then that it is void: the next turn comes at once.
                self._watch.changed.set()
                return pieces
            self._refuse_restart()
        return pieces

    def _nothing_missed(self) -> bool:
        # One listens before the job has begun: there is no log to read. Should it have spoken all
        # the same, the first number to be heard tells of it.
        return not (self._call.replayed or self._version or self._watch.number)

    async def _caught_up(self, heard: list[Delta]) -> list[bytes]:
        self._more = False
        try:
            page = await self._log.after(self._call.job_id, self._version, self._number)
        except RedisError as error:
            log.warning("stream.log_away", error=str(error)[:500])
            self._behind = True
            return []
        self._behind = False
        # Page by page, or one who reads slowly would make us hold a whole log for him.
        more = len(page) >= MOST_READ
        pieces = self._pieces(page if more else [*page, *heard])
        # What is missing in the log too comes with the stored result.
        self._lost, self._behind = self._lost or self._behind, False
        self._more = more and not self._lost
        return pieces

    def _take_heard(self) -> list[Delta]:
        heard = list(self._watch.deltas)
        self._watch.deltas.clear()
        return heard

    def _pieces(self, deltas: Iterable[Delta]) -> list[bytes]:
        deltas = [each for each in deltas if each.version > self._floor]
        newest = max((each.version for each in deltas), default=0)
        if newest > self._version:
            if self._version:
                self._refuse_restart()
            self._version, self._number = newest, 0
            self.beside.clear()
            self._whole = self._lost = False
        pieces = []
        for delta in deltas:
            if self._is_next(delta):
                self._whole = delta.last
                self.beside.update(dropped_header(delta.dropped))
                if piece := self._framing.encode(delta.chunks):
                    pieces.append(piece)
        return pieces

    def _is_next(self, delta: Delta) -> bool:
        known = delta.version < self._version or delta.number <= self._number
        if known or self._lost:
            return False
        if delta.number > self._number + 1:
            self._behind = True
            return False
        self._number = delta.number
        return True

    def _refuse_restart(self) -> None:
        if self._framing.begun:
            raise StreamBroken(
                "The provider's stream broke off in the middle and the job began again: what was"
                " streamed is no part of its answer."
            )

    async def _ending(self, full: FullJob) -> bytes:
        raw = await result_bytes(full, self._call.request.state.resources)
        if (failure := failure_of(full.job, raw)) is not None:
            raise failure
        pieces = self._pieces(self._take_heard())
        self.beside.update(aside(full))
        if full.job["version"] != self._version + 1:
            # Another claim than the streamed one completed it.
            self._refuse_restart()
            self._whole = False
        if not self._whole or self._framing.lacks_something:
            pieces.append(self._framing.rest(orjson.loads(raw)))
        return b"".join([*pieces, self._framing.end()])


def _within(tempo: Tempo, read_timeout_s: float | None) -> Tempo:
    # A client that gives up after less silence hears of us before.
    if read_timeout_s is None:
        return tempo
    most = read_timeout_s / 2
    return Tempo(min(tempo.head_s, most), min(tempo.ping_s, most), tempo.send_s)


def _last_claim_over(job: Row) -> int:
    """Return the number up to which the job's claims are over."""
    version = int(job["version"])
    return version - 1 if job["state"] == JobState.RUNNING else version
