"""The table of files: what a tenant uploaded or a batch produced."""

from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class StoredFile(SQLModel, table=True):
    """A file; its bytes are in the blob store under `blob`, there before this row and gone before it.

    It is to be seen until `expires_at` or `deleted_at`. Ids are OpenAI's: `file-…`, and begin
    with the moment of `created_at`, so that a list can go on behind a file that is gone.
    """

    __tablename__ = "file"

    id: str = Field(primary_key=True)
    tenant_id: str
    filename: str
    purpose: str
    content_type: str | None = None
    lines: int | None = None
    bytes: int = Field(sa_type=BigInteger)
    sha256: str
    blob: str
    created_at: int = Field(sa_type=BigInteger)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    deleted_at: int | None = Field(default=None, sa_type=BigInteger)

    __table_args__ = (
        Index("file_by_tenant", "tenant_id", "created_at", "id"),
        Index("file_blob", "blob"),
        # Two, for one over both columns is no help where either will do.
        Index("file_expiring", "expires_at", **_where("expires_at IS NOT NULL")),
        Index("file_deleted", "deleted_at", **_where("deleted_at IS NOT NULL")),
    )
