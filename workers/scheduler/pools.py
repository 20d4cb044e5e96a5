"""What a pass of the dispatcher may still give out: the room of each lane, used up job by job. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.jobs.transitions import Priority
from shared.limiter.rooms import OPEN, PAUSED, PROBE_DUE, Room
from workers.places import left_to_others
from workers.scheduler.shares import INTERACTIVE, Waiting


@dataclass(slots=True)
class Level:
    """A bucket: what is left in it."""

    unit: str
    left: int
    capacity: int

    def needs(self, tokens: int) -> int:
        """Return what a job takes of it, never more than it can hold."""
        return min(1 if self.unit == "requests" else tokens, self.capacity)

    def spare(self, need: int, *, share: float) -> bool:
        """Tell whether a job fits that leaves a share to what is more urgent.

        One that needs nearly all of a bucket leaves no reserve in it.
        """
        return self.left - min(int(self.capacity * share), self.capacity - need) >= need


@dataclass(frozen=True, slots=True)
class Coming:
    """Jobs that were given out and are not yet seen by the limiter, and what they are taken to need."""

    jobs: int
    tokens: int


NOTHING = Coming(0, 0)


def spread(
    around: Mapping[str, Sequence[str]], coming: Mapping[str, Coming], rooms: Mapping[str, Room]
) -> dict[str, Coming]:
    """Say where what is coming in each lane will go: to the first target that has room, as in a worker."""
    pending: dict[str, Coming] = {}
    for lane, ways in around.items():
        known = [rooms[key] for key in ways if key in rooms]
        jobs, tokens = coming[lane].jobs, coming[lane].tokens
        for room in known:
            before = pending.get(room.lane.key, NOTHING)
            here = jobs if room is known[-1] else min(jobs, max(0, room.free - before.jobs))
            its = tokens * here // jobs if jobs else 0
            pending[room.lane.key] = Coming(before.jobs + here, before.tokens + its)
            jobs, tokens = jobs - here, tokens - its
    return pending


def round_breakers(
    rooms: Mapping[str, Room], shut_s: Mapping[str, float], deployments: Mapping[str, str]
) -> dict[str, Room]:
    """Take the room of deployments that are left alone away: one place where a probe is due.

    `shut_s` are those whose breaker is not closed, with the seconds until a probe may go;
    `deployments` name the deployment of each lane.
    """
    found, probed = {}, set[str]()
    for key, room in rooms.items():
        name = deployments[key]
        if name in shut_s:
            due = shut_s[name] <= 0 and name not in probed and room.free > 0
            probed |= {name} if due else set()
            room = replace(room, state=PROBE_DUE if due else PAUSED)  # noqa: PLW2901
        found[key] = room
    return found


class Pool:
    """The room of one target; `reserve` is the share that what is less urgent leaves to others.

    `ahead` jobs may be given out beyond the free places: so many will leave theirs by the time the
    next ones could come.
    """

    def __init__(self, room: Room, *, reserve: float, ahead: int, pending: Coming) -> None:
        opened = room.state == OPEN
        self._slots = room.free - pending.jobs + (ahead if opened else 0)
        self._limit = room.limit if opened else 0
        self._reserve = reserve
        self._levels = [
            Level(each.unit, left, each.capacity)
            for each, left in zip(room.lane.buckets, room.levels, strict=True)
        ]
        for level in self._levels:
            level.left -= pending.jobs if level.unit == "requests" else pending.tokens
        self._closed_from = Priority.BULK.rank + 1

    def slots(self, rank: int) -> int:
        """Return how many more calls of a rank it could take, whatever they need."""
        if rank >= self._closed_from:
            return 0
        share = left_to_others(self._reserve, rank)
        spares = [
            level.left - int(level.capacity * share)
            for level in self._levels
            if level.unit == "requests"
        ]
        return max(0, min([self._slots - int(self._limit * share), *spares]))

    def take(self, job: Waiting) -> bool:
        """Use up what a job needs; False when there is not enough."""
        share = left_to_others(self._reserve, job.priority)
        if not self.slots(job.priority):
            return False
        needs = [level.needs(job.tokens) for level in self._levels]
        pairs = list(zip(self._levels, needs, strict=True))
        if not all(level.spare(need, share=share) for level, need in pairs):
            return False
        self._slots -= 1
        for level, need in pairs:
            level.left -= need
        return True

    def close(self, rank: int) -> None:
        """Give out no more that is not more urgent: what is left is saved up for a job that needs it."""
        self._closed_from = min(self._closed_from, rank)


class Pools:
    """The pools of all lanes, and where a job may go."""

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self._pools = pools

    def slots(self, keys: Sequence[str]) -> int:
        """Return how many more calls these lanes could take together, however urgent."""
        return sum(self._pools[key].slots(INTERACTIVE) for key in keys if key in self._pools)

    def take(self, job: Waiting, keys: Sequence[str]) -> bool:
        """Use up the room of the first lane that has enough; False when none has."""
        known = [self._pools[key] for key in keys if key in self._pools]
        if any(pool.take(job) for pool in known):
            return True
        if job.priority != INTERACTIVE:
            # Or small jobs would take for ever what a large one waits for.
            for pool in known:
                pool.close(job.priority)
        return False
