"""A batch that holds its lines: none is claimed or given out, long before each of them is marked."""

from shared.jobs import dispatch_store
from tests.integration.batches.yard import TENANT, Yard

LANE = "sandbox/echo"


async def test_a_batch_that_is_held_holds_all_its_lines_at_once(yard: Yard) -> None:
    batch_id = await yard.batch(3)
    other_id = await yard.batch(1)
    ids = [line["id"] for line in await yard.lines(batch_id)]
    (free,) = [line["id"] for line in await yard.lines(other_id)]

    await yard.change(batch_id, held=True)

    assert await _due(yard) == [free]
    assert [job.id for job in await yard.claim([*ids, free])] == [free]
    await yard.change(batch_id, held=False)
    assert sorted(await _due(yard)) == sorted(ids)
    assert sorted(job.id for job in await yard.claim(ids)) == sorted(ids)


async def _due(yard: Yard) -> list[str]:
    async with yard.resources.database.reading() as db:
        return [job.id for job in await dispatch_store.first_due(db, LANE, TENANT, limit=10)]
