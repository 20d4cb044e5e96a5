"""A job in this process's hands, and why it may have to be let go before its call ends."""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Any

from shared.jobs.claims import AttemptEnd, ClaimedJob
from shared.limiter.limiter import Reservation
from workers.attempt.deltas import JobDeltas


class Stop(StrEnum):
    """Why a call is closed from our side."""

    CANCELLED = "cancelled"
    DRAIN = "drain"
    LOST = "lost"


@dataclass(slots=True)
class Hold:
    """What is known of a claimed job while it is worked on.

    `calls` are the calls that ended, `written` the numbers of those that are written, or are being
    written by somebody; `lane` is where the last one went or wanted to go; `reservations` are what
    the limiter holds for those under way, by their numbers; `answered` says that an answer is there
    and being kept, `over` that its end is written; `settling` tell the limiter of answers; `deltas`
    take what a stream says, over all calls of the claim. `failures` is how many calls failed in this
    claim, of calls at once the most of one, and `counted` how many of these are written; `told` that
    something of an answer was said to a client already.
    """

    job: ClaimedJob
    stop: Stop | None = None
    answered: bool = False
    over: bool = False
    claimed_at: float = field(default_factory=monotonic)
    lane: str | None = None
    reservations: dict[int, Reservation] = field(default_factory=dict)
    deltas: JobDeltas | None = None
    settling: list[asyncio.Future[Any]] = field(default_factory=list)
    calls: list[AttemptEnd] = field(default_factory=list)
    written: set[int] = field(default_factory=set)
    numbered: int = 0
    failures: int = 0
    counted: int = 0
    told: bool = False

    def next_number(self) -> int:
        """Return the number of the next call of this claim: several may be under way at once."""
        self.numbered += 1
        return self.numbered

    @property
    def unwritten(self) -> list[AttemptEnd]:
        """Return the calls that ended and are still to be written."""
        return [call for call in self.calls if call.call not in self.written]

    def ended(self, number: int) -> list[AttemptEnd]:
        """Return how the call with this number ended, as a list; none if it did not."""
        return [call for call in self.calls if call.call == number]

    async def settled(self) -> None:
        """Return once the limiter knows of the answers so far."""
        while self.settling:
            task = self.settling[-1]
            if not task.done():
                # Whoever is cancelled while it waits here must not take the task along.
                await asyncio.wait([task])
            if task in self.settling:
                self.settling.remove(task)
            task.result()

    @property
    def time_left_s(self) -> float:
        """Return the seconds until the job's deadline, extraction and earlier calls deducted."""
        return max(0.0, self.job.time_left_ms / 1000 - (monotonic() - self.claimed_at))
