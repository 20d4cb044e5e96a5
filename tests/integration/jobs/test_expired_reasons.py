"""A job whose time is over while it waits: its error says what it waited for."""

import pytest

from shared.database import Database
from shared.jobs import store, timer_store
from shared.jobs.transitions import Reason
from tests.integration.jobs.conftest import AddJob


@pytest.mark.parametrize(
    ("reason", "waited"),
    [
        (Reason.RATE_LIMITED, "rate_limited"),
        (Reason.PROVIDER_DOWN, "provider_down"),
        (Reason.CONCURRENCY, "concurrency"),
        (Reason.RESCUED, None),
        (None, None),
    ],
)
async def test_what_it_waited_for_stands_in_its_error(
    database: Database, add_job: AddJob, reason: Reason | None, waited: str | None
) -> None:
    job_id = await add_job(complete_by=1, reason=reason)

    async with database.transaction() as db:
        await timer_store.expire(db, limit=10)

    async with database.reading() as db:
        (job,) = await store.lookup(db, "ten_1", [job_id])
    error = job["error"]
    assert (job["state"], job["reason"], error["code"]) == ("expired", "deadline", "deadline")
    assert error.get("waited_for") == waited
    assert (f"It waited: {waited}." in error["message"]) is (waited is not None)
