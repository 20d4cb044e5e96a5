"""How the lanes are doing, as this process has seen it: what routes decide by."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from time import monotonic

from shared.jobs.claims import ClaimedJob
from shared.routing.load import Load
from shared.routing.model import Route, Strategy, Target
from workers.places import kept_of

WEIGHT = 0.1
"""Of the last call in a decayed mean."""
MOST_LANES = 10_000
BLIND = (Strategy.PRIORITY, Strategy.WEIGHTED, Strategy.ROUND_ROBIN, Strategy.COST)
"""They ask only who is out of room."""


@dataclass(slots=True)
class _Lane:
    under_way: int = 0
    entering: int = 0
    first_token_ms: float | None = None
    total_ms: float | None = None
    errors: float = 0.0
    limited_until: float = 0.0


class LaneLoads:
    """One per worker process."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._calls = 0
        self._turns: dict[str, count[int]] = {}
        self._judged: dict[tuple[str, int], bool | None] = {}

    def judged(self, job: ClaimedJob) -> dict[tuple[str, int], bool | None]:
        """Return what classifiers have said of jobs, with room for one more: a wait costs no second call."""
        if len(self._judged) >= MOST_LANES and (job.id, job.generation) not in self._judged:
            self._judged.clear()
        return self._judged

    def turn(self, route: Route) -> int:
        """Count the calls of a route."""
        if route.model not in self._turns:
            if len(self._turns) >= MOST_LANES:
                self._turns.clear()
            self._turns[route.model] = count()
        return next(self._turns[route.model])

    def of(self, route: Route, open_: Collection[str]) -> Mapping[str, Load]:
        """Return the loads of a route's lanes; `open_` are the deployments that are left alone."""
        if len(route.targets) == 1:
            return {}
        now = monotonic()
        found = {}
        for target in route.targets:
            lane = self._lanes.get(target.lane_key)
            is_open = target.deployment.name in open_
            limited = lane is not None and lane.limited_until > now
            if is_open or limited or (lane is not None and route.strategy not in BLIND):
                found[target.lane_key] = _load(lane or _Lane(), limited=limited, is_open=is_open)
        return found

    def began(self, target: Target) -> None:
        """Note a call that was admitted."""
        self._lane(target.lane_key).under_way += 1
        self._calls += 1

    @contextmanager
    def entering(self, target: Target) -> Iterator[None]:
        """Count a call that asks to be admitted: of many that ask at once each sees the others."""
        lane = self._lane(target.lane_key)
        lane.entering += 1
        self._calls += 1
        try:
            yield
        finally:
            lane.entering -= 1
            self._calls -= 1

    def crowds_out(self, target: Target, *, most: int) -> bool:
        """Tell whether one more call of a lane would leave too few of `most` places to the others."""
        kept, lane = kept_of(most), self._lane(target.lane_key)
        return self._calls >= most - kept and 0 < kept <= lane.under_way + lane.entering

    def ended(
        self, target: Target, *, well: bool | None, first_token_ms: int | None, total_ms: int | None
    ) -> None:
        """Note how a call ended; `well` None: it says nothing of its deployment."""
        lane = self._lane(target.lane_key)
        lane.under_way -= 1
        self._calls -= 1
        if well is None:
            return
        lane.errors += WEIGHT * ((not well) - lane.errors)
        if well:
            lane.first_token_ms = _decayed(lane.first_token_ms, first_token_ms)
            lane.total_ms = _decayed(lane.total_ms, total_ms)

    def limited(self, target: Target, *, seconds: float) -> None:
        """Note that a key has no room for so long."""
        lane = self._lane(target.lane_key)
        lane.limited_until = max(lane.limited_until, monotonic() + seconds)

    def _lane(self, key: str) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= MOST_LANES:
                self._forget(
                    key
                    for key, its in list(self._lanes.items())
                    if not (its.under_way or its.entering)
                )
            lane = self._lanes[key] = _Lane()
        return lane

    def _forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            del self._lanes[key]


def _load(lane: _Lane, *, limited: bool, is_open: bool) -> Load:
    return Load(
        under_way=lane.under_way,
        first_token_ms=lane.first_token_ms,
        total_ms=lane.total_ms,
        errors=lane.errors,
        limited=limited,
        open=is_open,
    )


def _decayed(mean: float | None, last: int | None) -> float | None:
    if last is None:
        return mean
    return float(last) if mean is None else mean + WEIGHT * (last - mean)
