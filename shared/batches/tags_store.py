"""SQL of what the sender of a batch noted on its lines."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.jobs.model import Job


async def tags_of_lines(db: AsyncConnection, batch_id: str) -> dict[int, dict[str, str]]:
    """Return the metadata of each line that has any, by the line's number."""
    query = select(col(Job.line), col(Job.tags)).where(col(Job.batch_id) == batch_id)
    rows = (await db.execute(query)).all()
    return {line: tags for line, tags in rows if tags and line is not None}
