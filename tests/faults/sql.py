"""The test's own way to the database, past all of Penstock's code: plain SQL, one statement a time."""

import asyncio
import sqlite3
import threading
from typing import Any, Protocol

import asyncpg

Row = dict[str, Any]


class Sql(Protocol):
    """Statements with `?` for each value."""

    kind: str

    def rows(self, statement: str, *values: object) -> list[Row]:
        """Run a statement; return its rows by column name."""
        ...

    def run(self, statement: str) -> None:
        """Run a statement that has neither values nor rows."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def connect(url: str) -> Sql:
    """Open a connection to a database that Penstock knows by this URL."""
    if url.startswith("sqlite"):
        return _Sqlite(url.split(":///")[1])
    return _Postgres(url.replace("+asyncpg", ""))


class _Sqlite:
    kind = "sqlite"

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(
            path, timeout=20, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        self._lock = threading.Lock()

    def rows(self, statement: str, *values: object) -> list[Row]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(statement, values)]

    def run(self, statement: str) -> None:
        self.rows(statement)

    def close(self) -> None:
        self._connection.close()


class _Postgres:
    kind = "postgres"

    def __init__(self, url: str) -> None:
        # A loop of its own: pytest's must not notice.
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._connection = self._loop.run_until_complete(asyncpg.connect(url, timeout=10))

    def rows(self, statement: str, *values: object) -> list[Row]:
        pieces = statement.split("?")
        numbered = "".join(f"{piece}${n}" for n, piece in enumerate(pieces[:-1], 1)) + pieces[-1]
        with self._lock:
            found = self._loop.run_until_complete(self._connection.fetch(numbered, *values))
        return [dict(row) for row in found]

    def run(self, statement: str) -> None:
        with self._lock:
            self._loop.run_until_complete(self._connection.execute(statement))

    def close(self) -> None:
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()
