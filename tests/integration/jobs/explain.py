"""What the database does for a piece of our code: its plans, and how many rows they touch."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database

Act = Callable[[AsyncConnection], Awaitable[Any]]
LARGE = frozenset(
    {"job", "job_request", "job_result", "job_part", "attempt", "event", "file", "webhook_delivery"}
)
"""Tables that grow with what was ever done: none of them may be read from end to end."""
ALL_OF_IT = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")


@dataclass(frozen=True)
class Plan:
    """A statement, the large tables it reads from end to end, and the rows of them it touches."""

    statement: str
    read_whole: tuple[str, ...]
    touched: int = 0


class _Undo(Exception):
    pass


async def plans(database: Database, act: Act) -> list[Plan]:
    """Do it, undo it, and return the plans of its statements."""
    heard: list[tuple[str, Any]] = []

    def hear(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        heard.append((statement, parameters[0] if many else parameters))

    engine = database._writer.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        await _undone(database, act)
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    explain = _of_sqlite if database.is_sqlite else _of_postgres
    found: list[Plan] = []

    async def look(db: AsyncConnection) -> None:
        for statement, parameters in heard:
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                found.append(await explain(db, statement, parameters))

    await _undone(database, look)
    return found


async def _undone(database: Database, act: Act) -> None:
    with suppress(_Undo):
        async with database.transaction() as db:
            await act(db)
            raise _Undo


async def _of_sqlite(db: AsyncConnection, statement: str, parameters: Any) -> Plan:
    rows = await db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    partial = await _partial_indexes(db)
    scans = [found for row in rows if (found := ALL_OF_IT.match(row.detail))]
    whole = [each[0] for each in scans if each[1] in LARGE and each[2] not in partial]
    return Plan(statement, tuple(whole))


async def _partial_indexes(db: AsyncConnection) -> set[str]:
    # What ended is not in them, but for these: reading one whole is reading what waits.
    query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%queued%'"
    running = "OR type = 'index' AND sql LIKE '%running%' OR name = 'job_uncounted'"
    return {row.name for row in await db.exec_driver_sql(f"{query} {running}")}


async def _of_postgres(db: AsyncConnection, statement: str, parameters: Any) -> Plan:
    # So few rows are read whole sooner than by an index; with millions that would be another matter.
    await db.exec_driver_sql("SET LOCAL enable_seqscan = off")
    explain = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)"
    answer = (await db.exec_driver_sql(f"{explain} {statement}", parameters)).scalar_one()
    tree = orjson.loads(answer) if isinstance(answer, str) else answer
    nodes = [node for node in _walk(tree[0]["Plan"]) if node.get("Relation Name") in LARGE]
    whole = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
    return Plan(statement, tuple(whole), round(sum(_rows(node) for node in nodes)))


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for each in node.get("Plans", ()):
        yield from _walk(each)


def _rows(node: dict[str, Any]) -> float:
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    rows = node["Actual Rows"] + sum(node.get(name, 0) for name in removed)
    return float(rows * node["Actual Loops"])
