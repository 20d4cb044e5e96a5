"""The dispatcher forgets nobody: not behind those who wait for their time, nor in a lane that is no more."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlmodel import col

from shared import migrate
from shared.clock import now_ms
from shared.ids import new_id
from shared.jobs import store
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.model import Job
from shared.jobs.rows import job_row, request_row
from shared.jobs.transitions import JobState
from shared.processes.model import WorkerLife
from shared.resources import Resources, open_resources
from shared.routing.breaker import Breakers
from shared.routing.model import targets
from shared.settings import Settings
from shared.telemetry.metrics import SchedulerMetrics
from workers.scheduler.dispatcher import Dispatcher
from workers.scheduler.shares import some_of
from workers.scheduler.strays import NOWHERE

MODEL = "sandbox/echo"
HOUR_MS = 3_600_000
OTHERS = "ten_z"


@pytest.fixture
async def resources(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Resources]:
    """A service with one worker, which has room for a single job."""
    settings = Settings(database_url=database_url, redis_url=redis_url, data_dir=tmp_path)
    async with open_resources(settings) as opened:
        await migrate.upgrade(opened.database)
        now = now_ms()
        life = dict.fromkeys(("started_at", "seen_at", "polled_at"), now)
        life |= {"pid": 1, "in_flight": 0, "capacity": 1, "draining": False}
        async with opened.database.transaction() as db:
            await db.execute(insert(WorkerLife).values(owner="w", host="h", **life))
        yield opened


@pytest.fixture
def lane(resources: Resources) -> str:
    """The lane of the model."""
    return targets(resources.catalog.resolve(MODEL))[0].lane_key


async def put(resources: Resources, tenant_id: str, count: int = 1, **changes: Any) -> list[str]:
    """Store jobs that wait for the dispatcher."""
    now = now_ms()
    draft = JobDraft(tenant_id, Endpoint.CHAT, MODEL, b"{}", 2, now, now + HOUR_MS)
    ids = [new_id("job") for _ in range(count)]
    jobs = [{**job_row(each, draft), "wakeup_at": None, "tokens": 10, **changes} for each in ids]
    async with resources.database.transaction() as db:
        await store.insert_jobs(db, jobs, [request_row(each, draft) for each in ids])
    return ids


async def drain(resources: Resources, dispatcher: Dispatcher, *, passes: int) -> list[str]:
    """Dispatch, and complete what was given out; return the ids of that."""
    ended: list[str] = []
    for _ in range(passes):
        if not await dispatcher.dispatch():
            continue
        given = list(dispatcher._given.ids())
        async with resources.database.transaction() as db:
            these = update(Job).where(col(Job.id).in_(given))
            await db.execute(these.values(state=JobState.COMPLETED, finished_at=now_ms()))
        ended += given
    return ended


async def test_whoever_waits_for_its_time_keeps_nobody_back(
    resources: Resources, lane: str
) -> None:
    for number in range(5):
        await put(resources, f"ten_{number}", lane=lane, not_before=now_ms() + HOUR_MS)
    ids = await put(resources, OTHERS, 6, lane=lane)

    ended = await drain(
        resources, Dispatcher(resources, SchedulerMetrics(), Breakers(resources.redis)), passes=8
    )

    assert sorted(ended) == sorted(ids)


@pytest.mark.parametrize("before", ["gone/model:abc", NOWHERE, "sandbox/other"])
async def test_a_job_moves_to_the_lane_by_which_its_model_is_served_now(
    resources: Resources, lane: str, before: str
) -> None:
    before = lane.replace(MODEL, before) if before.startswith("sandbox") else before
    ids = await put(resources, OTHERS, 3, lane=before)

    ended = await drain(
        resources, Dispatcher(resources, SchedulerMetrics(), Breakers(resources.redis)), passes=8
    )

    assert sorted(ended) == sorted(ids)
    async with resources.database.reading() as db:
        lanes = (await db.execute(select(col(Job.lane)).where(col(Job.id).in_(ids)))).scalars()
        assert set(lanes) == {lane}


async def test_what_nothing_serves_is_given_out_to_be_refused(resources: Resources) -> None:
    ids = await put(resources, OTHERS, model="nobody-has-it", lane="gone/model:abc")

    assert (
        await drain(
            resources,
            Dispatcher(resources, SchedulerMetrics(), Breakers(resources.redis)),
            passes=2,
        )
        == ids
    )


def test_among_more_tenants_than_are_asked_each_has_its_turn() -> None:
    tenants = [f"ten_{number:04}" for number in range(1000)]

    asked = [some_of(tenants, turn, most=256) for turn in range(7)]

    assert all(len(some) == len(set(some)) == 256 for some in asked)
    assert all(list(some[:128]) == tenants[:128] for some in asked)
    assert set().union(*asked) == set(tenants)
