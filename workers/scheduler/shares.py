"""Weighted fair shares of a lane between tenants: whoever has had least for its weight is next.

It is a deficit round robin that is as fine as a single job: each job is charged to its tenant by
its estimated tokens, divided by the tenant's weight. Pure.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

INTERACTIVE, STANDARD = 0, 1


class Waiting(Protocol):
    """A job that may be given out."""

    @property
    def tokens(self) -> int:
        """What its call is taken to need."""
        ...

    @property
    def priority(self) -> int:
        """Its rank: 0 goes first."""
        ...

    @property
    def created_at(self) -> int:
        """When it was stored, in ms."""
        ...


Job = TypeVar("Job", bound=Waiting)


class Shares:
    """The books of one lane.

    A tenant that comes, or comes back, begins where those are who wait: it has no claim to what it
    did not ask for meanwhile, and it stands behind no backlog.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._had: dict[str, float] = {}

    def order(self, tenants: Iterable[str]) -> list[str]:
        """Return the tenants, who is next first."""
        return sorted(tenants, key=lambda tenant: (self._begin(tenant), tenant))

    def deal(
        self,
        queues: Mapping[str, Sequence[Job]],
        weights: Mapping[str, int],
        *,
        take: Callable[[Job], bool],
        most: int,
    ) -> list[Job]:
        """Give out at most so many jobs; each tenant's go in their order.

        `take` finds a job its place, or says that there is none: it is passed over then.
        """
        ring = [(self._begin(tenant), tenant) for tenant, jobs in queues.items() if jobs]
        heapq.heapify(ring)
        rest = {tenant: deque(queues[tenant]) for _, tenant in ring}
        dealt: list[Job] = []
        while ring and len(dealt) < most:
            begin, tenant = ring[0]
            job = _first_taken(rest[tenant], take)
            if job is None:
                heapq.heappop(ring)
                continue
            dealt.append(job)
            self._now = max(self._now, begin)
            end = begin + max(1, job.tokens) / max(1, weights.get(tenant, 1))
            self._had[tenant] = end
            if rest[tenant]:
                heapq.heapreplace(ring, (end, tenant))
            else:
                heapq.heappop(ring)
        # Who is not ahead of the others is like one who was never here.
        self._had = {tenant: had for tenant, had in self._had.items() if had > self._now}
        return dealt

    def _begin(self, tenant: str) -> float:
        return max(self._had.get(tenant, 0.0), self._now)


def _first_taken(jobs: deque[Job], take: Callable[[Job], bool]) -> Job | None:
    while jobs:
        job = jobs.popleft()
        if take(job):
            return job
    return None


def in_order(jobs: Iterable[Job], *, aged_before: int) -> list[Job]:
    """Sort one tenant's jobs: by rank, but what is old takes turns with standard work.

    So a flood of standard jobs does not hold up the lowest class for ever, nor do fifty thousand
    old ones a single standard job.
    """
    ranked = sorted(jobs, key=lambda job: job.priority)
    first = [job for job in ranked if job.priority == INTERACTIVE]
    standard = deque(job for job in ranked if job.priority == STANDARD)
    low = [job for job in ranked if job.priority > STANDARD]
    aged = deque(job for job in low if job.created_at <= aged_before)
    while standard or aged:
        for some in (standard, aged):
            first += [some.popleft()] if some else []
    return first + [job for job in low if job.created_at > aged_before]


def some_of(tenants: Sequence[str], turn: int, *, most: int) -> Sequence[str]:
    """Choose whom to ask for jobs where that cannot be all: half who is next, half in turns."""
    if len(tenants) <= most:
        return tenants
    first, rest = list(tenants[: most // 2]), list(tenants[most // 2 :])
    at = turn * (most // 2) % len(rest)
    return first + (rest[at:] + rest[:at])[: most - len(first)]
