"""The last turn in which a run heard nothing, though an order could have been told of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Until now nobody wrote it down."""
    op.create_table(
        "quiet_turns",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_quiet_turns_run_id_runs"),
        sa.PrimaryKeyConstraint("run_id", name="pk_quiet_turns"),
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_table("quiet_turns")
