"""The table of events: one row for each change of a job, committed with the change."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class Event(SQLModel, table=True):
    """`number` is the job's version after the change, so a job's events are numbered without gaps."""

    job_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    type: str
    reason: str | None = None
    created_at: int = Field(sa_type=BigInteger)
