"""*fairness*: one tenant drains thousands of jobs; another one sends a single job every second."""

import asyncio
import math
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass

import orjson

from bench import prompts, service
from bench.report import Row, Section
from bench.service import MODEL, Service
from bench.upstreams import Upstream
from bench.wire import Client
from shared.auth import issuing, store
from shared.auth.permissions import Role
from shared.clock import now_ms
from shared.database import Database
from shared.ids import new_id
from shared.resources import secret_key
from shared.settings import Settings

DELAY_MS, SPREAD_MS = 50, 150
MEAN_MS = 125
CONCURRENCY = 25
JOBS = 5000
AT_ONCE = 64
UNLOADED = 25
UNLOADED_EVERY_S = 0.3
EVERY_S = 1.0
MOST_TIMES = 2.0


@dataclass(frozen=True, slots=True)
class Fairness:
    """How long the single jobs waited until their calls began, in ms: alone, and beside the crowd."""

    alone: list[int]
    beside: list[int]
    drained_per_s: float

    @property
    def times(self) -> float:
        """Return how many times longer they waited beside the crowd, by the 95th percentile."""
        return p95(self.beside) / p95(self.alone)


def p95(waits: list[int]) -> int:
    """Return the 95th percentile, one millisecond at least."""
    return max(1, sorted(waits)[math.ceil(0.95 * len(waits)) - 1])


def measure(upstream: Upstream, *, jobs: int) -> Fairness:
    """Run both tenants against a fresh service whose lane admits 25 calls at a time.

    Raises:
        RuntimeError: the crowd was gone before enough single jobs were sent, or one did not complete.
    """
    upstream.reset(delay_ms=DELAY_MS, spread_ms=SPREAD_MS)
    with service.running(upstream.port, concurrency=CONCURRENCY) as running:
        key = asyncio.run(_second_key(running))
        alone = asyncio.run(_single_jobs(running, key, count=UNLOADED, every_s=UNLOADED_EVERY_S))
        beside, per_s = asyncio.run(_beside_a_crowd(running, key, jobs))
        waits = _waits(running)
        if missing := [job_id for job_id in alone + beside if job_id not in waits]:
            raise RuntimeError(f"{len(missing)} single jobs were never called")
    return Fairness([waits[each] for each in alone], [waits[each] for each in beside], per_s)


def measure_fairness(upstream: Upstream) -> Section:
    """Say how long a single job waits beside thousands."""
    found = measure(upstream, jobs=JOBS)
    figure = f"p95 {p95(found.beside)} ms beside {JOBS} jobs, {p95(found.alone)} ms alone"
    note = (
        f"{len(found.beside)} jobs, one a second; the crowd drained at {found.drained_per_s:.0f}/s"
    )
    target = f"≤ {MOST_TIMES:g} × the wait alone"
    rows = [
        Row("time to a single job's call", figure, note=note),
        Row("", f"{found.times:.1f} ×", target, found.times <= MOST_TIMES),
    ]
    title = (
        f"fairness: upstream {DELAY_MS} to {DELAY_MS + SPREAD_MS} ms, {CONCURRENCY} calls at a time"
    )
    return Section(title, rows, [asdict(found)])


async def _second_key(running: Service) -> str:
    url = running.environment["PENSTOCK_DATABASE_URL"]
    secret = secret_key(Settings(data_dir=running.folder, database_url=url))
    database = Database(url)
    async with database.transaction() as db:
        tenant = await store.ensure_tenant(db, id=new_id("ten"), name="b", created_at=now_ms())
    _, key = await issuing.issue(database, secret, tenant_id=tenant, name="b", role=Role.ADMIN)
    await database.close()
    return key


async def _single_jobs(running: Service, key: str, *, count: int, every_s: float) -> list[str]:
    client = Client(running.port, key=key, size=2)
    ids = []
    for number in range(count):
        ids.append(await _submit(client, number))
        await asyncio.sleep(every_s)
    await client.get(f"/v1/jobs/{ids[-1]}/result?wait=60")
    client.close()
    return ids


async def _beside_a_crowd(running: Service, key: str, jobs: int) -> tuple[list[str], float]:
    crowd = Client(running.port, key=running.key, size=AT_ONCE)
    places = asyncio.Semaphore(AT_ONCE)

    async def submit(number: int) -> str:
        async with places:
            return await _submit(crowd, number, priority="bulk")

    await asyncio.gather(*(submit(number) for number in range(jobs)))
    crowd.close()
    # As long as the crowd is there for certain: its lane can do no more than this a second.
    count = int(jobs / (CONCURRENCY * 1000 / MEAN_MS) / EVERY_S)
    before, began = _ended(running), now_ms()
    beside = await _single_jobs(running, key, count=count, every_s=EVERY_S)
    if _ended(running) - before >= jobs:
        raise RuntimeError("the crowd was gone too early: nothing was measured")
    per_s = (_ended(running) - before) * 1000 / (now_ms() - began)
    return beside, per_s


async def _submit(client: Client, number: int, *, priority: str = "standard") -> str:
    body = orjson.loads(prompts.submit(number, model=MODEL))
    job_id: str = (await client.json("/v1/jobs", {**body, "priority": priority}))["id"]
    return job_id


def _ended(running: Service) -> int:
    rows = _rows(running, "SELECT count(*) FROM job WHERE finished_at IS NOT NULL")
    return int(rows[0][0])


def _waits(running: Service) -> dict[str, int]:
    # To the moment in which the call is let go, which the public job does not tell.
    query = (
        "SELECT job.id, min(attempt.started_at) - job.created_at FROM job"
        " JOIN attempt ON attempt.job_id = job.id GROUP BY job.id"
    )
    return {str(job_id): int(wait) for job_id, wait in _rows(running, query)}


def _rows(running: Service, query: str) -> list[tuple[str | int, ...]]:
    with closing(sqlite3.connect(running.folder / "penstock.db", timeout=30)) as connection:
        return connection.execute(query).fetchall()
