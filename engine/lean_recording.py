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
    prices_as_created,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Change = tuple[int, float, Any, float, float]
"""From which bar on the account is so: bar, cash, the data whose position changed or None, its size, its price."""

Told = tuple[bt.Order, int, float, Any, Any]
"""A notification: order, status, time of the bar, execution or None, exit reason stated or None."""
STATUS, FILLED, PRICE, COMMISSION, CLOSED, REASON = range(len(ORDER_COLUMNS) - 6, len(ORDER_COLUMNS))
"""Places in a row of an order of what changes while it lives."""
SUBMITTED, ACCEPTED = bt.Order.Submitted, bt.Order.Accepted
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
        self._rows: dict[int, list[Any]] = {}
        self.told: list[Told] = []
        self.ended: list[bt.Trade] = []

    def notify_order(self, order: bt.Order) -> None:
        """After what the loop told: Backtrader delivers the rest when the run ends."""
        now, stated = self.strategy.lines.datetime[0], order.info.get("exit_reason")
        for bit in [bit for bit in order.executed.iterpending() if bit is not None] or [None]:
            self.told.append((order, order.status, now, bit, stated))
        self.write_down()

    def notify_trade(self, trade: bt.Trade) -> None:
        """Likewise."""
        self.ended.append(trade)
        self.write_down()

    def notify_cashvalue(self, cash: float, value: float) -> None:
        """Nothing: see `set_account`."""

    def write_down(self) -> None:
        """One row an order and an execution from all that was told, then one row a closed trade."""
        if not self.told and not self.ended:
            return
        rows, told, ended = self._rows, self.told, self.ended
        self.told, self.ended = [], []
        for order, status, now, bit, stated in told:
            row = rows.get(order.ref)
            if row is None:
                row = rows[order.ref] = self._row_of(order)
                if order.created.dt > now:
                    self._ahead[order.data._name] += 1
            if status == SUBMITTED and order.status != SUBMITTED:
                status = ACCEPTED  # of which nothing is told where nobody listens
            row[STATUS], terminal = STATUS_TEXTS[status]
            if stated is not None:
                row[REASON] = str(stated) or row[REASON]
            if bit is not None:
                done = order.executed
                row[FILLED], row[PRICE], row[COMMISSION] = abs(done.size), done.price, done.comm
                self._write_fill(order, bit, row)
            if terminal:
                row[CLOSED] = order.executed.dt or now
        for trade in ended:
            super().notify_trade(trade)

    def _write_fill(self, order: bt.Order, bit: Any, row: list[Any]) -> None:
        data, closed, opened = order.data, bit.closed, bit.opened
        self._fills.append((bit.dt, data._name, bit.size, bit.price, bit.closedcomm + bit.openedcomm, row[0]))
        reason = row[REASON] or (REVERSAL if closed and opened else EXIT_TEXTS[order.exectype])
        data = data if data._compensate is None else data._compensate
        if self._books[id(data), order.tradeid].execute(closed, opened, bit.price, reason):
            row[REASON] = reason

    def _row_of(self, order: bt.Order) -> list[Any]:
        """One value for each of `ORDER_COLUMNS`."""
        created = order.created
        price, limit = created.price, created.plimit or np.nan
        if order.exectype in TRAILING:
            price, limit = prices_as_created(order)
        return [
            len(self._rows) + 1, created.dt, order.data._name, TYPE_TEXTS[order.exectype],
            SIDE_TEXTS[order.ordtype], abs(created.size), price, limit, "", 0.0, np.nan, 0.0, np.nan, "",
        ]  # fmt: skip

    def set_account(
        self, times: NDArray[np.float64], equity: NDArray[np.float64], cash: NDArray[np.float64]
    ) -> None:
        """Equity and cash of every bar that was run; times are day numbers. All of shape (bars,).

        Of several at one time the last counts: a resampled data delivers once more on the last bar.
        """
        last = np.append(times[1:] != times[:-1], True)[: len(times)]
        self._curve = times[last], equity[last], cash[last]

    def recording(self) -> Recording:
        """Everything seen, which is not kept here too; the tables become DataFrames when somebody looks.

        Raises as `Recorder.recording`.
        """
        if not self.decided and not self._acts_in_warm_up():
            self._check_warm_up(len)
        self.write_down()
        times, equity, cash = self._curve
        index = pd.DatetimeIndex(stamps_of(times), tz="UTC", name="time")
        trades, rows, fills = self._trades, list(self._rows.values()), self._fills
        self._trades, self._rows, self._fills = [], {}, []
        return Recording(
            equity=pd.Series(equity, index=index, name="equity"),
            cash=pd.Series(cash, index=index, name="cash"),
            trades=_later(TRADE_COLUMNS, trades),
            orders=_later(ORDER_COLUMNS, rows),
            fills=_later(FILL_COLUMNS, fills),
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


def _later(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
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
    (cash,) = _of_every_bar([(bar, money) for bar, money, *_ in changes], bars)
    value = np.zeros(bars)
    for data, close in closes.items():
        held = [(bar, size, price) for bar, _, other, size, price in changes if other is data]
        if held:
            sizes, prices = _of_every_bar([(0, 0.0, 0.0), *held], bars)
            _add_position(value, sizes, prices, close, schemes[data], shortcash)
    return cash + value, cash


def _of_every_bar(known: Sequence[tuple[float, ...]], bars: int) -> NDArray[np.float64]:
    """What is known from some bars on, for every bar, of shape (values, bars). known: the bar, then the values."""
    rows = np.array(known, dtype=np.float64)
    starts = rows[:, 0].astype(np.int64)
    last = np.append(starts[1:] != starts[:-1], True) & (starts < bars)
    spans = np.diff(np.append(starts[last], bars))
    return np.repeat(rows[last, 1:], spans, axis=0).T


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
