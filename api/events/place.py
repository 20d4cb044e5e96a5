"""Where a client stands in the story of its job: what it has been told, and what may follow; pure.

A story is the job's events, and behind each `job.started` the deltas of the claim that began with
it. A place is named `<last 8 characters of the job id>.<event number>.<delta number>`, 0 for the
event itself.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.database import Row
from shared.events.deltas import Delta
from shared.events.event import EventType, is_final_event
from shared.jobs.transitions import JobState

_NAME = re.compile(r"([a-z0-9]{8})\.([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})", re.ASCII)


class ResetReason(StrEnum):
    """Why a client cannot simply be told what follows."""

    UNKNOWN = "unknown_id"
    TRIMMED = "trimmed"
    RESTARTED = "restarted"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Place:
    """`delta` is 0 at the event of this number, else so many deltas behind it."""

    number: int
    delta: int = 0

    def name(self, job_id: str) -> str:
        """Return the id of the server-sent event that leads here."""
        return f"{job_id[-8:]}.{self.number}.{self.delta}"


def parse_place(job_id: str, name: str) -> Place | None:
    """Read what `Place.name` wrote for this very job, None from anything else."""
    found = _NAME.fullmatch(name)
    if found is None or found[1] != job_id[-8:]:
        return None
    return Place(int(found[2]), int(found[3]))


def is_end(place: Place, job: Row) -> bool:
    """Tell whether whoever stands there has been told the job's end."""
    return place == Place(job["version"]) and has_ended(job)


def has_ended(job: Row) -> bool:
    """Tell whether the job is in a final state."""
    return is_final_event(f"job.{job['state']}")


def obstacle(place: Place, job: Row, rows: Sequence[Row]) -> ResetReason | None:
    """Return why a client that stands there cannot go on from there, None if it can.

    `rows` are the job's events from `place.number` on.
    """
    runs = job["state"] == JobState.RUNNING
    if place.number >= job["version"]:
        stands = place.number == job["version"] and (place.delta == 0 or runs)
        return None if stands else ResetReason.UNKNOWN
    if not rows or rows[0]["number"] != place.number:
        return ResetReason.TRIMMED
    if is_final_event(rows[0]["type"]):
        return ResetReason.RESTARTED
    if place.delta and rows[0]["type"] != EventType.STARTED:
        return ResetReason.UNKNOWN
    return None


class Telling:
    """What one client has been told so far.

    `claim` says that the event it stands at began a claim. `whole` says that the last delta told
    was the proper end of a call. While `sure` is not set nobody has looked whether the log still
    has what the client was told by another process. A `muted` claim has lost its beginning: its
    other deltas are of no use.
    """

    __slots__ = ("claim", "muted", "place", "sure", "whole")

    def __init__(self) -> None:
        self.move(Place(0), claim=False)

    def move(self, place: Place, *, claim: bool) -> None:
        """Stand at a place from where on all is told."""
        self.place = place
        self.claim = claim
        self.sure = place.delta == 0
        self.whole = self.muted = False

    @property
    def listens(self) -> bool:
        """Tell whether deltas may follow."""
        return self.claim and not self.muted

    @property
    def known(self) -> int:
        """Return the number of the last delta that need not be read from the log."""
        return self.place.delta if self.sure else self.place.delta - 1

    def confirm(self, logged: Sequence[Delta]) -> bool:
        """Make sure that the log, read behind `known`, has what the client was told."""
        if not self.sure:
            at = [each for each in logged if self._is_mine(each)][:1]
            self.sure = bool(at) and at[0].number == self.place.delta
            self.whole = self.sure and at[0].last
        return self.sure

    def follow(self, deltas: Iterable[Delta]) -> tuple[list[Delta], bool]:
        """Take those that come next, leaving out what is known; then tell whether one is missing."""
        told: list[Delta] = []
        for delta in deltas:
            if not self._is_mine(delta) or delta.number <= self.place.delta:
                continue
            if delta.number != self.place.delta + 1:
                return told, True
            self.place = Place(self.place.number, delta.number)
            self.whole = delta.last
            told.append(delta)
        return told, False

    def _is_mine(self, delta: Delta) -> bool:
        # Of an earlier claim nothing matters any more; a later one is told behind its event.
        return self.listens and delta.version == self.place.number
