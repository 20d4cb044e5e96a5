"""SQL of the answers that a job of several calls has so far, so that none is asked for twice."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import insert_into
from shared.jobs.claims import ClaimedJob, PartEnd
from shared.jobs.part_model import JobPart


async def load(db: AsyncConnection, job: ClaimedJob) -> Mapping[int, bytes]:
    """Return the parts of a job's present generation, by their numbers."""
    query = select(col(JobPart.number), col(JobPart.body)).where(
        col(JobPart.job_id) == job.id, col(JobPart.generation) == job.generation
    )
    return {row.number: row.body for row in await db.execute(query)}


async def keep(db: AsyncConnection, parts: Sequence[PartEnd]) -> list[PartEnd]:
    """Write parts (after the fence); return the new ones.

    The very same may be there from a commit whose answer was lost: it has been counted. Another
    one is the answer to a question that is not asked so any more, and is replaced.
    """
    new = []
    for part in parts:
        row = {
            "job_id": part.job.id,
            "generation": part.job.generation,
            "number": part.number,
            "body": part.body,
        }
        if (await db.execute(_insert(db.dialect.name), row)).rowcount:
            new.append(part)
    return new


@cache
def _insert(dialect: str) -> Any:
    statement = insert_into(dialect, JobPart)
    body = statement.excluded["body"]
    return statement.on_conflict_do_update(
        index_elements=["job_id", "generation", "number"],
        set_={"body": body},
        where=col(JobPart.body) != body,
    )
