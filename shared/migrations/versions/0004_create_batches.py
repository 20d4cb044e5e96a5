"""Create the tables of batches, and what belongs to them elsewhere."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    _create_batches()
    _change_the_others()


def _create_batches() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("retrying", sa.Boolean(), nullable=False),
        sa.Column("purging", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("input_file_id", sa.String(), nullable=True),
        sa.Column("completion_window", sa.String(), nullable=False),
        sa.Column("complete_by", sa.BigInteger(), nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("metadata", JSON, nullable=True),
        sa.Column("webhook", JSON, nullable=True),
        sa.Column("output_life_s", sa.Integer(), nullable=True),
        sa.Column("retention_s", sa.Integer(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("expired", sa.Integer(), nullable=False),
        sa.Column("outcomes", sa.BigInteger(), nullable=False),
        sa.Column("invalid", sa.Integer(), nullable=False),
        sa.Column("errors", JSON, nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cost_nanousd", sa.BigInteger(), nullable=True),
        sa.Column("output_file_id", sa.String(), nullable=True),
        sa.Column("error_file_id", sa.String(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("told_ended", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("in_progress_at", sa.BigInteger(), nullable=True),
        sa.Column("finalizing_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelling_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("purged_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.create_index(
            "batch_alive",
            ["created_at"],
            **_where("finished_at IS NULL"),
        )
        batch_op.create_index("batch_by_tenant", ["tenant_id", "created_at", "id"])
        batch_op.create_index(
            "batch_held",
            ["id"],
            **_where("held"),
        )
        batch_op.create_index(
            "batch_past",
            ["finished_at"],
            **_where("finished_at IS NOT NULL AND purged_at IS NULL"),
        )
        batch_op.create_index(
            "batch_purging",
            ["id"],
            **_where("purging"),
        )

    op.create_table(
        "batch_event",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "number"),
    )
    op.create_table(
        "batch_input",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.Column("file_id", sa.String(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("checked", sa.Boolean(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("first_line", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_lines", sa.Integer(), nullable=False),
        sa.Column("stored_jobs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "number"),
    )
    with op.batch_alter_table("batch_input", schema=None) as batch_op:
        batch_op.create_index("batch_input_blob", ["blob"])
        batch_op.create_index(
            "batch_input_unread",
            ["blob"],
            **_where("NOT stored"),
        )


def _change_the_others() -> None:
    with op.batch_alter_table("file", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lines", sa.Integer(), nullable=True))
        batch_op.create_index("file_blob", ["blob"])
        batch_op.drop_index("file_doomed")
        batch_op.create_index(
            "file_expiring",
            ["expires_at"],
            **_where("expires_at IS NOT NULL"),
        )
        batch_op.create_index(
            "file_deleted",
            ["deleted_at"],
            **_where("deleted_at IS NOT NULL"),
        )

    with op.batch_alter_table("tenant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("weight", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("retention_s", sa.Integer(), nullable=True))

    with op.batch_alter_table("webhook_delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("batch_id", sa.String(), nullable=True))
        batch_op.alter_column("job_id", existing_type=sa.VARCHAR(), nullable=True)
        batch_op.create_index(
            "webhook_delivery_by_batch",
            ["batch_id"],
            **_where("batch_id IS NOT NULL"),
        )

    with op.batch_alter_table("worker_life", schema=None) as batch_op:
        batch_op.add_column(sa.Column("capacity", sa.Integer(), server_default="0", nullable=False))
