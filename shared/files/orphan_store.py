"""SQL of the search for orphans: which blobs are named, by whichever table."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, String, column, func, select, table, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

NAMING = ("file", "job_request", "job_result", "batch_input")
"""The tables with a column `blob`, each with an index on it."""


async def named(db: AsyncConnection, keys: Sequence[str]) -> set[str]:
    """Return those of the keys that some row names."""
    blob = column("blob", String)
    naming = (select(blob).select_from(table(name)).where(blob.in_(keys)) for name in NAMING)
    return set((await db.execute(union_all(*naming))).scalars())


async def born_at(db: AsyncConnection) -> int | None:
    """Return since when there is anything in this database; None when there is nothing."""
    query = select(func.min(column("created_at", BigInteger))).select_from(table("tenant"))
    return (await db.execute(query)).scalar_one_or_none()
