"""What a lean run leaves behind: orders and trades as they are notified, the account's curve computed afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import backtrader as bt
import numpy as np
import pandas as pd

from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, Coded, Table
from core.types import EXIT_REASONS, ExitReason, Side
from engine.recording import (
    DTYPES,
    FLOAT,
    LOOKED_AHEAD,
    MILLISECONDS_A_DAY,
    ORDER_STATUSES,
    ORDER_TYPES,
    TEXT,
    TIME,
    UNIX_EPOCH_DAY,
    Recorder,
    Recording,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Held = tuple[tuple[Any, float, float], ...]
"""Open positions: (data, size, price)."""
Change = tuple[int, float, Held]
"""From which bar on the account is so: (bar, cash, open positions)."""


Told = tuple[bt.Order, int, float, Any, Any, float, float, float]
"""A notification: order, status, time of the bar, execution or None, exit reason stated; of an execution also the
size, average price and commission of all the order's executions so far."""
TRAILING = (bt.Order.StopTrail, bt.Order.StopTrailLimit)
TYPE_TEXTS = {number: kind.value for number, kind in ORDER_TYPES.items()}
SIDE_TEXTS = {bt.Order.Buy: Side.BUY.value, bt.Order.Sell: Side.SELL.value}
REVERSAL = ExitReason.REVERSAL.value
EXIT_TEXTS = {number: EXIT_REASONS[kind].value for number, kind in ORDER_TYPES.items()}
STATUS_TEXTS = {number: (status.value, status.terminal) for number, status in ORDER_STATUSES.items()}


class LeanRecorder(Recorder):
    """A `Recorder` that is told of no bar; the account's curve is given to it at the end by `set_account`."""

    def start(self) -> None:
        """As a `Recorder`."""
        super().start()
        self.told: list[Told] = []
        self.ended: list[bt.Trade] = []

    def notify_order(self, order: bt.Order) -> None:
        """As a `Recorder`, after what the loop told: Backtrader delivers the rest when the run ends."""
        self.write_down()
        super().notify_order(order)

    def notify_trade(self, trade: bt.Trade) -> None:
        """As a `Recorder`, likewise."""
        self.write_down()
        super().notify_trade(trade)

    def notify_cashvalue(self, cash: float, value: float) -> None:
        """Nothing: see `set_account`."""

    def write_down(self) -> None:
        """One row an order and an execution from all that was told, then one row a closed trade."""
        if not self.told and not self.ended:
            return
        rows, told, ended = self._orders, self.told, self.ended
        self.told, self.ended = [], []
        for order, status, now, bit, stated, size, price, commission in told:
            row = rows.get(order.ref)
            if row is None:
                row = rows[order.ref] = self._new_row(order)
                if order.created.dt > now:
                    self._ahead[order.data._name] += 1
            row["status"], terminal = STATUS_TEXTS[status]
            if stated is not None:
                row["exit_reason"] = str(stated) or row["exit_reason"]
            if bit is not None:
                row["filled"], row["average_price"], row["commission"] = abs(size), price, commission
                self._write_fill(order, bit, row)
            if terminal:
                row["closed_time"] = order.executed.dt or now
        for trade in ended:
            super().notify_trade(trade)

    def _write_fill(self, order: bt.Order, bit: Any, row: dict[str, Any]) -> None:
        self._fills.append(
            (bit.dt, row["symbol"], bit.size, bit.price, bit.closedcomm + bit.openedcomm, row["order_id"])
        )
        closed, opened = bit.closed, bit.opened
        reason = row["exit_reason"] or (REVERSAL if closed and opened else EXIT_TEXTS[order.exectype])
        data = order.data if order.data._compensate is None else order.data._compensate
        if self._books[id(data), order.tradeid].execute(closed, opened, bit.price, reason):
            row["exit_reason"] = reason

    def _new_row(self, order: bt.Order) -> dict[str, Any]:
        created = order.created
        if order.exectype in TRAILING:
            return super()._new_row(order)
        return {
            "order_id": len(self._orders) + 1,
            "time": created.dt,
            "symbol": order.data._name,
            "type": TYPE_TEXTS[order.exectype],
            "side": SIDE_TEXTS[order.ordtype],
            "size": abs(created.size),
            "price": created.price,
            "limit": created.plimit or np.nan,
            "status": "",
            "filled": 0.0,
            "average_price": np.nan,
            "commission": 0.0,
            "closed_time": np.nan,
            "exit_reason": "",
        }

    def set_account(
        self, times: NDArray[np.float64], equity: NDArray[np.float64], cash: NDArray[np.float64]
    ) -> None:
        """Equity and cash of every bar that was run; times are day numbers. All of shape (bars,).

        Of several at one time the last counts: a resampled data delivers once more on the last bar.
        """
        last = np.append(times[1:] != times[:-1], True)[: len(times)]
        self._curve = times[last], equity[last], cash[last]

    def recording(self) -> Recording:
        """Everything seen; the tables become DataFrames when somebody looks. Raises as `Recorder.recording`."""
        if not self.decided and not self._acts_in_warm_up():
            self._check_warm_up(len)
        self.write_down()
        times, equity, cash = self._curve
        index = pd.DatetimeIndex(stamps_of(times), tz="UTC", name="time")
        return Recording(
            equity=pd.Series(equity, index=index, name="equity"),
            cash=pd.Series(cash, index=index, name="cash"),
            trades=_later(TRADE_COLUMNS, self._trades),
            orders=_later(ORDER_COLUMNS, [tuple(row.values()) for row in self._orders.values()]),
            fills=_later(FILL_COLUMNS, self._fills),
            open_trades=sum(book.running is not None for book in self._books.values()),
            strategy=self.strategy,
            notes=tuple(LOOKED_AHEAD.format(count=n, name=name) for name, n in self._ahead.items()),
        )


def stamps_of(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """`engine.recording.times_of` as naive datetime64[ns] in UTC; NaN gives NaT."""
    milliseconds = np.rint((days - UNIX_EPOCH_DAY) * MILLISECONDS_A_DAY)
    known = ~np.isnan(milliseconds)
    stamps = np.full(len(days), np.datetime64("NaT"), dtype="datetime64[ns]")
    stamps[known] = milliseconds[known].astype(np.int64).astype("datetime64[ms]")
    return stamps


def _later(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """`engine.recording._table` for rows, as a table that becomes a DataFrame when somebody looks."""
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    made: dict[str, Any] = {}
    for name, values in zip(names, columns, strict=True):
        kind = DTYPES.get(name, FLOAT)
        if kind == TIME:
            made[name] = stamps_of(np.array(values, dtype=np.float64))
        elif kind == TEXT:
            words = {word: code for code, word in enumerate(dict.fromkeys(values))}
            made[name] = Coded(tuple(words), np.array([words[value] for value in values], dtype=np.int64))
        else:
            made[name] = np.array(values, dtype=kind)
    return cast("pd.DataFrame", Table(made))


def account_curve(
    changes: Sequence[Change],
    bars: int,
    closes: Mapping[Any, NDArray[np.float64]],
    schemes: Mapping[Any, bt.CommInfoBase],
    *,
    shortcash: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Equity and cash of every bar, each of shape (bars,), with the operations of `BackBroker._get_value` in order.

    changes: oldest first, the first at bar 0; of several at one bar the last holds. closes: per data the close the
    broker saw on each bar, shape (bars,). schemes: per data its plain commission scheme. Datas in the order of
    the broker's positions.
    """
    starts = np.array([change[0] for change in changes])
    last = np.append(starts[1:] != starts[:-1], True) & (starts < bars)
    kept = [change for change, keep in zip(changes, last, strict=True) if keep]
    spans = np.diff(np.append(starts[last], bars))
    cash = np.repeat(np.array([change[1] for change in kept], dtype=np.float64), spans)
    value = np.zeros(bars)
    for data, close in closes.items():
        sizes = np.zeros(len(kept))
        prices = np.zeros(len(kept))
        for row, (_, _, held) in enumerate(kept):
            for other, size, price in held:
                if other is data:
                    sizes[row], prices[row] = size, price
        if sizes.any():
            held_size, held_price = np.repeat(sizes, spans), np.repeat(prices, spans)
            _add_position(value, held_size, held_price, close, schemes[data], shortcash)
    return cash + value, cash


def _add_position(
    total: NDArray[np.float64],
    size: NDArray[np.float64],
    price: NDArray[np.float64],
    close: NDArray[np.float64],
    scheme: bt.CommInfoBase,
    shortcash: bool,
) -> None:
    """Add one data's value to `total` in place, as `BackBroker._get_value` does."""
    unrealized = size * (close - price) * scheme.p.mult
    value = size * close
    if not shortcash:
        value = np.abs(np.where(size >= 0, value, price * size + (price - close) * size))
    paid = (value - unrealized) / scheme.get_leverage()
    long = value > 0
    total += np.where(long, paid, value)
    total += np.where(long, unrealized, 0.0)
