"""The database: SQLite or PostgreSQL behind one interface, and the only place that commits."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
from sqlalchemy import BigInteger, Executable, Select, event, literal, make_url, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from shared import sqlite_inline

SQLITE_BUSY_MS = 10_000
CONNECT_S, COMMAND_S, TURN_S = 10, 60, 30
PASSING = ("08", "25006", "3D000", "40", "53", "57")
"""SQLSTATEs that pass: connection, read-only after a failover, deadlock, resources, shutdown."""
_AFTER_COMMIT = "penstock.after_commit"
T = TypeVar("T")
Query = TypeVar("Query", bound=Select[Any])
Row = Mapping[str, Any]
"""A row by column name."""
UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError, OSError)
"""What a database that is down, busy beyond patience or out of reach raises."""


class now_ms(FunctionElement[int]):  # noqa: N801  it reads as the SQL function that it is
    """The database's own clock, in milliseconds: the one clock that leases and timers obey."""

    inherit_cache = True
    type = BigInteger()


@compiles(now_ms, "sqlite")
def _sqlite_now(_element: now_ms, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(now_ms, "postgresql")
def _postgres_now(_element: now_ms, _compiler: SQLCompiler, **_kw: Any) -> str:
    # Not clock_timestamp(): that one may change within a statement, so no index could be used.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)"


class Database:
    """One process's way to the truth.

    SQLite gets one writing connection (its writers queue here, on the event loop, not in
    SQLite's busy handler), one for short look-ups and a few for longer reading; PostgreSQL gets
    one pool for all.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writes = asyncio.Lock()
        self._connection: AsyncConnection | None = None
        if self.is_sqlite:
            Path(self.url.database or "").parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._engine(pool_size=1, async_creator=self._open_inline)
            self._looker = self._engine(pool_size=1, async_creator=self._open_inline)
            self._reader = self._engine(
                pool_size=4, connect_args={"timeout": SQLITE_BUSY_MS / 1000}
            )
            event.listen(self._writer.sync_engine, "begin", _begin_immediate)
        else:
            # Or a server that went away without a word is waited for until TCP gives up.
            patience = {"timeout": CONNECT_S, "command_timeout": COMMAND_S}
            self._writer = self._engine(pool_size=pool_size, connect_args=patience)
            self._reader = self._looker = self._writer

    async def _open_inline(self) -> sqlite_inline.Connection:
        path = self.url.database or ":memory:"
        return sqlite_inline.Connection(path, patience_s=SQLITE_BUSY_MS / 1000)

    def _engine(self, *, pool_size: int, **more: Any) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=TURN_S,
            pool_pre_ping=not self.is_sqlite,
            # Errors end in the logs, and parameters are prompts, answers and digests of keys.
            hide_parameters=True,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            **more,
        )
        if self.is_sqlite:
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine

    @asynccontextmanager
    async def transaction(self, *, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """Open a writing transaction: commits on leaving, rolls back on an exception.

        One that is not `durable` waits for no disk: a machine that fails may forget it, a process
        that dies does not. Whatever durable one comes later takes it along.
        """
        async with _unavailability(), self._writing(durable=durable) as connection:
            callbacks: list[Callable[[], None]] = []
            connection.info[_AFTER_COMMIT] = callbacks
            try:
                yield connection
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()
            for callback in callbacks:
                callback()

    @asynccontextmanager
    async def _writing(self, *, durable: bool) -> AsyncIterator[AsyncConnection]:
        if not self.is_sqlite:
            async with self._writer.connect() as connection:
                if not durable:
                    await connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                yield connection
            return
        # There is one anyway: taking it from a pool and back costs as much as a small transaction.
        async with self._turn():
            if self._connection is None or self._connection.invalidated:
                self._connection = await self._writer.connect()
            try:
                raw = await self._connection.get_raw_connection()
                cast("sqlite_inline.Connection", raw.driver_connection).wait_for_disk(durable)
                yield self._connection
            except BaseException:
                # One whose BEGIN failed or was cancelled would never begin a transaction again.
                await self._connection.close()
                self._connection = None
                raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with asyncio.timeout(TURN_S):
            await self._writes.acquire()
        try:
            yield
        finally:
            self._writes.release()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for reading; each statement sees what is committed by then."""
        async with self._reading_from(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for look-ups by key, which on SQLite cost no thread: no scans here."""
        async with self._reading_from(self._looker) as connection:
            yield connection

    @asynccontextmanager
    async def _reading_from(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with _unavailability(), engine.connect() as connection:
            if self.is_sqlite:
                yield connection
            else:
                yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        """Close every connection."""
        if self._connection is not None:
            await self._connection.close()
        await self._writer.dispose()
        await self._looker.dispose()
        await self._reader.dispose()


@asynccontextmanager
async def _unavailability() -> AsyncIterator[None]:
    """Give errors of a PostgreSQL that cannot serve us now the one type that says so."""
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error, OperationalError) and _sqlstate(error).startswith(PASSING):
            raise OperationalError(
                error.statement, None, error.orig or error, hide_parameters=True
            ) from error
        raise


def _sqlstate(error: DBAPIError) -> str:
    own = getattr(error.orig, "sqlstate", None)
    return str(own or getattr(error.orig and error.orig.__cause__, "sqlstate", None) or "")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    if connection.isolation_level is not None:
        # SQLAlchemy must not let the driver begin transactions behind our back.
        connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-16000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    # A writer that begins as a reader fails at its first write when another one came between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def on_commit(db: AsyncConnection, callback: Callable[[], None]) -> None:
    """Call back once the transaction of this connection has committed, never before."""
    db.info[_AFTER_COMMIT].append(callback)


def insert_on_conflict(db: AsyncConnection, table: type) -> Any:
    """Return the dialect's own INSERT, which knows ON CONFLICT."""
    return insert_into(db.dialect.name, table)


def insert_into(dialect: str, table: type) -> Any:
    """Return a dialect's INSERT, for a statement that is built once."""
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return make(table)


def cut_page(
    query: Query,
    columns: Sequence[Any],
    *,
    after: Sequence[Any] | None,
    ascending: bool,
    limit: int,
) -> Query:
    """Return the page of a list in the order of these columns that begins behind `after`."""
    if after is not None:
        key, mark = tuple_(*columns), tuple_(*map(literal, after))
        query = query.where(key > mark if ascending else key < mark)
    order = [column.asc() if ascending else column.desc() for column in columns]
    return query.order_by(*order).limit(limit)


async def fetch(db: AsyncConnection, statement: Executable) -> Sequence[Row]:
    """Return the rows of a statement as mappings from column names."""
    return cast("Sequence[Row]", (await db.execute(statement)).mappings().all())


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the database could not be reached, as against a statement that is wrong."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, OperationalError | InterfaceError):
        return not isinstance(error.orig, sqlite3.DataError)
    return isinstance(error, UNAVAILABLE)


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut a sequence into pieces of at most `size`, so that statements stay bounded."""
    return [items[start : start + size] for start in range(0, len(items), size)]
