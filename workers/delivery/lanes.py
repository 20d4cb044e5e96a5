"""Whose turn it is: targets wait in line, and those known to answer quickly have a line of their own."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

QUICK_S = 2.0
REMEMBERED = 10_000
NEWEST_SHARE = 0.3


class Paces:
    """How long targets take to answer, on average, of those that were sent to last."""

    def __init__(self) -> None:
        self._latency_s: OrderedDict[str, float] = OrderedDict()

    def latency_s(self, target: str) -> float | None:
        """Return how long a target takes, None if nothing is known of it."""
        return self._latency_s.get(target)

    def is_quick(self, target: str) -> bool:
        """Tell whether a target is known to answer quickly."""
        latency_s = self.latency_s(target)
        return latency_s is not None and latency_s < QUICK_S

    def note(self, target: str, seconds: float) -> None:
        """Remember how long a request to a target took."""
        before = self._latency_s.pop(target, seconds)
        self._latency_s[target] = before + NEWEST_SHARE * (seconds - before)
        if len(self._latency_s) > REMEMBERED:
            self._latency_s.popitem(last=False)


@dataclass(slots=True)
class Lane:
    """A line of targets, how many of them have their turn at once, and places for requests."""

    turns: int
    places: asyncio.Semaphore
    waiting: dict[str, None] = field(default_factory=dict)
    running: int = 0

    def next(self) -> str | None:
        """Take the target whose turn it is; None if there is none or no room."""
        if not self.waiting or self.running >= self.turns:
            return None
        target = next(iter(self.waiting))
        del self.waiting[target]
        self.running += 1
        return target


@dataclass(slots=True)
class Lanes:
    """Two lanes, so that receivers that hang never hold all the places.

    A target nobody knows begins in the slow one: whoever names a new host each time gains nothing.
    """

    paces: Paces = field(default_factory=Paces)
    quick: Lane = field(default_factory=lambda: Lane(128, asyncio.Semaphore(256)))
    slow: Lane = field(default_factory=lambda: Lane(64, asyncio.Semaphore(192)))

    @property
    def waiting(self) -> int:
        """Count the targets whose turn is to come."""
        return len(self.quick.waiting) + len(self.slow.waiting)

    def line_up(self, target: str) -> None:
        """Let a target wait for its turn, once."""
        if target not in self.quick.waiting and target not in self.slow.waiting:
            lane = self.quick if self.paces.is_quick(target) else self.slow
            lane.waiting[target] = None
