"""The table of files: what a tenant uploaded or a batch produced."""

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel


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
        Index(
            "file_doomed",
            "expires_at",
            "deleted_at",
            sqlite_where=text("expires_at IS NOT NULL OR deleted_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL OR deleted_at IS NOT NULL"),
        ),
    )
