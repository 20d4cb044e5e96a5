"""A dispatcher on real services, with workers that only say that they are there."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from shared import migrate
from shared.clock import now_ms
from shared.database import chunks
from shared.ids import new_id
from shared.jobs import store
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.lanes import lane_of
from shared.jobs.rows import job_row, request_row
from shared.limiter.buckets import MICRO, Cost, Lane, Outcome
from shared.limiter.limiter import Limiter, Reservation
from shared.limiter.rooms import Rooms
from shared.processes import store as process_store
from shared.processes.store import Life
from shared.resources import Resources, open_resources
from shared.routing.breaker import Breakers
from shared.routing.model import targets
from shared.settings import Settings
from shared.telemetry.metrics import SchedulerMetrics
from workers.scheduler.dispatcher import Dispatcher

BULK, STANDARD, INTERACTIVE = 2, 1, 0
CONFIG = """
[[deployments]]
name = "wide"
provider = "openai-compatible"
model = "m"
base_url = "http://127.0.0.1:1/v1"
concurrency = 100

[[deployments]]
name = "narrow"
provider = "openai-compatible"
model = "m"
base_url = "http://127.0.0.1:1/v1"
concurrency = 10

[[deployments]]
name = "metered"
provider = "openai-compatible"
model = "m"
base_url = "http://127.0.0.1:1/v1"
tpm = 6000

[[routes]]
model = "both"
deployments = ["narrow", "wide"]
"""


@dataclass
class Bench:
    """A dispatcher; what it gives is read from the broker, and claimed and ended by hand."""

    resources: Resources
    dispatcher: Dispatcher
    limiter: Limiter
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    held: dict[str, Reservation] = field(default_factory=dict)

    def lane(self, model: str) -> Lane:
        return lane_of(targets(self.resources.catalog.resolve(model))[0])

    async def add(
        self, jobs: int, *, tenant: str = "ten_a", model: str = "wide", **changes: Any
    ) -> list[str]:
        """Store due jobs; return their ids as they stand."""
        now = now_ms()
        draft = JobDraft(tenant, Endpoint.CHAT, model, b"{}", 2, now, now + 3_600_000)
        due = {"lane": self.lane(model).key, "wakeup_at": None, "priority": BULK, "tokens": 100}
        ids = sorted(new_id("job") for _ in range(jobs))
        rows = [{**job_row(job_id, draft), **due, **changes} for job_id in ids]
        self.rows |= {row["id"]: row for row in rows}
        for some in chunks(rows, 2000):
            async with self.resources.database.transaction() as db:
                await store.insert_jobs(db, some, [request_row(each["id"], draft) for each in some])
        return ids

    async def worker(
        self, capacity: int = 10_000, *, name: str = "w", draining: bool = False
    ) -> None:
        """Let a worker say that it is there."""
        life = Life(name, "here", 1, 0, 0, draining=draining, capacity=capacity)
        async with self.resources.database.transaction() as db:
            await process_store.record_life(db, life)

    async def given(self) -> list[str]:
        """Make a pass and return the ids that it gave, in order."""
        await self.dispatcher.dispatch()
        return [job_id for message in await self.messages() for job_id in message["ids"]]

    async def messages(self) -> list[dict[str, Any]]:
        """Take what lies in the broker: the arguments of each message."""
        found: list[dict[str, Any]] = []
        for queue in ("interactive", "standard", "bulk"):
            ids = await self.resources.redis.lrange(f"dramatiq:{queue}", 0, -1)
            bodies = [
                await self.resources.redis.hget(f"dramatiq:{queue}.msgs", each) for each in ids
            ]
            found += [orjson.loads(body)["kwargs"] for body in bodies if body]
            await self.resources.redis.delete(f"dramatiq:{queue}", f"dramatiq:{queue}.msgs")
        return found

    async def run(self, ids: Sequence[str]) -> None:
        """Claim jobs and begin their calls."""
        await self.change(ids, "state = 'running', lease_expires_at = 9999999999999")
        for job_id in ids:
            lane = self.lane(self.rows[job_id]["model"])
            answer = await self.limiter.acquire(lane, job_id, Cost(1, 50, 50), lease_ttl_s=60)
            assert isinstance(answer, Reservation), answer
            self.held[job_id] = answer

    async def end(self, ids: Sequence[str]) -> None:
        """End their calls, and the jobs."""
        for job_id in ids:
            await self.limiter.settle(self.held.pop(job_id), Cost(1, 50, 50), outcome=Outcome.OK)
        await self.change(ids, "state = 'completed', lease_expires_at = NULL")

    async def change(self, ids: Sequence[str], how: str) -> None:
        """Change the rows of jobs."""
        async with self.resources.database.transaction() as db:
            for some in chunks(ids, 500):
                named = ",".join(f"'{each}'" for each in some)
                await db.execute(text(f"UPDATE job SET {how} WHERE id IN ({named})"))

    async def fill_buckets(self, model: str) -> None:
        """Let all that a lane can hold be in its buckets."""
        lane = self.lane(model)
        await Rooms(self.resources.redis).of([lane])
        for bucket in lane.buckets:
            level = bucket.capacity * MICRO
            await self.resources.redis.hset(f"{lane.tag}:lane", bucket.unit, level)

    def by_tenant(self, ids: Sequence[str]) -> Counter[str]:
        """Count jobs by tenant."""
        return Counter(self.rows[each]["tenant_id"] for each in ids)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
async def bench(
    config: Path, tmp_path: Path, redis_url: str, database_url: str
) -> AsyncIterator[Bench]:
    settings = Settings(
        config=config, data_dir=tmp_path, redis_url=redis_url, database_url=database_url
    )
    async with open_resources(settings) as resources:
        await migrate.upgrade(resources.database)
        dispatcher = Dispatcher(resources, SchedulerMetrics(), Breakers(resources.redis))
        yield Bench(resources, dispatcher, Limiter(resources.redis))
