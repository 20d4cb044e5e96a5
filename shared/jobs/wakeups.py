"""From ids to messages: slices of ids for the queue of their priority."""

from collections import defaultdict
from collections.abc import Iterable

from shared.database import chunks
from shared.enqueue import ActorName, QueueName, Wakeup
from shared.jobs.transitions import Priority

INTERACTIVE_SLICE = 16
"""What was stored together is claimed together; so few that several workers share a rush."""


def wakeups(jobs: Iterable[tuple[str, int]], *, slice_size: int) -> list[Wakeup]:
    """Return messages for (job id, priority rank) pairs: slices, short ones when interactive."""
    by_rank: dict[int, list[str]] = defaultdict(list)
    for job_id, rank in jobs:
        by_rank[rank].append(job_id)
    messages = []
    for rank, ids in sorted(by_rank.items()):
        priority = Priority.of_rank(rank)
        size = min(
            slice_size, INTERACTIVE_SLICE if priority is Priority.INTERACTIVE else slice_size
        )
        messages += [
            Wakeup(ActorName.RUN_JOBS, QueueName(priority), {"ids": list(some), "queue": priority})
            for some in chunks(ids, size)
        ]
    return messages


def lone_wakeups(jobs: Iterable[tuple[str, int]]) -> list[Wakeup]:
    """Return a message each for jobs whose worker died: they run apart from others."""
    return [
        Wakeup(
            ActorName.RUN_JOBS,
            QueueName(Priority.of_rank(rank)),
            {"ids": [job_id], "queue": Priority.of_rank(rank), "suspect": True},
        )
        for job_id, rank in jobs
    ]
