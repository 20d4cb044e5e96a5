"""What was given to the workers and is not yet claimed, as the dispatcher remembers it.

It is a hint: a new leader begins with an empty one, and what it gives twice is claimed once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from shared.jobs.dispatch_store import Candidate

Mark = tuple[int | None, int]
Key = TypeVar("Key")


@dataclass(slots=True)
class _Gift:
    lane: str
    tenant_id: str
    priority: int
    tokens: int
    mark: Mark
    at: float


@dataclass(slots=True)
class Given:
    """The ids that are in messages; times are in seconds of a clock that only rises."""

    _gifts: dict[str, _Gift] = field(default_factory=dict)
    _by_lane: Counter[str] = field(default_factory=Counter)
    _by_tenant: Counter[tuple[str, str]] = field(default_factory=Counter)
    _tokens: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        """Count the jobs."""
        return len(self._gifts)

    def __contains__(self, job: Candidate) -> bool:
        """Tell whether this wait of a job has its message."""
        gift = self._gifts.get(job.id)
        return gift is not None and gift.mark == job.mark

    def ids(self) -> Sequence[str]:
        """Return all of them."""
        return list(self._gifts)

    def of_lane(self, lane: str) -> int:
        """Count those of a lane."""
        return self._by_lane[lane]

    def tokens_of_lane(self, lane: str) -> int:
        """Add up what those of a lane are taken to need."""
        return self._tokens[lane]

    def of_tenant(self, lane: str, tenant_id: str) -> int:
        """Count those of a tenant in a lane."""
        return self._by_tenant[lane, tenant_id]

    def add(self, lane: str, jobs: Iterable[Candidate], *, at: float) -> None:
        """Note what is being given."""
        for job in jobs:
            self._drop(job.id)
            self._gifts[job.id] = _Gift(lane, job.tenant_id, job.priority, job.tokens, job.mark, at)
            self._by_lane[lane] += 1
            self._tokens[lane] += job.tokens
            self._by_tenant[lane, job.tenant_id] += 1

    def keep_only(self, waiting: Mapping[str, Mark]) -> None:
        """Forget what was claimed, ended, or waits for something else by now."""
        for job_id in [
            job_id for job_id, gift in self._gifts.items() if waiting.get(job_id) != gift.mark
        ]:
            self._drop(job_id)

    def older_than(self, at: float) -> dict[int, list[str]]:
        """Return what was given before that time, by rank."""
        old: dict[int, list[str]] = {}
        for job_id, gift in self._gifts.items():
            if gift.at < at:
                old.setdefault(gift.priority, []).append(job_id)
        return old

    def renew(self, ids: Iterable[str], *, at: float) -> None:
        """Be patient with these for once more."""
        for job_id in ids:
            self._gifts[job_id].at = at

    def forget(self, ids: Iterable[str]) -> None:
        """Let these be given again."""
        for job_id in ids:
            self._drop(job_id)

    def _drop(self, job_id: str) -> None:
        gift = self._gifts.pop(job_id, None)
        if gift is None:
            return
        _take(self._by_lane, gift.lane, 1)
        _take(self._tokens, gift.lane, gift.tokens)
        _take(self._by_tenant, (gift.lane, gift.tenant_id), 1)


def _take(counter: Counter[Key], key: Key, count: int) -> None:
    counter[key] -= count
    if not counter[key]:
        del counter[key]
