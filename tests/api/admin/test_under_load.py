"""Deployments come and go while calls are under way: none is dropped, and nothing waits for a restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.jobs.transitions import Priority
from tests.api.whole_app import WholeApp, whole_app
from workers.resources import open_worker_resources
from workers.runner import Runner

CONFIG = """
[[deployments]]
name = "slow"
provider = "sandbox"
model = "echo"
options = { latency_ms = 600 }

[[deployments]]
name = "other"
provider = "sandbox"
model = "echo"

[[routes]]
model = "served"
deployments = ["slow", "other"]
"""
AFTERWARDS = """
[[deployments]]
name = "other"
provider = "sandbox"
model = "echo"

[[routes]]
model = "served"
deployments = ["other"]
"""
JOBS = 30


@pytest.fixture
async def app(tmp_path: Path, redis_url: str) -> AsyncIterator[WholeApp]:
    (tmp_path / "penstock.toml").write_text(CONFIG)
    database_url = f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    async with whole_app(tmp_path, database_url=database_url, redis_url=redis_url) as running:
        yield running


async def states(app: WholeApp, ids: list[str]) -> list[tuple[str, str]]:
    """Return each job's status and the deployment of its only attempt."""
    found = [(await app.client.get(f"/v1/jobs/{each}?wait=10")).json() for each in ids]
    return [(each["status"], each["attempts"][-1]["deployment"]) for each in found]


async def test_a_deployment_that_goes_away_drops_no_call(app: WholeApp) -> None:
    async with open_worker_resources(app.settings) as resources:
        runner = Runner(resources)
        runner.start()
        early = [await app.submit("hello", model="served") for _ in range(JOBS)]
        await runner.take(early, Priority.STANDARD)
        assert runner.in_flight == JOBS

        app.settings.config.write_text(AFTERWARDS)
        await resources.shared.watch.look()
        late = [await app.submit("hello", model="served") for _ in range(JOBS)]
        await runner.take(late, Priority.STANDARD)

        assert await states(app, early) == [("completed", "slow")] * JOBS
        assert await states(app, late) == [("completed", "other")] * JOBS
        await runner.drain(grace_s=30)


async def test_what_came_by_the_api_a_moment_ago_is_called_by_the_worker(app: WholeApp) -> None:
    async with open_worker_resources(app.settings) as resources:
        runner = Runner(resources)
        runner.start()
        made = await app.client.post(
            "/v1/deployments", json={"name": "new", "provider": "sandbox", "model": "echo"}
        )
        assert made.status_code == 201, made.text
        job = await app.submit("hello", model="new")
        await runner.take([job], Priority.STANDARD)

        assert await states(app, [job]) == [("completed", "new")]
        await runner.drain(grace_s=30)


async def test_a_job_whose_name_is_gone_is_told_so(app: WholeApp) -> None:
    await app.client.post(
        "/v1/deployments", json={"name": "new", "provider": "sandbox", "model": "echo"}
    )
    job = await app.submit("hello", model="new")
    assert (await app.client.delete("/v1/deployments/new")).status_code == 200

    await app.work(job)

    found = (await app.client.get(f"/v1/jobs/{job}")).json()
    assert (found["status"], found["error"]["code"]) == ("failed", "model_not_found")
