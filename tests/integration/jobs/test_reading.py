"""Lists, filters, places in the queue, and the migrations, on both databases."""

from shared import migrate
from shared.clock import now_ms
from shared.database import Database
from shared.jobs import store
from shared.jobs.reader import JobReader
from shared.jobs.store import Filters
from shared.jobs.transitions import JobState
from tests.integration.jobs.conftest import AddJob


async def listed(database: Database, filters: Filters, **rest: object) -> list[str]:
    options = {"after": None, "ascending": True, "limit": 100, **rest}
    async with database.reading() as db:
        return [each["id"] for each in await store.page(db, "ten_1", filters, **options)]  # type: ignore[arg-type]


async def test_filters_narrow_the_list(database: Database, add_job: AddJob) -> None:
    waiting = await add_job(created_at=1, not_before=now_ms() + 1000)
    tagged = await add_job(created_at=2, metadata={"team": "a"})
    done = await add_job(created_at=3, state=JobState.COMPLETED, endpoint="/v1/embeddings")
    await add_job(created_at=4, deleted_at=1)
    await add_job(created_at=5, tenant_id="ten_2")

    assert [waiting, tagged, done] == await listed(database, Filters())
    assert [waiting] == await listed(database, Filters(status="waiting"))
    assert [tagged] == await listed(database, Filters(status="queued"))
    assert [done] == await listed(database, Filters(status="completed"))
    assert [done] == await listed(database, Filters(endpoint="/v1/embeddings"))
    assert [tagged] == await listed(database, Filters(tag=("team", "a")))
    assert await listed(database, Filters(tag=("team", "b"))) == []
    assert [tagged, done] == await listed(database, Filters(created_after=2))
    assert [waiting] == await listed(database, Filters(created_before=2))


async def test_pages_go_on_behind_a_place_in_both_directions(
    database: Database, add_job: AddJob
) -> None:
    ids = sorted([await add_job(created_at=7) for _ in range(5)])

    assert ids[:2] == await listed(database, Filters(), limit=2)
    assert ids[2:4] == await listed(database, Filters(), limit=2, after=(7, ids[1]))
    assert ids[:2][::-1] == await listed(
        database, Filters(), limit=2, after=(7, ids[2]), ascending=False
    )


async def test_the_reader_keeps_tenants_apart(database: Database, add_job: AddJob) -> None:
    mine, theirs = await add_job(), await add_job(tenant_id="ten_2")
    reader = JobReader(database)

    full = await reader.many("ten_1", [mine, theirs, "job_none", mine])

    assert [mine] == [each.job["id"] for each in full]
    assert await reader.get("ten_2", mine) is None


async def test_the_migrations_say_all_that_the_models_say(database: Database) -> None:
    assert await migrate.is_current(database)
    assert await migrate.differences(database) == []
    await migrate.upgrade(database)
