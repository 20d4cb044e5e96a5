"""Let jobs be lines of batches, keep their parts, and count what is purged."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "job_part",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "generation", "number"),
    )
    op.create_table(
        "purged",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.Column("expired", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanousd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day"),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("line", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("outcome_number", sa.BigInteger(), nullable=True))
        batch_op.add_column(
            sa.Column("tokens", sa.BigInteger(), server_default="0", nullable=False)
        )
        batch_op.add_column(sa.Column("held", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("twin_key", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("follows", sa.String(), nullable=True))
        batch_op.drop_index(
            batch_op.f("job_backlog"), sqlite_where=sa.text("state IN ('queued', 'scheduled')")
        )
        batch_op.create_index(
            "job_backlog",
            ["tenant_id", "created_at", "id", "request_bytes", "tokens"],
            **_where("state IN ('queued', 'scheduled')"),
        )
        batch_op.drop_index(
            batch_op.f("job_due"), sqlite_where=sa.text("state = 'queued' AND wakeup_at IS NULL")
        )
        batch_op.create_index(
            "job_due",
            [
                "lane",
                "tenant_id",
                "priority",
                "created_at",
                "id",
                "not_before",
                "tokens",
                "crashes",
                "model",
                "batch_id",
                "state",
                "wakeup_at",
                "held",
            ],
            **_where("state = 'queued' AND wakeup_at IS NULL AND held IS NULL"),
        )
        batch_op.drop_index(batch_op.f("job_queued"), sqlite_where=sa.text("state = 'queued'"))
        batch_op.create_index(
            "job_queued",
            ["model"],
            unique=False,
            sqlite_where=sa.text("state = 'queued'"),
            postgresql_where=sa.text("state = 'queued'"),
        )
        batch_op.drop_index(batch_op.f("job_running"), sqlite_where=sa.text("state = 'running'"))
        batch_op.create_index(
            "job_running",
            ["lease_expires_at", "lane", "state"],
            **_where("state = 'running'"),
        )
        batch_op.drop_index(
            batch_op.f("job_woken"),
            sqlite_where=sa.text("state = 'queued' AND wakeup_at IS NOT NULL"),
        )
        batch_op.create_index(
            "job_woken",
            ["priority", "wakeup_at", "lane", "tenant_id"],
            **_where("state = 'queued' AND wakeup_at IS NOT NULL"),
        )
        batch_op.create_index(
            "job_failed",
            ["tenant_id", "state", "created_at", "id"],
            **_where("state IN ('failed', 'cancelled', 'expired')"),
        )
        batch_op.drop_index("job_finished", sqlite_where=sa.text("finished_at IS NOT NULL"))
        batch_op.create_index(
            "job_following",
            ["follows"],
            **_where("state = 'queued' AND held = 'coalesced'"),
        )
        batch_op.create_index(
            "job_line_ended",
            ["batch_id", "outcome_number"],
            **_where("outcome_number IS NOT NULL"),
        )
        batch_op.create_index(
            "job_line_waiting",
            ["batch_id", "held", "id"],
            **_where("batch_id IS NOT NULL AND state IN ('queued', 'scheduled')"),
        )
        batch_op.create_index(
            "job_uncounted",
            ["id"],
            **_where("batch_id IS NOT NULL AND outcome_number IS NULL AND finished_at IS NOT NULL"),
        )
        batch_op.create_index(
            "job_past",
            ["tenant_id", "finished_at", "id"],
            **_where("finished_at IS NOT NULL AND batch_id IS NULL"),
        )
        batch_op.create_index(
            "job_twin",
            ["twin_key"],
            **_where("twin_key IS NOT NULL AND state IN ('queued', 'scheduled', 'running')"),
        )

    op.create_index(
        "job_request_blob",
        "job_request",
        ["blob"],
        **_where("blob IS NOT NULL"),
    )
    op.create_index(
        "job_result_blob",
        "job_result",
        ["blob"],
        **_where("blob IS NOT NULL"),
    )
    op.create_index("ix_idempotency_key_job_id", "idempotency_key", ["job_id"])

    if op.get_bind().dialect.name == "postgresql":
        # Every claim leaves a dead row at the front of the indexes that the dispatcher reads.
        op.execute(
            "ALTER TABLE job SET (autovacuum_vacuum_scale_factor = 0.02,"
            " autovacuum_analyze_scale_factor = 0.05)"
        )
