"""*in flight*: thousands of calls of a second each, in one worker process."""

from dataclasses import dataclass

from bench import service
from bench.jobs import WARM_UP, load
from bench.upstreams import Upstream

DELAY_MS = 1000
WIDE = 2500
NARROW = 1000
RESERVE_SHARE = 0.9
"""What the runner leaves to work that is not interactive, by its default settings."""


@dataclass(frozen=True, slots=True)
class Flight:
    """What the upstream saw; `pace` is a share of what this many calls at a time could be at best."""

    concurrency: int
    jobs: int
    most: int
    seconds: float
    pace: float
    worker_mb: float
    cpu_ms: float


def measure(upstream: Upstream, *, jobs: int, concurrency: int) -> Flight:
    """Run jobs through a fresh service whose deployment admits `concurrency` calls at a time.

    The time runs from the first call's arrival to the last answer, as the upstream saw them.

    Raises:
        RuntimeError: a job did not complete, was called twice, or the limit was not kept.
    """
    upstream.reset(delay_ms=0)
    room = str(round(WIDE * 1.1 / RESERVE_SHARE))
    settings = {"PENSTOCK_MAX_IN_FLIGHT": room}
    with service.running(upstream.port, concurrency=concurrency, settings=settings) as running:
        load(running, jobs=WARM_UP, at_once=64, fetch="wait")
        upstream.reset(delay_ms=DELAY_MS)
        before = sum(running.cpu_s().values())
        done = load(running, jobs=jobs, at_once=256, fetch="lookup")
        cpu_s = sum(running.cpu_s().values()) - before
        seen = upstream.stats()
        most = seen["max_in_flight"]
        if (done["completed"], seen["calls"]) != (jobs, jobs) or most > concurrency:
            raise RuntimeError(f"{done['completed']} of {jobs} jobs completed, upstream: {seen}")
        seconds = seen["last_answer_at"] - seen["first_call_at"]
        best = -(-jobs // concurrency) * DELAY_MS / 1000
        return Flight(
            concurrency,
            jobs,
            most,
            seconds,
            best / seconds,
            running.rss_mb()["worker"],
            1000 * cpu_s / jobs,
        )
