"""What is performed for many rows at once writes what SQLAlchemy would have written."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlmodel import col

from shared.database import Database
from shared.jobs.model import Job
from shared.jobs.prepared_store import among_ids, many_ids, perform_many

AddJob = Callable[..., Awaitable[str]]

WRITE = (
    update(Job)
    .where(col(Job.id) == bindparam("at_job"))
    .values(version=Job.version + 1, reason="fixed", cancel_requested=True)
)
ODD = 'it\'s "odd", \\ and \u00fc'


async def test_rows_are_written_as_by_sqlalchemy(database: Database, add_job: AddJob) -> None:
    """JSON, its absence, numbers and texts, for each row its own, beside what is the same for all."""
    ids = [await add_job() for _ in range(3)]
    rows: list[dict[str, Any]] = [
        {"at_job": ids[0], "error": {"code": ODD, "n": [1, None]}, "cost_nanousd": 2**40},
        {"at_job": ids[1], "error": None, "cost_nanousd": None},
        {"at_job": ids[2], "error": {}, "cost_nanousd": 0},
    ]
    async with database.transaction() as db:
        await perform_many(db, WRITE, rows[:2])
        await perform_many(db, WRITE, rows[2:])

    found = await _rows(database, ids)
    for row in rows:
        job = found[row["at_job"]]
        assert (job.error, job.cost_nanousd) == (row["error"], row["cost_nanousd"])
        assert (job.version, job.reason, job.cancel_requested) == (2, "fixed", True)


async def test_other_columns_make_another_statement(database: Database, add_job: AddJob) -> None:
    """What is kept of a statement is kept for its columns: others do not get the values of these."""
    first, second = await add_job(), await add_job()
    async with database.transaction() as db:
        await perform_many(db, WRITE, [{"at_job": first, "lane": "a"}])
        await perform_many(db, WRITE, [{"at_job": second, "custom_id": ODD}])

    found = await _rows(database, [first, second])
    assert (found[first].lane, found[first].custom_id) == ("a", None)
    assert (found[second].lane, found[second].custom_id) == (None, ODD)


async def test_many_ids_are_one_parameter(database: Database, add_job: AddJob) -> None:
    """Those that are there are found, however odd they are and however often they are named."""
    ids = [f"job_{n}{ODD}" for n in range(60)]
    for job_id in ids:
        await add_job(id=job_id)
    dialect = "sqlite" if database.is_sqlite else "postgresql"
    query = select(col(Job.id)).where(among_ids(dialect, col(Job.id)))
    wanted = [*ids[:50], ids[0], "job_gone"]
    async with database.reading() as db:
        found = (await db.execute(query, {"ids": many_ids(dialect, wanted)})).scalars().all()
        nothing = (await db.execute(query, {"ids": many_ids(dialect, [])})).scalars().all()
    assert sorted(found) == sorted(ids[:50])
    assert nothing == []


async def _rows(database: Database, ids: list[str]) -> dict[str, Any]:
    query = select(Job.__table__).where(col(Job.id).in_(ids))  # type: ignore[attr-defined]
    async with database.reading() as db:
        return {row.id: row for row in await db.execute(query)}
