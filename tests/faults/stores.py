"""Taking the database away: PostgreSQL is killed; SQLite's file is locked by someone else."""

import sqlite3
from typing import Protocol

from tests.servers import PostgresServer


class Store(Protocol):
    """The truth, as seen by who pulls the plug."""

    def take_away(self) -> None:
        """Make it impossible to write."""
        ...

    def bring_back(self) -> None:
        """End the outage."""
        ...


class LockedFile:
    """SQLite: another process holds the write lock for longer than anyone waits for it."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, timeout=20, isolation_level=None)

    def take_away(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def bring_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self.bring_back()
        self._connection.close()


class KilledServer:
    """PostgreSQL: the server crashes, and recovers when it is started again."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def take_away(self) -> None:
        self._server.kill()

    def bring_back(self) -> None:
        self._server.start()

    def close(self) -> None:
        self.bring_back()
