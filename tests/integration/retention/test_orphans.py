"""Blobs that nothing names go when they are old; named, young and foreign ones never do."""

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from shared import tables
from shared.files import orphan_store
from shared.files.blobs import new_key
from shared.files.orphans import OrphanSearch
from shared.ids import file_id_of, new_id
from tests.integration.retention.conftest import Archive
from workers.scheduler import retention

HOUR_S = 3600
JOB, FILE = new_id("job"), f"files/ab/{new_id('blob')}"
OURS = (
    FILE,
    new_key("doctor"),
    f"files/ab/{file_id_of(1, b'0123456789')}",
    f"requests/{new_id('req')}.json",
    f"results/{JOB}.json",
    f"results/{JOB}/1-2.json",
    f"batches/ab/{new_id('batch')}-17-output",
)
FOREIGN = (
    "backup.tar",
    "files/ab/report.pdf",
    "results/job_1/1-2.json",
    f"elsewhere/{new_id('blob')}",
    f"{FILE}.bak",
)


def age(archive: Archive, key: str, hours: float) -> None:
    """Make a blob look as if it was written so long ago."""
    path = archive.resources.settings.data_dir / "blobs" / key
    moment = time.time() - hours * HOUR_S
    os.utime(path, (moment, moment))


async def search(archive: Archive) -> int:
    found = OrphanSearch(archive.database, archive.blobs, age_s=24 * HOUR_S)
    assert await found.go_on(within_s=60)
    return found.removed


async def test_only_what_is_old_and_unnamed_goes(archive: Archive) -> None:
    await archive.add_job(days_ago=0)
    await archive.add_batch(1, days_ago=0)
    await archive.add_file()
    async with archive.database.transaction() as db:
        await db.execute(text("UPDATE job_request SET blob = 'requests/' || job_id"))
    for row in await archive.rows("job_request"):
        await archive.blobs.put(str(row["blob"]), b"{}")
    named = await archive.keys()
    for key in (*OURS, *FOREIGN):
        await archive.blobs.put(key, b"x")
    for key in await archive.keys():
        age(archive, key, 25)
    young = f"results/{JOB}/1-3.json"
    await archive.blobs.put(young, b"young")
    age(archive, young, 23)
    assert len(named) == 6

    assert await search(archive) == len(OURS)

    assert await archive.keys() == {*named, *FOREIGN, young}


async def test_one_older_than_the_database_is_somebody_elses(archive: Archive) -> None:
    await archive.blobs.put(FILE, b"x")
    age(archive, FILE, 101 * 24)

    assert await search(archive) == 0

    assert await archive.keys() == {FILE}


async def test_it_goes_on_where_its_time_ran_out(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.files.blobs.LISTED_AT_ONCE", 2)
    for key in OURS:
        await archive.blobs.put(key, b"x")
        age(archive, key, 25)
    found = OrphanSearch(archive.database, archive.blobs, age_s=24 * HOUR_S)

    turns = 1
    while not await found.go_on(within_s=0):
        turns += 1

    assert (turns, found.removed, await archive.keys()) == (5, 7, set())


async def test_what_a_crash_behind_the_commit_left_is_found(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(point: str) -> None:
        raise SystemError(point)

    job_id = await archive.add_job(days_ago=31)
    monkeypatch.setattr(retention, "failpoint", die)
    with pytest.raises(SystemError, match="after_pruning"):
        await archive.prune()
    assert (await archive.ids(), await archive.keys()) == (set(), {f"results/{job_id}/1-1.json"})
    age(archive, f"results/{job_id}/1-1.json", 25)

    assert await search(archive) == 1

    assert await archive.keys() == set()


async def test_half_written_files_of_dead_writers_go(archive: Archive, tmp_path: Path) -> None:
    await archive.blobs.put("files/ab/whole", b"x")
    for name in ("files/ab/old#1", "files/ab/young#2"):
        (tmp_path / "blobs" / name).write_bytes(b"half")
    age(archive, "files/ab/old#1", 25)

    await search(archive)

    left = {each.name for each in (tmp_path / "blobs").rglob("*") if each.is_file()}
    assert left == {"whole", "young#2"}


def test_every_table_that_names_blobs_is_asked() -> None:
    naming = {name for name, table in tables.metadata.tables.items() if "blob" in table.columns}

    assert naming == set(orphan_store.NAMING)
