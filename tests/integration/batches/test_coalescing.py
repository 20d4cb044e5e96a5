"""Lines that ask the same: one asks, all end, and whatever becomes of the one, none is forgotten."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from shared.batches.model import BatchState
from shared.database import Row
from shared.jobs import timer_store
from shared.jobs.model import Job, JobResult
from shared.jobs.transitions import JobState
from tests.integration.batches.piles import Piles, chat, jsonl
from tests.integration.batches.yard import ANSWER, TENANT, Yard
from workers.batches import coalescing
from workers.batches.coalescing import Coalescing

COALESCE = {"coalesce": True}


@pytest.fixture
def piles(yard: Yard) -> Piles:
    return Piles(yard)


async def stored(piles: Piles, *texts: str, tenant_id: str = TENANT) -> tuple[str, Sequence[Row]]:
    """Store a coalescing batch with a line for each of these texts; return its id and its lines."""
    lines = [chat(f"c{number}", text) for number, text in enumerate(texts)]
    batch_id = await piles.create(jsonl(lines), options=COALESCE, tenant_id=tenant_id)
    await piles.expand()
    return batch_id, await piles.yard.lines(batch_id)


async def coalesce(piles: Piles) -> None:
    leader = Coalescing(piles.resources)
    for _ in range(3):
        await leader.perform()


async def results(piles: Piles, ids: Sequence[str]) -> list[bytes | None]:
    async with piles.resources.database.reading() as db:
        query = select(col(JobResult.body)).where(col(JobResult.job_id).in_(ids))
        return list((await db.execute(query)).scalars())


async def end(piles: Piles, line: Row, **values: object) -> None:
    """End a waiting line as an expiry or a cancellation does, and have it counted."""
    async with piles.resources.database.transaction() as db:
        await db.execute(
            update(Job).where(col(Job.id) == line["id"]).values(finished_at=1, **values)
        )


async def test_one_asks_and_all_end(piles: Piles) -> None:
    batch_id, lines = await stored(piles, "a", "b", "a", "a")
    first, other, second, third = lines

    assert [line["held"] for line in lines] == [None, None, "coalesced", "coalesced"]
    assert second["follows"] == third["follows"] == first["id"]
    assert first["twin_key"] == second["twin_key"] != other["twin_key"]
    await coalesce(piles)
    assert [line["state"] for line in await piles.yard.lines(batch_id)] == ["queued"] * 4

    await piles.yard.finish([first["id"]])
    await coalesce(piles)

    ends = await piles.yard.lines(batch_id)
    assert [line["state"] for line in ends] == ["completed", "queued", "completed", "completed"]
    assert [line["cached"] for line in ends] == [False, False, True, True]
    assert ends[2]["held"] is None
    assert ends[2]["input_tokens"] is None
    assert not ends[2]["cost_nanousd"]
    assert await results(piles, [second["id"], third["id"]]) == [ANSWER, ANSWER]
    batch = await piles.yard.row(batch_id)
    assert (batch["total"], batch["completed"], batch["outcomes"]) == (4, 3, 3)
    shown = await piles.yard.results(batch_id)
    assert sorted(each["custom_id"] for each in shown) == ["c0", "c2", "c3"]
    assert sorted(line["outcome_number"] for line in ends if line["outcome_number"]) == [1, 2, 3]


async def test_across_batches_of_one_tenant(piles: Piles) -> None:
    _, (asker,) = await stored(piles, "a")
    batch_id, (follower,) = await stored(piles, "a")
    _, (stranger,) = await stored(piles, "a", tenant_id="ten_2")

    assert follower["follows"] == asker["id"]
    assert stranger["held"] is None
    await piles.yard.finish([asker["id"]])
    await coalesce(piles)
    await piles.yard.lead()
    assert (await piles.yard.row(batch_id))["state"] == BatchState.COMPLETED

    # What has ended answers nobody any more.
    _, (fresh,) = await stored(piles, "a")
    assert fresh["held"] is None


async def test_other_batches_are_left_alone(piles: Piles) -> None:
    batch_id = await piles.create(jsonl([chat("c0", "a"), chat("c1", "a")]))
    await piles.expand()
    assert [line["held"] for line in await piles.yard.lines(batch_id)] == [None, None]
    assert {line["twin_key"] for line in await piles.yard.lines(batch_id)} == {None}


async def test_the_order_of_keys_is_no_matter(piles: Piles) -> None:
    line = chat("c0")
    turned = chat("c1") | {"body": dict(reversed(line["body"].items()))}
    batch_id = await piles.create(jsonl([line, turned]), options=COALESCE)
    await piles.expand()
    first, second = await piles.yard.lines(batch_id)
    assert second["follows"] == first["id"]


async def test_across_chunks(piles: Piles) -> None:
    _, lines = await stored(piles, *(["a"] * 1200))
    assert {line["follows"] for line in lines[1:]} == {lines[0]["id"]}


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED])
async def test_who_asks_fails_and_the_next_one_asks(piles: Piles, state: JobState) -> None:
    batch_id, (first, second, third, fourth) = await stored(piles, "a", "a", "a", "a")
    if state is JobState.FAILED:
        await piles.yard.finish([first["id"]], state)
    else:
        await end(piles, first, state=state)

    await coalesce(piles)

    lines = {line["id"]: line for line in await piles.yard.lines(batch_id)}
    assert lines[second["id"]]["held"] is None
    assert lines[second["id"]]["follows"] is None
    assert lines[second["id"]]["state"] == "queued"
    assert lines[third["id"]]["follows"] == second["id"]
    assert lines[fourth["id"]]["follows"] == second["id"]
    await piles.yard.finish([second["id"]])
    await coalesce(piles)
    states = [line["state"] for line in await piles.yard.lines(batch_id)]
    assert states == [state, "completed", "completed", "completed"]


async def test_who_asks_is_gone(piles: Piles) -> None:
    batch_id, (first, second) = await stored(piles, "a", "a")
    async with piles.resources.database.transaction() as db:
        await db.execute(Job.__table__.delete().where(col(Job.id) == first["id"]))  # type: ignore[attr-defined]

    await coalesce(piles)

    (left,) = await piles.yard.lines(batch_id)
    assert (left["id"], left["held"]) == (second["id"], None)


async def test_the_answer_is_gone(piles: Piles) -> None:
    batch_id, (first, second) = await stored(piles, "a", "a")
    await piles.yard.finish([first["id"]])
    async with piles.resources.database.transaction() as db:
        await db.execute(JobResult.__table__.delete())  # type: ignore[attr-defined]

    await coalesce(piles)

    assert (await piles.yard.lines(batch_id))[1]["held"] is None
    assert second["held"] is not None


async def test_a_large_answer_is_copied_to_each(piles: Piles) -> None:
    batch_id, (first, second, third) = await stored(piles, "a", "a", "a")
    await piles.yard.finish([first["id"]])
    await piles.resources.blobs.put("results/large", b"{}")
    async with piles.resources.database.transaction() as db:
        await db.execute(update(JobResult).values(body=None, blob="results/large"))

    await coalesce(piles)

    async with piles.resources.database.reading() as db:
        query = select(col(JobResult.job_id), col(JobResult.blob))
        blobs = {row.job_id: row.blob for row in await db.execute(query)}
    assert len(set(blobs.values())) == 3
    for each in (second, third):
        assert await piles.resources.blobs.get(blobs[each["id"]]) == b"{}"
    assert (await piles.yard.row(batch_id))["completed"] == 3


async def test_followers_end_on_their_own(piles: Piles) -> None:
    batch_id, (first, second, third) = await stored(piles, "a", "a", "a")
    async with piles.resources.database.transaction() as db:
        past = update(Job).where(col(Job.id) == second["id"]).values(complete_by=1)
        await db.execute(past)
        expired = await timer_store.expire(db, limit=10)
        await piles.resources.announcer.announce(db, expired)
    assert [change.job_id for change in expired] == [second["id"]]

    await piles.yard.finish([first["id"]])
    await coalesce(piles)

    states = [line["state"] for line in await piles.yard.lines(batch_id)]
    assert states == ["completed", "expired", "completed"]
    assert third["held"] == "coalesced"


async def test_a_cancelled_batch_takes_its_followers_along(piles: Piles) -> None:
    _, (asker,) = await stored(piles, "a")
    batch_id, _ = await stored(piles, "a", "a")

    await piles.yard.cancel(batch_id)
    await piles.yard.lead()

    batch = await piles.yard.row(batch_id)
    assert (batch["state"], batch["cancelled"]) == (BatchState.CANCELLED, 2)
    await piles.yard.finish([asker["id"]])
    await coalesce(piles)
    assert (await piles.yard.row(batch_id))["completed"] == 0


async def test_the_batch_of_who_asks_is_cancelled(piles: Piles) -> None:
    first_id, _ = await stored(piles, "a")
    second_id, (follower, _) = await stored(piles, "a", "a")

    await piles.yard.cancel(first_id)
    await piles.yard.lead()
    await coalesce(piles)
    await piles.yard.finish([follower["id"]])
    await coalesce(piles)

    assert (await piles.yard.row(second_id))["completed"] == 2


async def test_the_batch_of_who_asks_is_paused(piles: Piles) -> None:
    first_id, (asker, own) = await stored(piles, "a", "a")
    second_id, (heir, other) = await stored(piles, "a", "a")

    await piles.yard.change(first_id, paused=True, held=True)
    await piles.yard.lead()
    await coalesce(piles)

    lines = {line["id"]: line for line in await piles.yard.lines(second_id)}
    assert lines[heir["id"]]["held"] is None
    assert lines[other["id"]]["follows"] == heir["id"]
    paused = {line["id"]: line for line in await piles.yard.lines(first_id)}
    assert paused[asker["id"]]["held"] == "paused"
    assert (paused[own["id"]]["held"], paused[own["id"]]["follows"]) == ("coalesced", asker["id"])
    await piles.yard.finish([heir["id"]])
    await coalesce(piles)
    assert (await piles.yard.row(second_id))["completed"] == 2
    await piles.yard.change(first_id, paused=False, held=False)
    await piles.yard.lead()
    await piles.yard.finish([asker["id"]])
    await coalesce(piles)
    assert (await piles.yard.row(first_id))["completed"] == 2


@pytest.mark.parametrize("point", ["mid_coalescing", "mid_succession"])
async def test_a_leader_that_dies_in_between(
    piles: Piles, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id, lines = await stored(piles, *(["a"] * 10))
    if point == "mid_succession":
        await piles.yard.finish([lines[0]["id"]], JobState.FAILED)
    else:
        await piles.yard.finish([lines[0]["id"]])
    monkeypatch.setattr(coalescing, "MOST_AT_ONCE", 4)
    died: list[str] = []

    def die(name: str) -> None:
        if name == point and len(died) < 2:
            died.append(name)
            raise RuntimeError(name)

    monkeypatch.setattr(coalescing, "failpoint", die)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await Coalescing(piles.resources).perform()

    await coalesce(piles)
    asking = [x for x in await piles.yard.lines(batch_id) if x["held"] is None]
    asking = [line for line in asking if line["state"] == "queued"]
    assert len(asking) == (1 if point == "mid_succession" else 0)
    await piles.yard.finish([line["id"] for line in asking])
    await coalesce(piles)

    batch = await piles.yard.row(batch_id)
    assert batch["completed"] + batch["failed"] == 10
    numbers = sorted(line["outcome_number"] for line in await piles.yard.lines(batch_id))
    assert numbers == list(range(1, 11))


async def test_followers_are_not_claimed(piles: Piles) -> None:
    _, (first, second) = await stored(piles, "a", "a")
    claimed = await piles.yard.claim([first["id"], second["id"]])
    assert [job.id for job in claimed] == [first["id"]]
