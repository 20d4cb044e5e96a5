"""SQL of many jobs at once: the driver gets the rows as they are, because SQLAlchemy takes longer than SQLite."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Dialect, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.jobs.model import Job, JobRequest

JSON_COLUMNS = frozenset({"metadata", "webhook"})


async def insert_many(
    db: AsyncConnection, jobs: Sequence[Mapping[str, Any]], requests: Sequence[Mapping[str, Any]]
) -> None:
    """Insert hot rows and their bodies; every mapping must have the same keys, and one must be there.

    A column that is not named has no value. JSON is for `metadata` and `webhook` alone.
    """
    await _insert(db, Job, jobs)
    await _insert(db, JobRequest, requests)


async def _insert(db: AsyncConnection, table: type, rows: Sequence[Mapping[str, Any]]) -> None:
    names = tuple(rows[0])
    statement, order = _statement(db.dialect, table, names)
    of, structured = itemgetter(*order), [order.index(name) for name in JSON_COLUMNS & set(order)]
    values = [list(of(row)) for row in rows]
    for each in values if structured else ():
        for at in structured:
            if each[at] is not None:
                each[at] = orjson.dumps(each[at]).decode()
    await db.exec_driver_sql(statement, [tuple(each) for each in values])


@lru_cache(maxsize=16)
def _statement(
    dialect: Dialect, table: type, names: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    return str(compiled), tuple(compiled.positiontup or ())
