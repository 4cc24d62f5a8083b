"""Orders that may only add to the book, and the prices entries were worked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EXACT = sa.Text().with_variant(sa.Numeric(), "postgresql")


def upgrade() -> None:
    """Until now no order was post-only, and every entry went as it was made."""
    op.add_column("orders", sa.Column("post_only", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "order_attempts",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("order_id", BIG_KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("price", EXACT, nullable=False),
        sa.Column("bid", EXACT, nullable=False),
        sa.Column("ask", EXACT, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("crossing", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_attempts_order_id_orders"),
        sa.PrimaryKeyConstraint("id", name="pk_order_attempts"),
        sa.UniqueConstraint("order_id", "number", name="uq_order_attempts_order_id_number"),
    )


def downgrade() -> None:
    """Forget both."""
    op.drop_table("order_attempts")
    op.drop_column("orders", "post_only")
