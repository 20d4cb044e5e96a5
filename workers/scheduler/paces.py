"""How many a second, lately: a mean that forgets. Pure."""

from collections.abc import Iterable, Mapping
from math import exp

FIRST_S = 0.25
NEGLIGIBLE = 1e-3


class Pace:
    """A rate over about the last `memory_s` seconds; times are in seconds of a clock that only rises."""

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._count = 0.0
        self._over_s = 0.0
        self._at: float | None = None

    def add(self, count: int, at: float) -> None:
        """Note that so many came by now."""
        self._forget(at)
        self._count += count

    def per_s(self, at: float) -> float:
        """Return how many a second came."""
        self._forget(at)
        return self._count / max(self._over_s, FIRST_S)

    def _forget(self, at: float) -> None:
        passed = 0.0 if self._at is None else max(0.0, at - self._at)
        kept = exp(-passed / self._memory_s)
        self._at = at
        self._count *= kept
        # The time is forgotten like what came in it: so the mean is right from the beginning.
        self._over_s = self._over_s * kept + self._memory_s * (1 - kept)


class Paces:
    """The paces of many lanes."""

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._lanes: dict[str, Pace] = {}

    def add(self, counts: Mapping[str, int], at: float) -> None:
        """Note what ended, by lane."""
        for lane, count in counts.items():
            pace = self._lanes.setdefault(lane, Pace(self._memory_s))
            pace.add(count, at)

    def per_s(self, lane: str, at: float) -> float:
        """Return how many a second end in a lane."""
        pace = self._lanes.get(lane)
        return pace.per_s(at) if pace else 0.0

    def all(self, at: float) -> dict[str, float]:
        """Return the paces of all lanes; those that stand still are forgotten."""
        paces = {lane: pace.per_s(at) for lane, pace in self._lanes.items()}
        for lane in _still(paces.items()):
            del self._lanes[lane], paces[lane]
        return paces


def _still(paces: Iterable[tuple[str, float]]) -> list[str]:
    return [lane for lane, per_s in paces if per_s < NEGLIGIBLE]
