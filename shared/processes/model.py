"""Who is at work: the leader's office and the workers' signs of life."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class Leadership(SQLModel, table=True):
    """A named office, its holder and until when it is held by the database's clock."""

    office: str = Field(primary_key=True)
    holder: str
    expires_at: int = Field(sa_type=BigInteger)


class WorkerLife(SQLModel, table=True):
    """A worker process: `polled_at` is when it last reached the broker, not merely when it ran."""

    __tablename__ = "worker_life"

    owner: str = Field(primary_key=True)
    host: str
    pid: int
    started_at: int = Field(sa_type=BigInteger)
    seen_at: int = Field(sa_type=BigInteger)
    polled_at: int = Field(sa_type=BigInteger)
    in_flight: int
    capacity: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    draining: bool
