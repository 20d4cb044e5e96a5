"""What a job of several calls has kept: counted once, replaced by the answer to another question, deleted."""

from shared.database import Database
from shared.inference.usage import Usage
from shared.jobs import change_store, part_store
from shared.jobs.claims import AttemptEnd, PartEnd, Standing
from shared.jobs.transitions import AttemptStatus
from tests.integration.jobs.conftest import AddJob
from tests.integration.jobs.test_claims import claim, finish, row
from workers.journal import Journal


async def test_another_answer_is_kept_and_counted_the_same_one_is_not(
    database: Database, add_job: AddJob, journal: Journal
) -> None:
    (job,) = await claim(database, [await add_job()])
    attempt = AttemptEnd(1, AttemptStatus.OK, 200, usage=Usage(10, 2), cost_nanousd=5)
    first = PartEnd(job, 0, b"question\nanswer", attempt)
    other = PartEnd(job, 0, b"another question\nanswer", attempt)

    costs = []
    for part in (first, first, other, other):
        assert await journal.part(part) is Standing.HELD
        costs.append((await row(database, job.id))["cost_nanousd"])

    assert costs == [5, 5, 10, 10]
    async with database.reading() as db:
        assert await part_store.load(db, job) == {0: other.body}


async def test_they_go_with_the_job_that_is_deleted(database: Database, add_job: AddJob) -> None:
    (job,) = await claim(database, [await add_job()])
    attempt = AttemptEnd(1, AttemptStatus.OK, 200)
    async with database.transaction() as db:
        await part_store.keep(db, [PartEnd(job, 0, b"question\nanswer", attempt)])
    await finish(database, job)

    async with database.transaction() as db:
        await change_store.erase(db, "ten_1", job.id)

    async with database.reading() as db:
        assert await part_store.load(db, job) == {}
