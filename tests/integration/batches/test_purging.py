"""A purged batch leaves nothing of what was asked and answered: not of an earlier end, nor unpacked."""

from shared.batches import purge
from shared.batches.model import InputKind
from shared.files import removal
from shared.jobs.transitions import JobState
from tests.integration.batches.piles import TASK, Piles, packed
from tests.integration.batches.yard import Yard

FILES = {f"letter-{number}.txt": b"Dear Sir" for number in range(3)}


async def purged(yard: Yard, batch_id: str) -> None:
    row = await yard.row(batch_id)
    assert await purge.purge(yard.resources.database, yard.resources.blobs, row)


async def ids(yard: Yard, batch_id: str) -> list[str]:
    return [line["id"] for line in await yard.lines(batch_id)]


async def test_the_files_of_every_end_go(yard: Yard) -> None:
    batch_id = await yard.batch(2)
    first, second = await ids(yard, batch_id)
    await yard.finish([first])
    await yard.finish([second], JobState.FAILED)
    await yard.lead()
    await yard.retry(batch_id)
    await yard.lead()
    await yard.finish([second])
    await yard.lead()
    assert len(await Piles(yard).files()) == 3

    await purged(yard, batch_id)

    assert all(row["deleted_at"] for row in await Piles(yard).files())


async def test_a_retry_that_is_cancelled_at_once_ends_with_files_of_its_own(yard: Yard) -> None:
    batch_id = await yard.batch(1)
    await yard.finish(await ids(yard, batch_id), JobState.FAILED)
    await yard.lead()
    before = (await yard.row(batch_id))["error_file_id"]
    await yard.retry(batch_id)
    await yard.cancel(batch_id)
    await yard.change(batch_id, retrying=False)
    await yard.lead()
    row = await yard.row(batch_id)
    assert row["state"] == "cancelled"

    resources = yard.resources
    await removal.remove(
        resources.database, resources.blobs, tenant_id=yard.tenant_id, file_id=before
    )

    assert len((await yard.file(row["error_file_id"]))[1]) == 1


async def test_what_came_in_an_archive_goes(yard: Yard) -> None:
    piles = Piles(yard)
    options = {"task": TASK, "endpoint": "/v1/documents"}
    batch_id = await piles.create(packed(FILES), kind=InputKind.ZIP, options=options)
    other = await piles.put_file()
    await piles.expand()
    await yard.finish(await ids(yard, batch_id))
    await yard.lead()

    await purged(yard, batch_id)

    left = [row for row in await piles.files() if row["deleted_at"] is None]
    assert [row["id"] for row in left] == [other]
