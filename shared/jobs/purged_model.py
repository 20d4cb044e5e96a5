"""The table of what is left of jobs whose time is over."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class Purged(SQLModel, table=True):
    """What is left of jobs whose time is over: how many ended how on a day, and what they cost.

    `day` counts from 1970-01-01, UTC, by the time of the end.
    """

    tenant_id: str = Field(primary_key=True)
    day: int = Field(primary_key=True)
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    input_tokens: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    output_tokens: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    cached_tokens: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    cost_nanousd: int = Field(default=0, sa_type=BigInteger)
