"""Whose turn it is: targets wait in line, and those known to answer quickly have a line of their own."""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field

MOST_WAITING = 2000
"""Targets that may wait in one line."""
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
    running: int = 0
    waiting: set[str] = field(default_factory=set)
    _lines: dict[str, deque[str]] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Tell whether no more targets may wait."""
        return len(self.waiting) >= MOST_WAITING

    def add(self, target: str) -> None:
        """Let a target wait at the end of its line."""
        self.waiting.add(target)
        self._lines.setdefault(_line_of(target), deque()).append(target)

    def next(self) -> str | None:
        """Take the target whose turn it is; None if there is none or no room."""
        if not self.waiting or self.running >= self.turns:
            return None
        line = next(iter(self._lines))
        targets = self._lines.pop(line)
        target = targets.popleft()
        if targets:
            # Each line in its turn: a thousand hosts that one tenant names are one line.
            self._lines[line] = targets
        self.waiting.discard(target)
        self.running += 1
        return target


def _line_of(target: str) -> str:
    # The hosts of single jobs bear their tenant's name; an endpoint is a line of its own.
    return target.partition(":")[0]


@dataclass(slots=True)
class Lanes:
    """Two lanes, so that receivers that hang never hold all the places.

    A target nobody knows begins in the slow one: whoever names a new host each time gains nothing.
    """

    paces: Paces = field(default_factory=Paces)
    quick: Lane = field(default_factory=lambda: Lane(128, asyncio.Semaphore(256)))
    slow: Lane = field(default_factory=lambda: Lane(64, asyncio.Semaphore(192)))

    @property
    def has_room(self) -> bool:
        """Tell whether more targets may be named: those that answer must always get through."""
        return not self.quick.is_full

    def line_up(self, target: str) -> None:
        """Let a target wait for its turn, once; where its lane is full, it is named again later."""
        if target not in self.quick.waiting and target not in self.slow.waiting:
            lane = self.quick if self.paces.is_quick(target) else self.slow
            if not lane.is_full:
                lane.add(target)
