"""A job in this process's hands, and why it may have to be let go before its call ends."""

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic

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

    `calls` are the calls that ended; `lane` is where the last one went or wanted to go;
    `reservation` is what the limiter holds for the one under way; `answered` says that an
    answer is there and being kept; `settling` tells the limiter of the last one; `deltas` take what a stream says, over all calls of the claim.
    """

    job: ClaimedJob
    stop: Stop | None = None
    answered: bool = False
    claimed_at: float = field(default_factory=monotonic)
    lane: str | None = None
    reservation: Reservation | None = None
    deltas: JobDeltas | None = None
    settling: asyncio.Task[None] | None = None
    calls: list[AttemptEnd] = field(default_factory=list)

    async def settled(self) -> None:
        """Return once the limiter knows of the answers so far."""
        if self.settling is not None:
            await self.settling

    @property
    def time_left_s(self) -> float:
        """Return the seconds until the job's deadline, extraction and earlier calls deducted."""
        return max(0.0, self.job.time_left_ms / 1000 - (monotonic() - self.claimed_at))
