"""A SQLite connection without a thread: what aiosqlite offers SQLAlchemy, performed at once.

A group of writes is a few milliseconds of work that holds the lock of the whole database. Over a
thread each of its statements takes several hand-overs, and each of these waits for its turn of
a busy event loop: the lock was held ten times as long as the work took. So statements run where
they are asked for; only what really waits leaves the loop: the lock (asked for again every
millisecond, which is also fairer than SQLite's own waiting) and a commit whose fsync is slow.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from time import monotonic, perf_counter
from typing import Any, Self

BEGIN = "BEGIN IMMEDIATE"
ASK_AGAIN_S = 0.001
PRIMARY = 0xFF
INLINE_S = 0.002
"""A disk that commits faster than this does it on the loop: a thread would take longer."""
FORGETTING = 0.5


class Cursor:
    """A cursor of an inline connection."""

    def __init__(self, connection: sqlite3.Connection, patience_s: float) -> None:
        self._cursor = connection.cursor()
        self._patience_s = patience_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Self:
        """Perform a statement; a transaction begins once no other process writes."""
        if statement == BEGIN:
            await self._begin()
        else:
            self._cursor.execute(statement, parameters)
        return self

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Perform a statement for each set of parameters."""
        self._cursor.executemany(statement, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return self._cursor.fetchall()

    async def close(self) -> None:
        """Close the cursor."""
        self._cursor.close()

    async def _begin(self) -> None:
        deadline = monotonic() + self._patience_s
        while True:
            try:
                self._cursor.execute(BEGIN)
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & PRIMARY == sqlite3.SQLITE_BUSY
                if not busy or monotonic() >= deadline:
                    raise
            else:
                return
            await asyncio.sleep(ASK_AGAIN_S)


class Connection:
    """A connection whose statements run on the event loop: keep them short."""

    isolation_level = None

    def __init__(self, path: str, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._commit_s = INLINE_S
        self._waits: bool | None = None
        self._connection = sqlite3.connect(
            path, timeout=0, isolation_level=None, check_same_thread=False
        )

    def wait_for_disk(self, wanted: bool) -> None:
        """Choose whether the commits from now on reach the disk before they return."""
        if wanted is not self._waits:
            self._connection.execute(f"PRAGMA synchronous={'FULL' if wanted else 'NORMAL'}")
            self._waits = wanted

    def cursor(self) -> Cursor:
        """Open a cursor."""
        return Cursor(self._connection, self._patience_s)

    async def commit(self) -> None:
        """Commit; where the disk took its time lately, in a thread."""
        if not self._connection.in_transaction:
            return
        if self._commit_s < INLINE_S:
            self._commit()
            return
        committing = asyncio.ensure_future(asyncio.to_thread(self._commit))
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            # Whoever asked may leave, but not before the connection is free again.
            await committing
            raise

    def _commit(self) -> None:
        began = perf_counter()
        self._connection.commit()
        # One slow commit sends the next few to the thread; fast ones bring them back.
        self._commit_s = max(perf_counter() - began, self._commit_s * FORGETTING)

    async def rollback(self) -> None:
        """Undo what was not committed."""
        if self._connection.in_transaction:
            self._connection.rollback()

    async def create_function(self, name: str, arity: int, function: Any, **more: bool) -> None:
        """Give SQL a function, as SQLAlchemy does with `regexp`."""
        self._connection.create_function(name, arity, function, **more)

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def stop(self) -> None:
        """Close the connection where nobody can wait for it."""
        self._connection.close()
