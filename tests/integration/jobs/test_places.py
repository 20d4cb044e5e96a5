"""Where a job stands and when its turn comes: by fair shares, true also in a large backlog."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, text

from shared.auth import store as tenant_store
from shared.auth.model import Tenant
from shared.clock import now_ms
from shared.database import Database, Row, chunks
from shared.ids import new_id
from shared.jobs import lane_paces, place_store, store
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.pace import Need, Pace
from shared.jobs.rows import job_row, request_row
from shared.jobs.view import Place
from shared.routing.catalog import Catalog, load_catalog
from shared.routing.model import targets
from tests.integration.jobs.conftest import AddJob
from tests.integration.jobs.test_claims import row

NOW = now_ms()
CATALOG: Catalog = load_catalog(
    {
        "deployments": [
            {"name": "m", "provider": "openai-compatible", "model": "m", "base_url": "http://x"},
            {
                "name": "metered",
                "provider": "openai-compatible",
                "model": "m",
                "base_url": "http://x",
                "rpm": 60,
                "tpm": 6000,
            },
        ]
    },
    {},
)
LANE = targets(CATALOG.resolve("m"))[0].lane_key
METERED = targets(CATALOG.resolve("metered"))[0].lane_key
DUE: dict[str, Any] = {"lane": LANE, "wakeup_at": None}


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def fill(database: Database, jobs: int, **changes: Any) -> Sequence[Row]:
    """Store many due jobs; return their rows, as they stand."""
    draft = JobDraft("ten_1", Endpoint.CHAT, "m", b"{}", 2, NOW, NOW + 3_600_000)
    ids = sorted(new_id("job") for _ in range(jobs))
    rows = [{**job_row(job_id, draft), **DUE, **changes} for job_id in ids]
    for some in chunks(rows, 1000):
        async with database.transaction() as db:
            await store.insert_jobs(db, some, [request_row(each["id"], draft) for each in some])
    return rows


async def position(pace: Pace, job: Row) -> int:
    place = await pace.place(job)
    assert place is not None
    return place.position


async def test_own_jobs_of_the_lane_stand_before(database: Database, add_job: AddJob) -> None:
    await add_job(created_at=1, **DUE)
    mine = await add_job(created_at=2, **DUE)
    await add_job(created_at=3, **DUE)
    await add_job(created_at=4, priority=0, **DUE)
    await add_job(created_at=0, priority=2, **DUE)
    await add_job(created_at=1, lane=LANE, wakeup_at=1)
    await add_job(created_at=1, lane="another", wakeup_at=None)
    await add_job(created_at=1, held="paused", **DUE)

    assert await Pace(database).place(await row(database, mine)) == Place(4, None)


async def test_others_stand_before_by_their_share(database: Database, add_job: AddJob) -> None:
    await fill(database, 600, tenant_id="ten_big")
    await fill(database, 3, tenant_id="ten_small")
    first = await add_job(created_at=NOW, **DUE)
    for _ in range(9):
        await add_job(created_at=NOW + 1, **DUE)
    tenth = await add_job(created_at=NOW + 2, **DUE)
    async with database.transaction() as db:
        heavy = {"id": "ten_big", "name": "big", "weight": 3, "created_at": 1}
        await db.execute(insert(Tenant).values(**heavy))

    pace = Pace(database)

    assert await position(pace, await row(database, first)) == 1 + 3 + 1
    assert await position(pace, await row(database, tenth)) == 11 + 33 + 3
    async with database.reading() as db:
        assert await tenant_store.uncommon_weights(db) == {"ten_big": 3}


async def test_an_interactive_job_stands_before_all_bulk(
    database: Database, add_job: AddJob
) -> None:
    await fill(database, 20, tenant_id="ten_big", priority=2)
    await add_job(tenant_id="ten_big", priority=0, **DUE)
    mine = await add_job(priority=0, **DUE)

    assert await position(Pace(database), await row(database, mine)) == 2


async def test_a_held_job_has_no_place(database: Database, add_job: AddJob) -> None:
    mine = await add_job(held="paused", **DUE)

    assert await Pace(database).place(await row(database, mine)) is None


async def test_places_stay_true_while_a_large_backlog_drains(database: Database) -> None:
    jobs = 20_000
    rows = await fill(database, jobs, priority=2)
    pace = Pace(database)
    for nth in (0, 1, 499, 500, 501, 7777, jobs - 1):
        assert await position(pace, rows[nth]) == nth + 1

    # The survey is not made anew for this: 1,234 have been claimed and some have been cancelled.
    gone = [each["id"] for each in rows[:1234]]
    async with database.transaction() as db:
        for some in chunks(gone, 500):
            named = ",".join(f"'{each}'" for each in some)
            await db.execute(text(f"UPDATE job SET state = 'running' WHERE id IN ({named})"))
    for nth in (1234, 1235, 1500, 1501, 9_999, jobs - 1):
        assert await position(pace, rows[nth]) == nth + 1 - 1234

    late = (await fill(database, 1, priority=2, created_at=NOW + 1))[0]
    assert await position(pace, late) == jobs - 1234 + 1


async def test_the_eta_is_that_of_the_lane(
    database: Database, add_job: AddJob, redis: Redis
) -> None:
    for _ in range(9):
        await add_job(created_at=1, **DUE)
    mine = await row(database, await add_job(created_at=2, **DUE))
    await lane_paces.tell(redis, {LANE: 4.0, "another": 100.0})

    pace = Pace(database, redis, CATALOG)

    assert await pace.place(mine) == Place(10, 2.5)
    assert await pace.jobs_per_s() == 104.0
    assert await pace.eta_of("ten_1", {"m": Need(90, 900)}) == 25.0
    assert await pace.eta_of("ten_2", {"m": Need(90, 900)}) == 25.0
    assert await pace.eta_of("ten_2", {"m": Need(5, 50)}) == 2.5


async def test_without_a_pace_the_limits_tell(
    database: Database, add_job: AddJob, redis: Redis
) -> None:
    mine = await add_job(lane=METERED, wakeup_at=None, model="metered", tokens=1000)
    unlimited = await add_job(**DUE)

    pace = Pace(database, redis, CATALOG)

    assert await pace.place(await row(database, mine)) == Place(1, 10.0)
    assert await pace.place(await row(database, unlimited)) == Place(1, None)
    assert await pace.eta_of("ten_2", {"metered": Need(59, 100)}) == 60.0
    assert await pace.eta_of("ten_2", {"m": Need(59, 100)}) is None


async def test_the_pace_of_an_idle_lane_says_nothing(
    database: Database, add_job: AddJob, redis: Redis
) -> None:
    await add_job(lane="another", wakeup_at=None)
    await add_job(held="paused", **DUE)
    # Three jobs in the last minute: that is how many came, not how fast it can go.
    await lane_paces.tell(redis, {LANE: 0.05, METERED: 0.05})

    pace = Pace(database, redis, CATALOG)

    assert await pace.eta_of("ten_1", {"m": Need(1000, 100)}) is None
    assert await pace.eta_of("ten_1", {"metered": Need(59, 100)}) == 59.0


async def test_a_job_that_rests_has_at_least_its_rest_before_it(
    database: Database, add_job: AddJob, redis: Redis
) -> None:
    mine = await add_job(not_before=now_ms() + 60_000, **DUE)
    await lane_paces.tell(redis, {LANE: 100.0})

    place = await Pace(database, redis, CATALOG).place(await row(database, mine))

    assert place is not None
    assert place.eta_s is not None
    assert 50 < place.eta_s <= 60


async def test_a_survey_knows_every_queue(database: Database, add_job: AddJob) -> None:
    await fill(database, 1001)
    await add_job(lane=LANE, wakeup_at=1, priority=0)
    await add_job(lane="another", wakeup_at=None)

    async with database.reading() as db:
        found = await place_store.marks(db)

    mine = found[LANE, "ten_1"]
    assert (mine.counts, mine.waiting, mine.interactive) == ([500, 1000], 1002, 1)
    assert found["another", "ten_1"].waiting == 1
