"""Waiting for a job's news, for as long as its caller is there and its time lasts."""

import asyncio
import contextlib
from collections.abc import Iterator

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from api.direct.call import Call
from api.direct.disconnect import OnDisconnect
from api.job_replies import is_final, load
from api.waiting import RECHECK_S, Watch, pause
from shared.database import is_unavailable
from shared.errors import Unavailable
from shared.jobs.reader import FullJob

GRACE_S = 5.0
"""When the process is told to stop, calls have so long to end by themselves."""
CALM_S = 0.5
COME_BACK_S = 5.0
log = structlog.get_logger()


class NoAnswerYet(Unavailable):
    """The caller's time is over, or ours."""


class Vigil:
    """One caller's wait: what is heard of the job, whether the caller is there, how long to stay."""

    def __init__(self, call: Call, watch: Watch) -> None:
        self.watch = watch
        self._call = call
        self._clock = asyncio.get_running_loop().time
        self._deadline = call.deadline
        self._leaving = False
        self._gone = False
        # A job that was there before may have ended long ago, and will not tell of it again.
        self._look_at = 0.0 if call.replayed else self._clock() + RECHECK_S
        self._calm_until = 0.0

    @property
    def due(self) -> bool:
        """Tell whether to look at the job: its end was heard of, or may have been missed."""
        return self._clock() >= self._next_look()

    def missed(self) -> bool:
        """Tell, once, that something may not have been heard."""
        stale, self.watch.stale = self.watch.stale, False
        return stale

    async def look(self) -> FullJob | None:
        """Return the job if it has ended.

        Raises:
            NotFound, Gone: it is no longer there.
        """
        if self.watch.answer is not None:
            return self._call.completed(self.watch.number, *self.watch.answer)
        ended, self.watch.ended = self.watch.ended, False
        self._look_at = self._clock() + RECHECK_S
        try:
            full = await load(self._call.request, self._call.tenant_id, self._call.job_id)
        except Exception as error:
            if not is_unavailable(error):
                raise
            # The job may end all the same while the database is away: its caller need not suffer.
            log.warning("call.store_unavailable", error=str(error)[:500])
            self.watch.ended = self.watch.ended or ended
            self._calm_until = self._clock() + CALM_S
            return None
        return full if is_final(full) else None

    async def news(self, seconds: float = RECHECK_S) -> None:
        """Wait until something is heard or is to be done, at most so long.

        Raises:
            ClientDisconnect: the caller has gone.
            NoAnswerYet: its time is over.
        """
        self._check()
        now = self._clock()
        until = min(now + seconds, self._deadline, self._next_look())
        await pause(self.watch.changed, max(0.0, until - now))
        self._check()

    @contextlib.contextmanager
    def attended(self, receive: Receive) -> Iterator[None]:
        """Notice while this lasts when the caller goes; the request's body has to be read before."""
        task = asyncio.create_task(self._listen(receive))
        try:
            yield
        finally:
            task.cancel()

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self.watch.changed.set()

    def _next_look(self) -> float:
        return self._calm_until if self.watch.ended else max(self._look_at, self._calm_until)

    def _check(self) -> None:
        if self._gone:
            raise ClientDisconnect
        now = self._clock()
        if self.watch.leaving and not self._leaving:
            self._leaving = True
            self._deadline = min(self._deadline, now + GRACE_S)
        if now >= self._deadline:
            raise self._late()

    def _late(self) -> NoAnswerYet:
        if self._leaving:
            detail = "This server is being stopped. Try again: another one answers."
            return NoAnswerYet(detail, code="shutting_down", retry_after_s=1)
        seconds = self._deadline - self._call.began
        goes_on = self._call.on_disconnect is OnDisconnect.CONTINUE
        what = f"goes on: GET /v1/jobs/{self._call.job_id}" if goes_on else "is cancelled"
        detail = f"There was no answer within {seconds:g} seconds. The job {what}."
        return NoAnswerYet(detail, code="sync_timeout", retry_after_s=COME_BACK_S)


@contextlib.contextmanager
def vigil(call: Call, receive: Receive, *, deltas: bool = False) -> Iterator[Vigil]:
    """Watch a call's job and its caller."""
    with call.request.state.waiting.watch(call.job_id, deltas=deltas) as watch:
        kept = Vigil(call, watch)
        with kept.attended(receive):
            yield kept
