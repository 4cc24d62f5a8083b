"""Which events the strategy was told of between two bars."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Until now it was told of events with a bar alone."""
    op.add_column(
        "order_events", sa.Column("between_bars", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_column("order_events", "between_bars")
