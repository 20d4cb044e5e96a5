"""*in flight*: thousands of calls of a second each, in one worker process."""

from dataclasses import dataclass

from bench import service
from bench.jobs import load
from bench.service import Service
from bench.upstreams import Upstream

DELAY_MS = 1000
WIDE = 2500
NARROW = 1000
AHEAD = 1.1
"""So many times what the lane admits may be in a worker's hands: who waits for a place is there when it is free."""


@dataclass(frozen=True, slots=True)
class Flight:
    """What the upstream saw; `pace` is a share of what this many calls at a time could be at best."""

    concurrency: int
    jobs: int
    most: int
    seconds: float
    pace: float
    worker_mb: float


def measure(upstream: Upstream, *, jobs: int, concurrency: int) -> Flight:
    """Queue all the jobs, then start a worker whose deployment admits `concurrency` calls at a time.

    The time runs from the first call's arrival to the last answer, as the upstream saw them.

    Raises:
        RuntimeError: a job did not complete, was called twice, or the limit was not kept.
    """
    upstream.reset(delay_ms=DELAY_MS)
    settings = {
        "PENSTOCK_MAX_IN_FLIGHT": str(round(concurrency * AHEAD)),
        # None of these jobs is interactive: the whole lane is theirs.
        "PENSTOCK_INTERACTIVE_RESERVE": "0",
    }
    parts = ("api", "scheduler")
    with service.running(
        upstream.port, concurrency=concurrency, parts=parts, settings=settings
    ) as running:
        done = load(
            running,
            jobs=jobs,
            at_once=256,
            fetch="backlog",
            at_line=lambda: _start_worker(running),
        )
        seen = upstream.stats()
        most = seen["max_in_flight"]
        if (done["completed"], seen["calls"]) != (jobs, jobs) or most > concurrency:
            raise RuntimeError(f"{done['completed']} of {jobs} jobs completed, upstream: {seen}")
        seconds = seen["last_answer_at"] - seen["first_call_at"]
        best = -(-jobs // concurrency) * DELAY_MS / 1000
        worker_mb = running.rss_mb()["worker"]
    return Flight(concurrency, jobs, most, seconds, best / seconds, worker_mb)


def _start_worker(running: Service) -> None:
    running.start("worker", "worker")
