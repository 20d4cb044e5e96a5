"""Say of calls what was left out of them, of tenants where their work may go; store deployments."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.add_column(sa.Column("dropped", _json(), nullable=True))
    with op.batch_alter_table("tenant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tier", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("regions", _json(), nullable=True))
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("background", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    _create_catalog()


def _create_catalog() -> None:
    op.create_table(
        "deployment",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("written", _json(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "route",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("written", _json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "catalog_revision",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    for table in ("catalog_revision", "route", "deployment"):
        op.drop_table(table)
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_column("background")
    with op.batch_alter_table("tenant", schema=None) as batch_op:
        batch_op.drop_column("regions")
        batch_op.drop_column("tier")
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.drop_column("dropped")


def _json() -> Any:
    return sa.JSON(none_as_null=True).with_variant(
        postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
    )
