"""The tables of deployments and routes that came by the API, and how often they changed."""

from typing import Any

from sqlalchemy import JSON, BigInteger, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class StoredDeployment(SQLModel, table=True):
    """A deployment as it was written, but for its keys and headers: those are in `sealed`."""

    __tablename__ = "deployment"

    name: str = Field(primary_key=True)
    written: dict[str, Any] = Field(sa_type=Json)
    sealed: bytes = Field(sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger)
    updated_at: int = Field(sa_type=BigInteger)


class StoredRoute(SQLModel, table=True):
    """A route as it was written; `name` is the model that clients name."""

    __tablename__ = "route"

    name: str = Field(primary_key=True)
    written: dict[str, Any] = Field(sa_type=Json)
    created_at: int = Field(sa_type=BigInteger)
    updated_at: int = Field(sa_type=BigInteger)


class CatalogRevision(SQLModel, table=True):
    """One row: it rises with every change of the others, so that all processes see it cheaply."""

    __tablename__ = "catalog_revision"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int = Field(sa_type=BigInteger)
