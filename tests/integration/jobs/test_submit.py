"""Submitting: one transaction, idempotency, admission, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import outbox, redis
from shared.clock import now_ms
from shared.database import Database
from shared.enqueue import Enqueuer
from shared.errors import Conflict, LimitExceeded, PenstockError, Unavailable, Unprocessable
from shared.jobs import store
from shared.jobs.announcer import Announcer
from shared.jobs.draft import IdempotencyClaim, JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.submit import Submission, Submitter
from shared.jobs.transitions import JobState
from shared.publisher import Publisher
from shared.settings import Settings

NOWHERE = "redis://127.0.0.1:1/0"


class Desk:
    """A submitter whose broker is out of reach, and what it stored."""

    def __init__(self, database: Database, **settings: object) -> None:
        self.database = database
        self.enqueuer = Enqueuer(NOWHERE)
        self.publisher = Publisher(database, self.enqueuer)
        announcer = Announcer(redis.connect(NOWHERE), self.publisher)
        self.submitter = Submitter(
            database,
            self.publisher,
            announcer,
            Settings(**settings),  # type: ignore[arg-type]
        )

    async def submit(self, **changes: object) -> Submission:
        now = now_ms()
        fields = {"tenant_id": "ten_1", "endpoint": Endpoint.CHAT, "model": "m", "body": b"{}"}
        draft = JobDraft(
            **{
                **fields,
                "request_bytes": 2,
                "created_at": now,
                "complete_by": now + 10**6,
                **changes,
            }  # type: ignore[arg-type]
        )
        return await self.submitter.submit(draft)

    async def count(self) -> int:
        async with self.database.reading() as db:
            return sum(jobs for jobs, *_ in (await store.backlog(db)).values())

    async def promises(self) -> list[str]:
        async with self.database.reading() as db:
            promises = await outbox.overdue(db, older_than_ms=0, limit=1000)
        return [each for promise in promises for each in promise.wakeup.kwargs["ids"]]  # type: ignore[union-attr, misc]


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(database, data_dir=tmp_path)
    yield desk
    await desk.submitter.close()
    await desk.enqueuer.close()


def key(name: str, fingerprint: str = "f") -> IdempotencyClaim:
    return IdempotencyClaim(name, fingerprint)


async def test_job_body_and_wakeup_are_stored_together_without_a_broker(desk: Desk) -> None:
    submission = await desk.submit()

    assert [submission.job["id"]] == await desk.promises()
    async with desk.database.reading() as db:
        job = await store.get(db, "ten_1", submission.job["id"])
    assert job is not None
    assert {name: job[name] for name in submission.job} == dict(submission.job)


async def test_a_scheduled_job_promises_nothing_yet(desk: Desk) -> None:
    submission = await desk.submit(scheduled_at=now_ms() + 60_000)

    assert submission.job["state"] == JobState.SCHEDULED
    assert not await desk.promises()


async def test_many_at_once_are_stored_each_once(desk: Desk) -> None:
    submissions = await asyncio.gather(*(desk.submit() for _ in range(300)))

    ids = {submission.job["id"] for submission in submissions}
    assert 300 == len(ids) == await desk.count()
    assert sorted(ids) == sorted(await desk.promises())


async def test_the_same_key_gives_the_same_job(desk: Desk) -> None:
    first = await desk.submit(idempotency=key("k"))
    again = await desk.submit(idempotency=key("k"))

    assert (first.replayed, again.replayed) == (False, True)
    assert first.job["id"] == again.job["id"]
    assert await desk.count() == 1


async def test_a_key_belongs_to_its_tenant(desk: Desk) -> None:
    first = await desk.submit(idempotency=key("k"))
    other = await desk.submit(idempotency=key("k"), tenant_id="ten_2")

    assert not other.replayed
    assert first.job["id"] != other.job["id"]


async def test_another_body_under_the_same_key_is_refused(desk: Desk) -> None:
    await desk.submit(idempotency=key("k"))

    with pytest.raises(Unprocessable):
        await desk.submit(idempotency=key("k", "g"))
    assert await desk.count() == 1


async def test_fifty_at_once_with_one_key_make_one_job(desk: Desk) -> None:
    asked = (desk.submit(idempotency=key("k")) for _ in range(50))

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert await desk.count() == 1
    stored = [each for each in answers if isinstance(each, Submission)]
    assert len({submission.job["id"] for submission in stored}) == 1
    assert all(isinstance(each, Conflict) for each in answers if each not in stored)


async def test_two_processes_with_one_key_make_one_job(desk: Desk, tmp_path: Path) -> None:
    other = Desk(desk.database, data_dir=tmp_path)

    answers = await asyncio.gather(
        *(each.submit(idempotency=key(f"k{n}")) for n in range(20) for each in (desk, other))
    )

    assert 20 == await desk.count() == len({answer.job["id"] for answer in answers})
    assert sum(answer.replayed for answer in answers) == 20
    await other.submitter.close()
    await other.enqueuer.close()


async def test_a_key_past_its_time_is_new_again(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, data_dir=tmp_path, idempotency_ttl_s=-1)

    first = await desk.submit(idempotency=key("k"))
    again = await desk.submit(idempotency=key("k", "another"))

    assert first.job["id"] != again.job["id"]
    await desk.submitter.close()
    await desk.enqueuer.close()


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"max_queued_jobs_per_tenant": 3}, LimitExceeded),
        ({"max_queued_bytes_per_tenant": 7}, LimitExceeded),
        ({"max_queued_jobs": 3}, Unavailable),
        ({"max_queued_bytes": 7}, Unavailable),
    ],
)
async def test_what_finds_no_room_is_refused_with_the_numbers(
    database: Database, tmp_path: Path, setting: dict[str, int], error: type[PenstockError]
) -> None:
    desk = Desk(database, data_dir=tmp_path, **setting)

    answers = await asyncio.gather(*(desk.submit() for _ in range(5)), return_exceptions=True)

    refused = [each for each in answers if isinstance(each, PenstockError)]
    assert [error] * 2 == [type(each) for each in refused]
    limit = next(iter(setting.values()))
    assert limit == refused[0].extra["limit"]
    assert refused[0].extra["current"] in {3, 6}
    assert refused[0].retry_after_s
    assert await desk.count() == 3
    await desk.submitter.close()
    await desk.enqueuer.close()


async def test_a_full_disk_is_told(database: Database, tmp_path: Path) -> None:
    desk = Desk(database, data_dir=tmp_path, min_free_disk_bytes=2**60)

    with pytest.raises(Unavailable, match="disk"):
        await desk.submit()
    assert await desk.count() == 0
    await desk.enqueuer.close()
