"""A worker's insides on real services: its resources, a runner, and a provider that can misbehave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from shared import migrate
from shared.clock import now_ms
from shared.database import Row
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.submit import Submitter
from shared.jobs.transitions import Priority
from shared.settings import Settings
from tests.fakes.upstream_client import Upstream
from workers.resources import WorkerResources, open_worker_resources
from workers.runner import Runner

INPUT_NANOUSD, OUTPUT_NANOUSD = 1000, 2000
CONFIG = """
[[deployments]]
name = "m"
provider = "openai-compatible"
model = "m"
base_url = "{base_url}"
keys = ["sk-test"]
price = {{ input_usd = 1.0, output_usd = 2.0 }}

[[deployments]]
name = "metered"
provider = "openai-compatible"
model = "metered"
base_url = "{base_url}"
keys = ["sk-test"]
tpm = 60_000

[[deployments]]
name = "cheap"
provider = "openai-compatible"
model = "cheap"
base_url = "{base_url}"
keys = ["sk-test"]
context_tokens = 8000

[[deployments]]
name = "claude"
provider = "anthropic"
model = "claude"
base_url = "{root}"
keys = ["sk-test"]
context_tokens = 200000

[[deployments]]
name = "judge"
provider = "openai-compatible"
model = "judge"
base_url = "{base_url}"
keys = ["sk-test"]

[[routes]]
model = "any"
deployments = ["cheap", "claude"]

[[routes]]
model = "loyal"
deployments = ["cheap", "claude"]
fallback_on = ["content_filtered"]

[[routes]]
model = "by difficulty"
strategy = "difficulty"
difficulty = {{ simple = ["cheap"], hard = ["m"], classifier = "judge" }}
"""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once the condition holds; a time-out if that takes long."""
    async with asyncio.timeout(20):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.005)


async def _said(value: bool) -> bool:
    return value


@dataclass
class Bench:
    """A worker process without its processes."""

    resources: WorkerResources
    runner: Runner
    upstream: Upstream
    submitter: Submitter

    async def submit(
        self,
        text: str,
        *,
        model: str = "m",
        endpoint: Endpoint = Endpoint.CHAT,
        attempts: int = 1,
        **more: Any,
    ) -> str:
        """Store a job, without its wake-up being heard; return its id."""
        now = now_ms()
        body: dict[str, Any] = {"model": model, **more}
        if endpoint is Endpoint.CHAT:
            body["messages"] = [{"role": "user", "content": text}]
        else:
            body["input"] = text
        raw = orjson.dumps(body)
        draft = JobDraft(
            "ten_1", endpoint, model, raw, len(raw), now, now + 3_600_000, max_attempts=attempts
        )
        job_id: str = (await self.submitter.submit(draft)).job["id"]
        return job_id

    async def run(self, job_id: str) -> Row:
        """Claim a job, work on it, and return its row as it is then."""
        await self.runner.take([job_id], Priority.STANDARD)
        await self.idle()
        return await self.job(job_id)

    async def idle(self) -> None:
        """Return when nothing is in hand any more."""
        await until(lambda: _said(not self.runner.in_flight))

    async def job(self, job_id: str) -> Row:
        """Return a job's row."""
        return (await self._rows("job", "id", job_id))[0]

    async def attempts(self, job_id: str) -> list[Row]:
        """Return the rows of a job's calls, in order."""
        return await self._rows("attempt", "job_id", job_id)

    async def result(self, job_id: str) -> Any:
        """Return the stored answer."""
        return orjson.loads((await self._rows("job_result", "job_id", job_id))[0]["body"])

    async def _rows(self, table: str, column: str, job_id: str) -> list[Row]:
        query = text(f"SELECT * FROM {table} WHERE {column} = :id")
        async with self.resources.database.reading() as db:
            rows = (await db.execute(query, {"id": job_id})).mappings().all()
        return [dict(row) for row in rows]


@pytest.fixture(scope="session")
def upstream_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Run one fake provider for all of these tests."""
    with Upstream(tmp_path_factory.mktemp("upstream") / "ledger.jsonl") as upstream:
        yield upstream


@pytest.fixture
async def bench(
    upstream_process: Upstream, tmp_path: Path, redis_url: str, sqlite_url: str
) -> AsyncIterator[Bench]:
    """A runner with nothing in hand, before a provider without rules."""
    upstream_process.clear()
    config = tmp_path / "penstock.toml"
    base_url = upstream_process.base_url
    config.write_text(CONFIG.format(base_url=base_url, root=base_url.removesuffix("/v1")))
    settings = Settings(
        config=config, data_dir=tmp_path, redis_url=redis_url, database_url=sqlite_url
    )
    async with open_worker_resources(settings) as resources:
        await migrate.upgrade(resources.database)
        shared = resources.shared
        submitter = Submitter(shared.database, shared.publisher, shared.announcer, settings)
        yield Bench(resources, Runner(resources), upstream_process, submitter)
        await submitter.close()
    upstream_process.clear()
