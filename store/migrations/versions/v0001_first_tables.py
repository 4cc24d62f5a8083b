"""Bots, runs, the order journal, trades, positions, stops, metrics and states."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
EXACT = sa.Text().with_variant(sa.Numeric(), "postgresql")
INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(20)


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "bots",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_bots"),
    )
    op.create_table(
        "risk_states",
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["bot"], ["bots.name"], name="fk_risk_states_bot_bots"),
        sa.PrimaryKeyConstraint("bot", "name", name="pk_risk_states"),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("started", INSTANT, nullable=False),
        sa.Column("finished", INSTANT, nullable=True),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["bot"], ["bots.name"], name="fk_runs_bot_bots"),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
    )
    op.create_index("ix_runs_bot_strategy_started", "runs", ["bot", "strategy", "started"])
    op.create_index("ix_runs_started", "runs", ["started"])
    op.create_table(
        "metrics",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time", INSTANT, nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_metrics_run_id_runs"),
        sa.PrimaryKeyConstraint("run_id", "name", "time", name="pk_metrics"),
    )
    op.create_table(
        "orders",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("bot", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", WORD, nullable=False),
        sa.Column("type", WORD, nullable=False),
        sa.Column("size", EXACT, nullable=False),
        sa.Column("reference_price", EXACT, nullable=False),
        sa.Column("bar_time", INSTANT, nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.Column("price", EXACT, nullable=True),
        sa.Column("limit_price", EXACT, nullable=True),
        sa.Column("trail_amount", EXACT, nullable=True),
        sa.Column("trail_percent", EXACT, nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("session_end", INSTANT, nullable=True),
        sa.Column("oco", sa.Text(), nullable=True),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("transmit", sa.Boolean(), nullable=False),
        sa.Column("exit_reason", WORD, nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("sent", sa.Boolean(), nullable=True),
        sa.Column("filled", EXACT, nullable=False),
        sa.Column("filled_value", EXACT, nullable=False),
        sa.Column("commission", EXACT, nullable=False),
        sa.Column("trigger_now", EXACT, nullable=True),
        sa.Column("limit_now", EXACT, nullable=True),
        sa.Column("venue_order_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_orders_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("run_id", "client_id", name="uq_orders_run_id_client_id"),
    )
    op.create_index("ix_orders_run_id_status", "orders", ["run_id", "status"])
    op.create_table(
        "positions",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("size", EXACT, nullable=False),
        sa.Column("price", EXACT, nullable=False),
        sa.Column("time", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_positions_run_id_runs"),
        sa.PrimaryKeyConstraint("run_id", "symbol", name="pk_positions"),
    )
    op.create_table(
        "stops",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("trigger_price", EXACT, nullable=True),
        sa.Column("limit_price", EXACT, nullable=True),
        sa.Column("high_water", EXACT, nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_stops_run_id_runs"),
        sa.PrimaryKeyConstraint("run_id", "client_id", name="pk_stops"),
    )
    op.create_table(
        "strategy_states",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_strategy_states_run_id_runs"),
        sa.PrimaryKeyConstraint("run_id", name="pk_strategy_states"),
    )
    op.create_table(
        "trades",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("entered", EXACT, nullable=False),
        sa.Column("entry_value", EXACT, nullable=False),
        sa.Column("exited", EXACT, nullable=False),
        sa.Column("exit_value", EXACT, nullable=False),
        sa.Column("commission", EXACT, nullable=False),
        sa.Column("entry_time", INSTANT, nullable=False),
        sa.Column("exit_time", INSTANT, nullable=True),
        sa.Column("exit_reason", WORD, nullable=True),
        sa.Column("bars", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_trades_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_trades"),
    )
    op.create_index("ix_trades_run_id_status", "trades", ["run_id", "status"])
    op.create_index("ix_trades_run_id_symbol", "trades", ["run_id", "symbol"])
    op.create_table(
        "order_cancels",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("order_id", BIG_KEY, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_cancels_order_id_orders"),
        sa.PrimaryKeyConstraint("id", name="pk_order_cancels"),
        sa.UniqueConstraint("order_id", "step", name="uq_order_cancels_order_id_step"),
    )
    op.create_table(
        "order_events",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("order_id", BIG_KEY, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("time", INSTANT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("trigger_price", EXACT, nullable=True),
        sa.Column("limit_price", EXACT, nullable=True),
        sa.Column("venue_order_id", sa.Text(), nullable=False),
        sa.Column("bar", INSTANT, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_events_order_id_orders"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_order_events_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_order_events"),
        sa.UniqueConstraint("run_id", "sequence", name="uq_order_events_run_id_sequence"),
    )
    op.create_index("ix_order_events_order_id", "order_events", ["order_id"])
    op.create_index("ix_order_events_run_id_id", "order_events", ["run_id", "id"])
    op.create_table(
        "fills",
        sa.Column("id", BIG_KEY, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("order_id", BIG_KEY, nullable=False),
        sa.Column("event_id", BIG_KEY, nullable=False),
        sa.Column("fill_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", WORD, nullable=False),
        sa.Column("size", EXACT, nullable=False),
        sa.Column("price", EXACT, nullable=False),
        sa.Column("commission", EXACT, nullable=False),
        sa.Column("commission_currency", sa.Text(), nullable=False),
        sa.Column("time", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["order_events.id"], name="fk_fills_event_id_order_events"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_fills_order_id_orders"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_fills_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_fills"),
        sa.UniqueConstraint("event_id", name="uq_fills_event_id"),
        sa.UniqueConstraint("run_id", "fill_id", name="uq_fills_run_id_fill_id"),
    )
    op.create_index("ix_fills_order_id", "fills", ["order_id"])
    op.create_index("ix_fills_run_id_time", "fills", ["run_id", "time"])


def downgrade() -> None:
    """Undo; everything in the tables is lost."""
    for table in (
        "fills",
        "order_events",
        "order_cancels",
        "trades",
        "strategy_states",
        "stops",
        "positions",
        "orders",
        "metrics",
        "runs",
        "risk_states",
        "bots",
    ):
        op.drop_table(table)
