"""SQL that is put together once and performed for many rows: SQLAlchemy's cost for each is more than SQLite's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, cast

import orjson
from sqlalchemy import (
    ARRAY,
    BindParameter,
    ClauseElement,
    ColumnElement,
    Dialect,
    String,
    any_,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped
from sqlalchemy.sql.compiler import SQLCompiler

_IDS: BindParameter[Any] = bindparam("ids", type_=String)
_ID_ARRAY: BindParameter[Any] = bindparam("ids", type_=ARRAY(String))


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as the driver takes it; `fixed` is what is the same for every row."""

    text: str
    fixed: Mapping[str, Any]
    processes: Sequence[tuple[str, Callable[[Any], Any]]]
    in_order: Callable[[Mapping[str, Any]], tuple[Any, ...]]

    def parameters(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        values = {**self.fixed, **row}
        for name, process in self.processes:
            values[name] = process(values[name])
        return self.in_order(values)


async def perform_many(
    db: AsyncConnection, statement: ClauseElement, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Perform a statement for every row: one at least, and all with the same keys.

    Only for statements that live as long as the process: what is made of them is kept.
    """
    prepared = _prepare(statement, db.dialect, tuple(rows[0]))
    await db.exec_driver_sql(prepared.text, [prepared.parameters(row) for row in rows])


@lru_cache(maxsize=128)
def _prepare(statement: ClauseElement, dialect: Dialect, names: tuple[str, ...]) -> _Prepared:
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect, column_keys=list(names)))
    order = compiled.positiontup or ()
    types = {name: compiled.binds[name].type.dialect_impl(dialect) for name in set(order)}
    makers = [(name, each.bind_processor(dialect)) for name, each in types.items()]
    fixed = {name: value for name, value in compiled.params.items() if name not in names}
    processes = [(name, make) for name, make in makers if make is not None]
    return _Prepared(str(compiled), fixed, processes, itemgetter(*order))


def among_ids(dialect: str, ids: Mapped[str]) -> ColumnElement[bool]:
    """Compare with many ids that come as one parameter, `ids`: see `many_ids`."""
    if dialect == "postgresql":
        return ids == any_(_ID_ARRAY)
    return ids.in_(select(column("value", String)).select_from(func.json_each(_IDS)))


def many_ids(dialect: str, ids: Sequence[str]) -> object:
    """Return the parameter for `among_ids`."""
    return list(ids) if dialect == "postgresql" else orjson.dumps(list(ids)).decode()
