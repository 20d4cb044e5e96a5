"""*long poll*: from the moment that a job's row says it ended to the answer at a waiting client."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

import orjson

from bench import prompts, service
from bench.service import MODEL, Service
from bench.submit import percentiles
from bench.upstreams import Upstream
from bench.wire import Client

DELAY_MS = 200
JOBS = 400
WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Delays:
    """Delays with so many clients waiting at a time, in milliseconds."""

    at_once: int
    jobs: int
    p50_ms: float
    p99_ms: float


def measure(upstream: Upstream) -> list[Delays]:
    """Measure with one client that waits, and with 64."""
    upstream.reset(delay_ms=DELAY_MS)
    with service.running(upstream.port, concurrency=256) as running:
        asyncio.run(_wait(running, WARM_UP, at_once=4))
        return [
            asyncio.run(_wait(running, JOBS // 16, at_once=1)),
            asyncio.run(_wait(running, JOBS, at_once=64)),
        ]


async def _wait(running: Service, jobs: int, *, at_once: int) -> Delays:
    client = Client(running.port, key=running.key, size=at_once)
    bodies = iter(list(prompts.submits(jobs, model=MODEL)))
    delays: list[float] = []

    async def one_after_another() -> None:
        for body in bodies:
            _, stored = await client.post("/v1/jobs", body)
            job = await client.json(f"/v1/jobs/{orjson.loads(stored)['id']}?wait=60")
            answered = time.time()
            if job["status"] != "completed":
                raise RuntimeError(f"the job is {job['status']}: {job['error']}")
            delays.append(
                1000 * (answered - datetime.fromisoformat(job["finished_at"]).timestamp())
            )

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())
    client.close()
    return Delays(at_once, jobs, *percentiles(delays))
