"""A job in this process's hands, and why it may have to be let go before its call ends."""

from dataclasses import dataclass, field
from enum import StrEnum

from shared.jobs.claims import AttemptEnd, ClaimedJob
from shared.limiter.limiter import Reservation


class Stop(StrEnum):
    """Why a call is closed from our side."""

    CANCELLED = "cancelled"
    DRAIN = "drain"
    LOST = "lost"


@dataclass(slots=True)
class Hold:
    """What is known of a claimed job while it is worked on.

    `calls` are the calls that ended; `lane` is where the last one went or wanted to go;
    `reservation` is what the limiter holds for the one under way.
    """

    job: ClaimedJob
    stop: Stop | None = None
    lane: str | None = None
    reservation: Reservation | None = None
    calls: list[AttemptEnd] = field(default_factory=list)
