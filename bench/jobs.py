"""*jobs*: submit → queue → call → store → result, against an upstream that answers at once."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from bench import processes, service
from bench.service import MODEL, Service
from bench.upstreams import Upstream

WARM_UP = 300
CONCURRENCY = 2048
LOAD_TIMEOUT_S = 300
SCRIPT_S = 60


@dataclass(frozen=True, slots=True)
class Contender:
    """What one way of doing the work achieved; `parts` are CPU ms a job by process."""

    name: str
    jobs: int
    seconds: float
    cpu_ms: float
    parts: dict[str, float]
    rss_mb: dict[str, float]

    @property
    def per_second(self) -> float:
        """Return jobs a second."""
        return self.jobs / self.seconds


def penstock(upstream: Upstream, *, jobs: int, at_once: int, fetch: str) -> Contender:
    """Measure a fresh service with one way of fetching the results.

    Raises:
        RuntimeError: a job did not complete, or the upstream was not called exactly once for each.
    """
    upstream.reset(delay_ms=0)
    with service.running(upstream.port, concurrency=CONCURRENCY) as running:
        load(running, jobs=WARM_UP, at_once=64, fetch=fetch)
        upstream.reset(delay_ms=0)
        before = running.cpu_s()
        done = load(running, jobs=jobs, at_once=at_once, fetch=fetch)
        after = running.cpu_s()
        calls = upstream.stats()["calls"]
        if (done["completed"], calls) != (jobs, jobs):
            raise RuntimeError(f"{jobs} jobs: {done['completed']} completed, {calls} calls made")
        parts = {name: 1000 * (after[name] - before[name]) / jobs for name in after}
        return Contender(
            f"Penstock, {FETCHES[fetch]}",
            jobs,
            done["seconds"],
            sum(parts.values()),
            parts,
            running.rss_mb(),
        )


FETCHES = {"wait": "a long poll each", "lookup": "lookups of 500"}


def load(
    running: Service,
    *,
    jobs: int,
    at_once: int,
    fetch: str,
    at_line: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Run the bench's client against a service and return what it says.

    `at_line` is called when a client that fetches from a backlog has submitted everything.
    """
    arguments = ["-m", "bench.load", "--port", str(running.port), "--key", running.key]
    arguments += ["--jobs", str(jobs), "--at-once", str(at_once), "--fetch", fetch]
    said = processes.run_json(
        [*arguments, "--model", MODEL], timeout_s=LOAD_TIMEOUT_S, at_line=at_line
    )
    running.check()
    answer: dict[str, Any] = orjson.loads(said)
    return answer


def script(upstream: Upstream, client: str, *, jobs: int, at_once: int, delay_ms: int) -> Contender:
    """Measure the script that a user would write; it is cut off after a minute."""
    upstream.reset(delay_ms=delay_ms)
    arguments = ["-m", "bench.scripts", client, "--port", str(upstream.port), "--jobs", str(jobs)]
    arguments += ["--at-once", str(at_once), "--seconds", str(SCRIPT_S)]
    said = orjson.loads(processes.run_json(arguments, timeout_s=SCRIPT_S + 30))
    name = f"script: asyncio + {client} + JSONL"
    return Contender(name, said["done"], said["seconds"], said["cpu_ms"], {}, {})


def median(runs: list[Contender]) -> Contender:
    """Return the run whose CPU a job is the middle one."""
    middle = statistics.median_low(run.cpu_ms for run in runs)
    return next(run for run in runs if run.cpu_ms == middle)
