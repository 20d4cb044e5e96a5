"""The SQL of the doctor."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import now_ms


async def clock_ms(db: AsyncConnection) -> int:
    """Return the database's time, in milliseconds since the epoch."""
    return int((await db.execute(select(now_ms()))).scalar_one())
