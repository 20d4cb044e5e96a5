"""The tables of who may come in: tenants and their keys."""

from sqlalchemy import JSON, BigInteger, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
DEFAULT_TENANT = "default"


class Tenant(SQLModel, table=True):
    """Whoever shares nothing with the others: every row of work names one.

    `weight` is its share where several want more than there is; `retention_s` None: as all.
    `tier` picks deployments where a route says so; `regions` None: its work may go anywhere.
    """

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    weight: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    retention_s: int | None = None
    tier: str | None = None
    regions: list[str] | None = Field(default=None, sa_type=Json)
    created_at: int = Field(sa_type=BigInteger)


class ApiKey(SQLModel, table=True):
    """A key as we keep it: `prefix` finds it, `digest` (keyed) proves it; the key itself is gone.

    It works until `expires_at` or `revoked_at`, whichever is first; `last_used_at` is rough.
    """

    __tablename__ = "api_key"

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    name: str
    role: str
    prefix: str = Field(unique=True)
    digest: str
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)
    last_used_at: int | None = Field(default=None, sa_type=BigInteger)

    __table_args__ = (Index("api_key_by_tenant", "tenant_id", "created_at", "id"),)
