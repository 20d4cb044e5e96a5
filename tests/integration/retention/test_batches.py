"""Batches past their time, or purged by hand: lines and bytes go, counts and cost stay."""

import pytest

from shared.batches import purge, purge_store
from shared.clock import now_ms
from shared.database import Row
from tests.integration.retention.conftest import DAY_MS, Archive


async def the_batch(archive: Archive) -> Row:
    (row,) = await archive.rows("batch")
    return row


async def test_its_lines_go_and_its_counts_stay(archive: Archive) -> None:
    single = await archive.add_job(days_ago=1)
    await archive.add_batch(3, days_ago=31)

    await archive.prune()

    batch = await the_batch(archive)
    assert (batch["total"], batch["completed"], batch["cost_nanousd"]) == (3, 3, 2100)
    assert batch["purged_at"] is not None
    assert not batch["purging"]
    assert batch["webhook"] is None
    assert "secret" not in str(batch["metadata"])
    assert await archive.ids() == {single}
    assert await archive.owners_of_belongings() == {single}
    assert await archive.rows("batch_input") == await archive.rows("batch_event") == []
    assert await archive.keys() == {f"results/{single}/1-1.json"}
    # What a batch has counted is not counted again.
    assert await archive.rows("purged") == []


@pytest.mark.parametrize(
    ("own", "tenant", "days", "gone"),
    [
        (None, "ten_1", 29, False),
        (None, "ten_1", 31, True),
        (None, "ten_2", 0.9, False),
        (None, "ten_2", 1.1, True),
        (40 * 86_400, "ten_1", 35, False),
        (3600, "ten_1", 0.1, True),
    ],
)
async def test_its_own_time_goes_before_its_tenants_and_that_before_the_setting(
    archive: Archive, own: int | None, tenant: str, days: float, gone: bool
) -> None:
    await archive.add_batch(1, days_ago=days, tenant=tenant, retention_s=own)

    await archive.prune()

    assert (await archive.ids() == set()) is gone
    assert ((await the_batch(archive))["purged_at"] is not None) is gone


async def test_by_hand_it_is_gone_at_once_with_its_output(archive: Archive) -> None:
    later = now_ms() + DAY_MS
    output, errors = [await archive.add_file(expires_at=later) for _ in range(2)]
    upload = await archive.add_file()
    files = {"output_file_id": output, "error_file_id": errors, "input_file_id": upload}
    await archive.add_batch(3, days_ago=0, **files)

    assert await purge.purge(archive.database, archive.blobs, await the_batch(archive))

    assert await archive.ids() == set()
    deleted = {row["id"]: row["deleted_at"] is not None for row in await archive.rows("file")}
    assert deleted == {output: True, errors: True, upload: False}
    assert (await the_batch(archive))["completed"] == 3


async def test_an_output_file_that_expires_by_itself_outlives_its_batch(archive: Archive) -> None:
    expiring = await archive.add_file(expires_at=now_ms() + DAY_MS)
    lasting = await archive.add_file()
    files = {"output_file_id": expiring, "error_file_id": lasting}
    await archive.add_batch(1, days_ago=31, **files)

    await archive.prune()

    deleted = {row["id"]: row["deleted_at"] is not None for row in await archive.rows("file")}
    assert deleted == {expiring: False, lasting: True}


async def test_one_that_has_not_ended_cannot_be_purged(archive: Archive) -> None:
    await archive.add_batch(2, days_ago=0, state="in_progress", finished_at=None)

    assert not await purge.purge(archive.database, archive.blobs, await the_batch(archive))

    assert len(await archive.ids()) == 2
    assert (await the_batch(archive))["purged_at"] is None


async def test_again_it_says_yes_and_does_nothing(archive: Archive) -> None:
    await archive.add_batch(1, days_ago=0)
    assert await purge.purge(archive.database, archive.blobs, await the_batch(archive))
    before = await the_batch(archive)

    assert await purge.purge(archive.database, archive.blobs, before)

    assert await the_batch(archive) == before


async def test_what_a_crash_left_is_finished(archive: Archive) -> None:
    batch_id = await archive.add_batch(3, days_ago=0)
    async with archive.database.transaction() as db:
        assert await purge_store.mark(db, batch_id, with_files=True)
    marked = await the_batch(archive)
    assert (marked["purging"], len(await archive.ids())) == (1, 3)

    await archive.prune()

    assert await archive.ids() == set()
    assert not (await the_batch(archive))["purging"]


async def test_a_line_that_never_ended_goes_too(archive: Archive) -> None:
    batch_id = await archive.add_batch(1, days_ago=31)
    await archive.add_job(days_ago=31, batch_id=batch_id, state="queued", finished_at=None)

    await archive.prune()

    assert await archive.ids() == set()


async def test_what_takes_too_long_is_left_to_the_next_turn(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.add_batch(3, days_ago=0)
    monkeypatch.setattr(purge, "LINES_AT_ONCE", 1)
    monkeypatch.setattr(purge, "AT_HAND_S", -1.0)

    assert await purge.purge(archive.database, archive.blobs, await the_batch(archive))

    assert len(await archive.ids()) == 2
    assert (await the_batch(archive))["purging"]
    await archive.prune()
    assert await archive.ids() == set()
