"""One client that follows one job: when it is sent something, and when it is let go."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from api.events.blocks import PING, batches, reconnect, with_retry
from api.waiting import Watch, pause
from shared.database import is_unavailable
from shared.errors import Gone, NotFound

RETRY_MS, RETRY_JITTER_MS = 3_000, 1_000
AWAY_S = 1.0
"""After this time the database is asked again, when it did not answer."""
log = structlog.get_logger()


class Farewell(StrEnum):
    """Why a client is asked to come back."""

    LIFE = "life_limit"
    SHUTDOWN = "shutdown"


class Watching(Protocol):
    """Where one hears of a job."""

    def watch(self, job_id: str, *, deltas: bool = False) -> AbstractContextManager[Watch]:
        """Hear of its changes, and of its deltas too."""
        ...


class Told(Protocol):
    """A story: what is still to be told of a job or a batch, in steps."""

    over: bool

    @property
    def job_id(self) -> str:
        """Whose story it is."""
        ...

    @property
    def streams(self) -> bool:
        """Tell whether there are deltas beside the events."""
        ...

    def pending(self, watch: Watch) -> bool:
        """Tell whether there is a step to take."""
        ...

    async def step(self, watch: Watch) -> list[bytes]:
        """Take the next step; return the blocks that are to be sent."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How long it may be quiet, and how long a connection lives, in seconds."""

    ping_s: float
    life_s: float


class Follower:
    """Tells one client a story for as long as both are there."""

    __slots__ = (
        "_gone",
        "_opened",
        "_pace",
        "_quiet_until",
        "_retry_told",
        "_story",
        "_until",
        "_watch",
    )

    def __init__(self, story: Told, pace: Pace) -> None:
        self._story = story
        self._pace = pace
        self._watch = Watch()
        self._gone = self._opened = self._retry_told = False
        self._quiet_until = self._until = 0.0

    @property
    def job_id(self) -> str:
        """Whose story it follows."""
        return self._story.job_id

    def hear(self, number: int) -> None:
        """Hear of the newest event that there is; a notice of it may have been lost."""
        if number > self._watch.number:
            self._watch.tell(number, ended=False)

    def hang_up(self) -> None:
        """Hear that the client is gone."""
        self._gone = True
        self._watch.changed.set()

    async def blocks(self, waiting: Watching) -> AsyncGenerator[bytes, None]:
        """Yield what is to be sent, until the client is to be let go."""
        now = asyncio.get_running_loop().time
        self._until = now() + self._pace.life_s
        with waiting.watch(self.job_id, deltas=self._story.streams) as self._watch:
            while (due := await self._next()) is not None:
                for batch in batches(due):
                    yield batch
                # Most of the time nothing is to be sent, and thousands wait here.
                del due, batch
                self._quiet_until = now() + self._pace.ping_s

    async def _next(self) -> list[bytes] | None:
        watch, now = self._watch, asyncio.get_running_loop().time
        while not (self._gone or self._story.over):
            if watch.leaving or now() >= self._until:
                self._gone = True
                reason = Farewell.SHUTDOWN if watch.leaving else Farewell.LIFE
                return self._first([reconnect(self.job_id, reason)])
            if self._story.pending(watch):
                if told := await self._step():
                    return self._first(told)
            elif not self._opened or now() >= self._quiet_until:
                self._opened = True
                return [PING]
            else:
                await pause(watch.changed, min(self._quiet_until, self._until) - now())
        return None

    async def _step(self) -> list[bytes]:
        try:
            return await self._story.step(self._watch)
        except (NotFound, Gone):
            # Whoever comes back is told so.
            self._gone = True
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.debug("events.database_unavailable", error=str(error)[:200])
            await asyncio.sleep(AWAY_S)
        return []

    def _first(self, blocks: list[bytes]) -> list[bytes]:
        self._opened = True
        if not self._retry_told:
            self._retry_told = True
            # Or all that one process served would come back in the same moment.
            jitter_ms = secrets.randbelow(RETRY_JITTER_MS)
            blocks[0] = with_retry(blocks[0], RETRY_MS + jitter_ms)
        return blocks
