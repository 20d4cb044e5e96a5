"""The table of parts: what the calls of a job that takes several have brought so far."""

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel


class JobPart(SQLModel, table=True):
    """What one call of several brought: kept, so that it is not asked for and billed again."""

    __tablename__ = "job_part"

    job_id: str = Field(primary_key=True)
    generation: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    body: bytes = Field(sa_type=LargeBinary)
