"""*submit*: what one `POST /v1/jobs` takes, from the request to the 202 behind the commit."""

import asyncio
import statistics
import time
from dataclasses import dataclass

from bench import prompts, service
from bench.service import MODEL, Service
from bench.upstreams import Upstream
from bench.wire import Client

ALONE = 500
TOGETHER = 4000
WARM_UP = 200


@dataclass(frozen=True, slots=True)
class Submits:
    """Submits with so many under way at a time; times in milliseconds."""

    at_once: int
    count: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


def measure(upstream: Upstream) -> list[Submits]:
    """Measure submits one after another and 64 at a time; no worker runs beside them."""
    upstream.reset(delay_ms=0)
    with service.running(upstream.port, concurrency=64, parts=("api",)) as running:
        asyncio.run(_submit(running, WARM_UP, at_once=8))
        return [
            asyncio.run(_submit(running, ALONE, at_once=1)),
            asyncio.run(_submit(running, TOGETHER, at_once=64)),
        ]


async def _submit(running: Service, count: int, *, at_once: int) -> Submits:
    client = Client(running.port, key=running.key, size=at_once)
    bodies = iter(list(prompts.submits(count, model=MODEL)))
    times: list[float] = []

    async def one_after_another() -> None:
        for body in bodies:
            began = time.perf_counter()
            status, answer = await client.post("/v1/jobs", body)
            times.append(1000 * (time.perf_counter() - began))
            if status != 202:
                raise RuntimeError(f"submit answered {status}: {answer[:300]!r}")

    before = sum(running.cpu_s().values())
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())
    seconds = time.perf_counter() - began
    cpu_s = sum(running.cpu_s().values()) - before
    client.close()
    p50, p99 = percentiles(times)
    return Submits(at_once, count, count / seconds, p50, p99, 1000 * cpu_s / count)


def percentiles(values: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]
