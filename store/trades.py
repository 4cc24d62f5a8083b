"""Trades: open, partly closed, closed. The steps are pure; the repository stores them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import bindparam, select, update

from core.errors import IllegalTransition, UnknownNameError
from core.types import ExitReason, Side
from store.database import Database
from store.models import Trade, TradeStatus
from store.orders import AVERAGE, EXACT
from store.prepared import Prepared, Row
from store.rows import table

_TRADES = table(Trade)
_ALL = select(_TRADES).where(_TRADES.c.run_id == bindparam("run_id")).order_by(_TRADES.c.id)
_OPEN = _ALL.where(_TRADES.c.status.in_([TradeStatus.OPEN, TradeStatus.PARTIAL]))
_ONE = Prepared(_ALL.where(_TRADES.c.id == bindparam("id")))
_MOVE = Prepared(update(_TRADES).where(_TRADES.c.id == bindparam("key")))
_ADD = Prepared(_TRADES.insert())
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """A position in one symbol from its first fill to flat.

    side: BUY for a long, SELL for a short. entered, exited: units, >= 0. entry_value, exit_value: sums of size
    times price, exact. commission: paid on both ways. bars: how long it was open, None until closed or unknown.
    """

    id: int
    symbol: str
    side: Side
    entered: Decimal
    entry_value: Decimal
    entry_time: datetime
    commission: Decimal = _ZERO
    exited: Decimal = _ZERO
    exit_value: Decimal = _ZERO
    status: TradeStatus = TradeStatus.OPEN
    exit_time: datetime | None = None
    exit_reason: ExitReason | None = None
    bars: int | None = None

    @property
    def remaining(self) -> Decimal:
        """Units still held, >= 0."""
        return EXACT.subtract(self.entered, self.exited)

    @property
    def entry_price(self) -> Decimal:
        """Mean price of all entries, to 28 digits."""
        return AVERAGE.divide(self.entry_value, self.entered)

    @property
    def exit_price(self) -> Decimal | None:
        """Mean price of all exits, to 28 digits; None before the first."""
        return AVERAGE.divide(self.exit_value, self.exited) if self.exited else None

    @property
    def pnl(self) -> Decimal:
        """Profit on what was closed, before commission, at mean entry cost; exact once the trade is closed."""
        cost = self.entry_value
        if self.exited != self.entered:
            cost = AVERAGE.divide(EXACT.multiply(cost, self.exited), self.entered)
        return EXACT.multiply(EXACT.subtract(self.exit_value, cost), Decimal(self.side.sign))

    @property
    def pnl_net(self) -> Decimal:
        """Profit on what was closed, less all commission paid so far."""
        return EXACT.subtract(self.pnl, self.commission)

    def added(self, size: Decimal, price: Decimal, commission: Decimal = _ZERO) -> TradeRecord:
        """More of the same side. IllegalTransition when the trade is closed or the size not above zero."""
        self._allow(size > _ZERO, f"grow by {size}")
        return replace(
            self,
            entered=EXACT.add(self.entered, size),
            entry_value=EXACT.add(self.entry_value, EXACT.multiply(size, price)),
            commission=EXACT.add(self.commission, commission),
        )

    def reduced(
        self, size: Decimal, price: Decimal, time: datetime, commission: Decimal = _ZERO
    ) -> TradeRecord:
        """Less, but not nothing. IllegalTransition when `size` is all that is held (close it) or more."""
        self._allow(_ZERO < size < self.remaining, f"be reduced by {size} of {self.remaining}")
        return replace(
            self,
            status=TradeStatus.PARTIAL,
            exited=EXACT.add(self.exited, size),
            exit_value=EXACT.add(self.exit_value, EXACT.multiply(size, price)),
            exit_time=time,
            commission=EXACT.add(self.commission, commission),
        )

    def closed(
        self,
        price: Decimal,
        time: datetime,
        commission: Decimal = _ZERO,
        *,
        reason: ExitReason | None = None,
        bars: int | None = None,
    ) -> TradeRecord:
        """All that was held is gone at `price`. IllegalTransition when the trade is closed already."""
        self._allow(True, "be closed again")
        return replace(
            self,
            status=TradeStatus.CLOSED,
            exited=self.entered,
            exit_value=EXACT.add(self.exit_value, EXACT.multiply(self.remaining, price)),
            exit_time=time,
            exit_reason=reason,
            bars=bars,
            commission=EXACT.add(self.commission, commission),
        )

    def _allow(self, legal: bool, step: str) -> None:
        if not legal or self.status is TradeStatus.CLOSED:
            raise IllegalTransition(
                f"trade {self.id} in {self.symbol} is {self.status} and cannot {step}", trade=self.id
            )


class TradeRepository:
    """Trades of one run; each step is one durable commit."""

    def __init__(self, database: Database, run_id: str) -> None:
        self._database = database
        self.run_id = run_id

    def open(
        self,
        symbol: str,
        side: Side,
        size: Decimal,
        price: Decimal,
        time: datetime,
        commission: Decimal = _ZERO,
    ) -> TradeRecord:
        """A new trade, size > 0 units at `price`."""
        if size <= _ZERO:
            raise IllegalTransition(f"a trade in {symbol} cannot open with {size}")
        trade = TradeRecord(0, symbol, side, size, EXACT.multiply(size, price), time, commission)
        return replace(trade, id=self._database.insert(_ADD, _values(trade) | {"run_id": self.run_id}))

    def add(self, key: int, size: Decimal, price: Decimal, commission: Decimal = _ZERO) -> TradeRecord:
        """Enter more; see `TradeRecord.added`."""
        with self._database.transaction():
            return self._keep(self.get(key).added(size, price, commission))

    def reduce(
        self, key: int, size: Decimal, price: Decimal, time: datetime, commission: Decimal = _ZERO
    ) -> TradeRecord:
        """Close a part; see `TradeRecord.reduced`."""
        with self._database.transaction():
            return self._keep(self.get(key).reduced(size, price, time, commission))

    def close(
        self,
        key: int,
        price: Decimal,
        time: datetime,
        commission: Decimal = _ZERO,
        *,
        reason: ExitReason | None = None,
        bars: int | None = None,
    ) -> TradeRecord:
        """Close what is left; see `TradeRecord.closed`."""
        with self._database.transaction():
            return self._keep(self.get(key).closed(price, time, commission, reason=reason, bars=bars))

    def get(self, key: int) -> TradeRecord:
        """One trade of this run; UnknownNameError when there is none."""
        row = self._database.row(_ONE, {"run_id": self.run_id, "id": key})
        if row is None:
            raise UnknownNameError("trade", str(key), (), hint=f"run {self.run_id} has no such trade")
        return _record(row)

    def list(self, *, open_only: bool = False) -> list[TradeRecord]:
        """Trades in order of opening."""
        query = _OPEN if open_only else _ALL
        return [_record(row) for row in self._database.rows(query, {"run_id": self.run_id})]

    def _keep(self, trade: TradeRecord) -> TradeRecord:
        self._database.write(_MOVE, {"key": trade.id} | _values(trade))
        return trade


def _values(trade: TradeRecord) -> dict[str, object]:
    return {column.name: getattr(trade, column.name) for column in fields(TradeRecord) if column.name != "id"}


def _record(row: Row) -> TradeRecord:
    return TradeRecord(**{column.name: row[column.name] for column in fields(TradeRecord)})
