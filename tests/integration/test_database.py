"""SQLite's kept connection after a transaction that could not begin."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import database as database_module
from shared.database import UNAVAILABLE, Database


@pytest.fixture
async def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(database_module, "SQLITE_BUSY_MS", 50)
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'notes.db'}")
    async with opened.transaction() as db:
        await db.exec_driver_sql("CREATE TABLE note (words TEXT)")
    yield opened
    await opened.close()


def lock(database: Database) -> sqlite3.Connection:
    foreign = sqlite3.connect(str(database.url.database), isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    return foreign


async def write(database: Database, words: str, *, fail: bool = False) -> None:
    async with database.transaction() as db:
        await db.exec_driver_sql("INSERT INTO note VALUES (?)", (words,))
        if fail:
            message = "not today"
            raise RuntimeError(message)


async def words_in(database: Database) -> list[str]:
    async with database.looking() as db:
        found = await db.exec_driver_sql("SELECT words FROM note")
        return [row[0] for row in found]


@pytest.mark.parametrize("gave_up", ["timed out", "cancelled"])
async def test_what_fails_after_a_begin_that_failed_is_rolled_back(
    notes: Database, gave_up: str
) -> None:
    foreign = lock(notes)
    if gave_up == "timed out":
        with pytest.raises(UNAVAILABLE):
            await write(notes, "while it is locked")
    else:
        waiting = asyncio.create_task(write(notes, "while it is locked"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    foreign.rollback()
    foreign.close()

    with pytest.raises(RuntimeError, match="not today"):
        await write(notes, "to be undone", fail=True)
    await write(notes, "to be kept")

    assert await words_in(notes) == ["to be kept"]


async def test_only_what_is_durable_waits_for_the_disk(notes: Database) -> None:
    async def waits(*, durable: bool) -> int:
        async with notes.transaction(durable=durable) as db:
            found = await db.exec_driver_sql("PRAGMA synchronous")
            return int(found.scalar_one())

    full, normal = 2, 1
    assert [await waits(durable=each) for each in (True, False, True)] == [full, normal, full]
