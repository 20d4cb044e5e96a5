"""SQL of many jobs at once: the driver gets the rows as they are, because SQLAlchemy takes longer than SQLite."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import asyncpg
import orjson
from sqlalchemy import Dialect, insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.jobs.model import Job, JobRequest

JSON_COLUMNS = frozenset({"metadata", "webhook"})


async def insert_many(
    db: AsyncConnection, jobs: Sequence[Mapping[str, Any]], requests: Sequence[Mapping[str, Any]]
) -> None:
    """Insert hot rows and their bodies; every mapping has the same keys, and every key a column needs.

    JSON is for `metadata` and `webhook` alone.
    """
    await _insert(db, Job, jobs)
    await _insert(db, JobRequest, requests)


async def _insert(db: AsyncConnection, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    names = tuple(rows[0])
    if db.dialect.name == "postgresql":
        await _copy(db, table, names, _values(rows, names))
    else:
        statement, order = _statement(db.dialect, table, names)
        await db.exec_driver_sql(statement, _values(rows, order))


def _values(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[Any, ...]]:
    of = itemgetter(*names)
    structured = [at for at, name in enumerate(names) if name in JSON_COLUMNS]
    if not structured:
        return [of(row) for row in rows]
    values = [list(of(row)) for row in rows]
    for each in values:
        for at in structured:
            if each[at] is not None:
                each[at] = orjson.dumps(each[at]).decode()
    return list(map(tuple, values))


async def _copy(
    db: AsyncConnection, table: Any, names: Sequence[str], values: Sequence[tuple[Any, ...]]
) -> None:
    # PostgreSQL takes twice as long for a statement a row.
    driver: Any = (await db.get_raw_connection()).driver_connection
    if not driver.is_in_transaction():
        # SQLAlchemy begins one with the first statement that it sees.
        await db.exec_driver_sql("SELECT 1")
    try:
        await driver.copy_records_to_table(table.__tablename__, records=values, columns=names)
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        raise OperationalError("COPY", None, error, hide_parameters=True) from error


@lru_cache(maxsize=16)
def _statement(dialect: Dialect, table: Any, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    return str(compiled), tuple(compiled.positiontup or ())
