"""What earlier calls of a claim came to is written with the start of the next: a crash forgets none of it."""

from dataclasses import replace

import pytest

from shared.database import Database
from shared.inference.usage import Usage
from shared.jobs.claims import AttemptEnd, AttemptStart, ClaimedJob, ClaimEnd, Result, Standing
from shared.jobs.transitions import AttemptStatus, JobState
from tests.integration.jobs.conftest import AddJob
from tests.integration.jobs.test_claims import attempts, claim, row, take_away
from workers.journal import Journal

FAILED = AttemptEnd(1, AttemptStatus.ERROR, 500, "server_error", "oh no", Usage(10, 2), 5)
DONE = AttemptEnd(2, AttemptStatus.OK, 200, usage=Usage(20, 4), cost_nanousd=7)


@pytest.fixture
async def job(database: Database, add_job: AddJob) -> ClaimedJob:
    (job,) = await claim(database, [await add_job()])
    return job


def second(job: ClaimedJob) -> AttemptStart:
    return AttemptStart(job, 2, "backup", "lane-b", 0, earlier=(FAILED,), failures=1)


async def test_costs_and_failures_are_kept_while_the_claim_goes_on(
    database: Database, journal: Journal, job: ClaimedJob
) -> None:
    await journal.start(AttemptStart(job, 1, "primary", "lane-a", 0))

    # Twice, as after a commit whose answer was lost.
    for _ in range(2):
        assert await journal.start(second(job)) is Standing.HELD

        stored = await row(database, job.id)
        assert (stored["failures"], stored["cost_nanousd"], stored["input_tokens"]) == (1, 5, 10)
        rows = await attempts(database, job.id)
        assert [(each["status"], each["error_code"]) for each in rows] == [
            ("error", "server_error"),
            ("started", None),
        ]


async def test_the_end_adds_what_is_left(
    database: Database, journal: Journal, job: ClaimedJob
) -> None:
    await journal.start(AttemptStart(job, 1, "primary", "lane-a", 0))
    await journal.start(second(job))

    end = ClaimEnd(job, JobState.COMPLETED, result=Result(200, b"{}"), attempts=(DONE,))
    assert await journal.end(end)

    stored = await row(database, job.id)
    assert (stored["failures"], stored["cost_nanousd"], stored["input_tokens"]) == (1, 12, 30)


async def test_who_has_lost_the_claim_counts_nothing(
    database: Database, journal: Journal, job: ClaimedJob
) -> None:
    await journal.start(AttemptStart(job, 1, "primary", "lane-a", 0))
    await take_away(database, job.id)

    assert await journal.start(second(job)) is Standing.LOST

    stored = await row(database, job.id)
    assert (stored["failures"], stored["cost_nanousd"]) == (0, None)
    assert len(await attempts(database, job.id)) == 1


async def test_failures_of_earlier_claims_are_no_less(
    database: Database, journal: Journal, job: ClaimedJob
) -> None:
    await journal.start(AttemptStart(job, 1, "primary", "lane-a", 0))

    await journal.start(second(replace(job, failures=2)))
    assert (await row(database, job.id))["failures"] == 3
