"""The tables. Repositories and the journal read and write them; nobody else needs to."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.types import EventKind, ExitReason, OrderStatus, OrderType, Side
from store.columns import ExactDecimal, JsonText, UtcDateTime

# SQLite numbers rows by itself only when the key is declared INTEGER.
BIG_KEY = BigInteger().with_variant(Integer(), "sqlite")


class RunStatus(StrEnum):
    """Where a run stands; `running` after a crash too, since nobody was left to say otherwise."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


class TradeStatus(StrEnum):
    """Where a trade stands: entered, partly closed, closed."""

    OPEN = "open"
    PARTIAL = "partial"
    CLOSED = "closed"


def _words(kind: type[StrEnum]) -> Enum:
    """Stored as the member's value, read back as the member."""
    return Enum(
        kind, native_enum=False, length=20, values_callable=lambda members: [m.value for m in members]
    )


class Base(DeclarativeBase):
    """Declares the tables; names every constraint, so that migrations can address them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        Decimal: ExactDecimal,
        datetime: UtcDateTime,
        str: Text,
        dict[str, Any]: JsonText,
        OrderStatus: _words(OrderStatus),
        OrderType: _words(OrderType),
        Side: _words(Side),
        EventKind: _words(EventKind),
        ExitReason: _words(ExitReason),
        RunStatus: _words(RunStatus),
        TradeStatus: _words(TradeStatus),
    }


class Bot(Base):
    """One bot instance: what limits and runs belong to."""

    __tablename__ = "bots"

    name: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[datetime]


class Run(Base):
    """One session or backtest of one strategy."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "bot", "strategy", "started"), Index(None, "started"))

    run_id: Mapped[str] = mapped_column(primary_key=True)
    bot: Mapped[str] = mapped_column(ForeignKey("bots.name"))
    strategy: Mapped[str]
    params: Mapped[dict[str, Any]]
    venue: Mapped[str]
    data: Mapped[str]
    status: Mapped[RunStatus]
    started: Mapped[datetime]
    finished: Mapped[datetime | None]
    folder: Mapped[str]
    settings: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    reason: Mapped[str]


class Order(Base):
    """An intent, exactly as it was made, and what has become of it."""

    __tablename__ = "orders"
    __table_args__ = (UniqueConstraint("run_id", "client_id"), Index(None, "run_id", "status"))

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    client_id: Mapped[str]
    bot: Mapped[str]
    strategy: Mapped[str]
    symbol: Mapped[str]
    side: Mapped[Side]
    type: Mapped[OrderType]
    size: Mapped[Decimal]
    reference_price: Mapped[Decimal]
    bar_time: Mapped[datetime]
    leg: Mapped[int]
    price: Mapped[Decimal | None]
    limit_price: Mapped[Decimal | None]
    trail_amount: Mapped[Decimal | None]
    trail_percent: Mapped[Decimal | None]
    expires_at: Mapped[datetime | None]
    session_end: Mapped[datetime | None]
    oco: Mapped[str | None]
    parent: Mapped[str | None]
    transmit: Mapped[bool]
    exit_reason: Mapped[ExitReason | None]
    post_only: Mapped[bool] = mapped_column(server_default=false())
    step: Mapped[int]
    status: Mapped[OrderStatus]
    sent: Mapped[bool | None]
    filled: Mapped[Decimal]
    filled_value: Mapped[Decimal]
    commission: Mapped[Decimal]
    trigger_now: Mapped[Decimal | None]
    limit_now: Mapped[Decimal | None]
    venue_order_id: Mapped[str]


class OrderCancel(Base):
    """A cancel that was asked for, written down before the venue heard of it."""

    __tablename__ = "order_cancels"
    __table_args__ = (UniqueConstraint("order_id", "step"),)

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    order_id: Mapped[int] = mapped_column(BIG_KEY, ForeignKey("orders.id"))
    step: Mapped[int]


class OrderAttempt(Base):
    """A price an entry was offered at instead of the market's, written down before the venue heard of it."""

    __tablename__ = "order_attempts"
    __table_args__ = (UniqueConstraint("order_id", "number"),)

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    order_id: Mapped[int] = mapped_column(BIG_KEY, ForeignKey("orders.id"))
    number: Mapped[int]
    price: Mapped[Decimal]
    bid: Mapped[Decimal]
    ask: Mapped[Decimal]
    time: Mapped[datetime]
    crossing: Mapped[bool]


class OrderEventRow(Base):
    """One thing the venue said, or one refusal of our own (negative sequence); `id` is the order of appending."""

    __tablename__ = "order_events"
    __table_args__ = (
        UniqueConstraint("run_id", "sequence"),
        Index(None, "order_id"),
        Index(None, "run_id", "id"),
    )

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    order_id: Mapped[int] = mapped_column(BIG_KEY, ForeignKey("orders.id"))
    sequence: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[OrderStatus]
    kind: Mapped[EventKind]
    time: Mapped[datetime]
    reason: Mapped[str]
    trigger_price: Mapped[Decimal | None]
    limit_price: Mapped[Decimal | None]
    venue_order_id: Mapped[str]
    bar: Mapped[datetime]
    step: Mapped[int]
    between_bars: Mapped[bool] = mapped_column(server_default=false())


class FillRow(Base):
    """One execution, once."""

    __tablename__ = "fills"
    __table_args__ = (
        UniqueConstraint("run_id", "fill_id"),
        UniqueConstraint("event_id"),
        Index(None, "order_id"),
        Index(None, "run_id", "time"),
    )

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    order_id: Mapped[int] = mapped_column(BIG_KEY, ForeignKey("orders.id"))
    event_id: Mapped[int] = mapped_column(BIG_KEY, ForeignKey("order_events.id"))
    fill_id: Mapped[str]
    symbol: Mapped[str]
    side: Mapped[Side]
    size: Mapped[Decimal]
    price: Mapped[Decimal]
    commission: Mapped[Decimal]
    commission_currency: Mapped[str]
    time: Mapped[datetime]


class Trade(Base):
    """A position in one symbol from its first fill to flat; sums are kept, averages are computed."""

    __tablename__ = "trades"
    __table_args__ = (Index(None, "run_id", "status"), Index(None, "run_id", "symbol"))

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    symbol: Mapped[str]
    side: Mapped[Side]
    status: Mapped[TradeStatus]
    entered: Mapped[Decimal]
    entry_value: Mapped[Decimal]
    exited: Mapped[Decimal]
    exit_value: Mapped[Decimal]
    commission: Mapped[Decimal]
    entry_time: Mapped[datetime]
    exit_time: Mapped[datetime | None]
    exit_reason: Mapped[ExitReason | None]
    bars: Mapped[int | None]


class PositionRow(Base):
    """What a run holds of one symbol; flat symbols have no row."""

    __tablename__ = "positions"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[Decimal]
    price: Mapped[Decimal]
    time: Mapped[datetime]


class Stop(Base):
    """The level a protective order stands at now; `changes` counts how often it moved."""

    __tablename__ = "stops"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str]
    trigger_price: Mapped[Decimal | None]
    limit_price: Mapped[Decimal | None]
    high_water: Mapped[Decimal | None]
    step: Mapped[int]
    changes: Mapped[int]


class QuietTurn(Base):
    """The last turn in which a run heard nothing, though an order could have been told of."""

    __tablename__ = "quiet_turns"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    step: Mapped[int]


class Metric(Base):
    """One value of one named series (equity, cash, ...) of a run; NULL is NaN."""

    __tablename__ = "metrics"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float | None] = mapped_column(Double)


class StrategyState(Base):
    """What a strategy asked to find again after a restart, as of bar number `step`."""

    __tablename__ = "strategy_states"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    step: Mapped[int]
    state: Mapped[dict[str, Any]]


class RiskState(Base):
    """What a limit has used up so far; belongs to the bot, so a new run does not reset it."""

    __tablename__ = "risk_states"

    bot: Mapped[str] = mapped_column(ForeignKey("bots.name"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
