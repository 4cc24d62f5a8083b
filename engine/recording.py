"""What happened in a run, written down from the strategy's notifications, whatever broker sent them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
import pandas as pd

from core.errors import DataError
from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, Tabled, made_on_access
from core.types import EXIT_REASONS, ExitReason, OrderStatus, OrderType, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDER_TYPES: Mapping[int, OrderType] = {
    bt.Order.Market: OrderType.MARKET,
    bt.Order.Close: OrderType.CLOSE,
    bt.Order.Limit: OrderType.LIMIT,
    bt.Order.Stop: OrderType.STOP,
    bt.Order.StopLimit: OrderType.STOP_LIMIT,
    bt.Order.StopTrail: OrderType.STOP_TRAIL,
    bt.Order.StopTrailLimit: OrderType.STOP_TRAIL_LIMIT,
    bt.Order.Historical: OrderType.MARKET,
}
ORDER_STATUSES: Mapping[int, OrderStatus] = {
    bt.Order.Created: OrderStatus.SUBMITTED,
    bt.Order.Submitted: OrderStatus.SUBMITTED,
    bt.Order.Accepted: OrderStatus.ACCEPTED,
    bt.Order.Partial: OrderStatus.PARTIAL,
    bt.Order.Completed: OrderStatus.FILLED,
    bt.Order.Canceled: OrderStatus.CANCELLED,
    bt.Order.Expired: OrderStatus.EXPIRED,
    bt.Order.Margin: OrderStatus.MARGIN,
    bt.Order.Rejected: OrderStatus.REJECTED,
}
LOOKED_AHEAD = (
    "look-ahead: {count} orders were made on {name} before its first bar, where Backtrader hands out its last bar; "
    "ask len(data) before you use a data that may start late"
)
TIME, FLOAT, WHOLE, TEXT = "datetime64[ns, UTC]", "float64", "int64", "str"
DTYPES: Mapping[str, str] = {
    **dict.fromkeys(("time", "closed_time", "entry_time", "exit_time"), TIME),
    **dict.fromkeys(("order_id", "bars"), WHOLE),
    **dict.fromkeys(("symbol", "type", "side", "status", "exit_reason"), TEXT),
}
"""Types of the columns in `core.results`; every other column is a float."""
UNIX_EPOCH_DAY = 719163
MILLISECONDS_A_DAY = 86_400_000


@made_on_access("trades", "orders", "fills")
@dataclass(frozen=True)
class Recording(Tabled):
    """What one finished run left behind; the columns are those of `core.results`.

    equity, cash: one value a bar, from the first bar, warm-up included; aware UTC index named "time".
    open_trades: how many trades were still open at the end. strategy: the instance that ran, None
    where a kernel ran in its place.
    notes: what a reader of the figures has to know.
    """

    equity: pd.Series
    cash: pd.Series
    trades: pd.DataFrame
    orders: pd.DataFrame
    fills: pd.DataFrame
    open_trades: int
    strategy: bt.Strategy | None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class RoundTrip:
    """One trade while it runs. `update` keeps the size as `backtrader.Trade.update` does, to the last bit."""

    size: float = 0
    peak: float = 0
    entry_size: float = 0.0
    entry_value: float = 0.0
    exit_size: float = 0.0
    exit_value: float = 0.0
    exit_reason: str = ""

    def update(self, size: float, price: float, reason: str) -> bool:
        """Add one signed execution; True when it brought the trade back to nothing."""
        before = self.size
        self.size += size
        if abs(self.size) > abs(before):
            self.entry_size += abs(size)
            self.entry_value += abs(size) * price
            self.peak = self.size
        else:
            self.exit_size += abs(size)
            self.exit_value += abs(size) * price
            self.exit_reason = reason
        return bool(before) and not self.size


@dataclass(slots=True)
class TradeBook:
    """Follows the trades of one symbol and trade id; what closed waits until the strategy is told of it."""

    running: RoundTrip | None = None
    closed: deque[RoundTrip] = field(default_factory=deque)

    def scale(self, ratio: float) -> None:
        """After a split: the units so far as if they were of now; what they were worth stays."""
        running = self.running
        if running is not None:
            running.size, running.peak = running.size * ratio, running.peak * ratio
            running.entry_size, running.exit_size = running.entry_size * ratio, running.exit_size * ratio

    def execute(self, closed: float, opened: float, price: float, reason: str) -> bool:
        """Book one execution's closing and opening part; True when a trade ended with it."""
        ended = False
        for size in (closed, opened):
            if not size:
                continue
            self.running = self.running or RoundTrip()
            if self.running.update(size, price, reason):
                self.closed.append(self.running)
                self.running, ended = None, True
        return ended


class Recorder(bt.Analyzer):
    """Collects equity, orders, fills and trades from notifications alone; it asks the broker for nothing.

    `on_bar`: called once a bar with the number of bars seen so far.
    """

    params = (("on_bar", None),)

    def start(self) -> None:
        """Refuse history that is shorter than the warm-up; Backtrader answers it with an IndexError."""
        cerebro = self.strategy.cerebro
        # Bar by bar (resampling, live) a strategy may well act in `prenext`; all at once, indicators cannot.
        if (cerebro._dopreload and cerebro._dorunonce) or not self._acts_in_warm_up():
            self._check_warm_up(lambda data: getattr(data, "known_bars", None))
        self._times: list[float] = []
        self._equity: list[float] = []
        self._cash: list[float] = []
        self._orders: dict[int, dict[str, Any]] = {}
        self._fills: list[tuple[object, ...]] = []
        self._trades: list[tuple[object, ...]] = []
        self._books: defaultdict[tuple[int, int], TradeBook] = defaultdict(TradeBook)
        self._ahead: dict[str, int] = defaultdict(int)
        self.decided = False

    def prenext(self) -> None:
        """A bar of the warm-up."""

    def next(self) -> None:
        """A bar the strategy could decide on."""
        self.decided = True

    def notify_cashvalue(self, cash: float, value: float) -> None:
        """One value a bar; several deliveries at one time (datas of a live session) leave the last."""
        time = self.strategy.lines.datetime[0]
        if self._times and self._times[-1] == time:
            self._equity[-1], self._cash[-1] = value, cash
            return
        self._times.append(time)
        self._equity.append(value)
        self._cash.append(cash)
        if self.p.on_bar is not None:
            self.p.on_bar(len(self._times))

    def notify_order(self, order: bt.Order) -> None:
        """One row an order, updated to its last state; one row an execution."""
        row = self._orders.get(order.ref)
        if row is None:
            row = self._orders[order.ref] = self._new_row(order)
            # In a live session the data may be a bar ahead of the strategy, which has not seen it.
            if order.created.dt > self.strategy.lines.datetime[0] and not order.data.islive():
                self._ahead[order.data._name] += 1
        executed = order.executed
        status = ORDER_STATUSES[order.status]
        row["status"] = status.value
        row["filled"] = abs(executed.size)
        row["average_price"] = executed.price if executed.size else np.nan
        row["commission"] = executed.comm
        row["exit_reason"] = _stated_reason(order) or row["exit_reason"]
        if status.terminal:
            row["closed_time"] = executed.dt or self.strategy.lines.datetime[0]
        for bit in executed.iterpending():
            if bit is not None:
                self._execute(order, bit, row)

    def notify_trade(self, trade: bt.Trade) -> None:
        """Closed trades; prices come from the executions, money and times from Backtrader."""
        if not trade.isclosed:
            return
        trip = self._books[id(trade.data), trade.tradeid].closed.popleft()
        self._trades.append(
            (
                trade.data._name,
                trade.dtopen,
                trade.dtclose,
                trip.peak,
                trip.entry_value / trip.entry_size,
                trip.exit_value / trip.exit_size,
                trade.pnl,
                trade.pnlcomm,
                trade.commission,
                trip.exit_reason,
                trade.barlen,
            )
        )

    def scale_trades(self, data: Any, ratio: float) -> None:
        """A split of `data`: its running trades are of so many times the units from here on."""
        for (key, _), book in self._books.items():
            if key == id(data):
                book.scale(ratio)

    def stop(self) -> None:
        """Orders of the last bar are never notified: take them from the broker, now that nothing runs."""
        while (order := self.strategy.broker.get_notification()) is not None:
            if order.owner is self.strategy:
                self.notify_order(order)

    def recording(self) -> Recording:
        """Everything seen so far. Raises DataError when history ended before the first decision."""
        live = any(data.islive() for data in self.strategy.datas)
        if not live and not self.decided and not self._acts_in_warm_up():
            self._check_warm_up(len)
        index = pd.DatetimeIndex(times_of(self._times), name="time")
        return Recording(
            equity=pd.Series(self._equity, index=index, name="equity", dtype=FLOAT),
            cash=pd.Series(self._cash, index=index, name="cash", dtype=FLOAT),
            trades=_table(TRADE_COLUMNS, self._trades),
            orders=_table(ORDER_COLUMNS, [tuple(row.values()) for row in self._orders.values()]),
            fills=_table(FILL_COLUMNS, self._fills),
            open_trades=sum(book.running is not None for book in self._books.values()),
            strategy=self.strategy,
            notes=tuple(LOOKED_AHEAD.format(count=n, name=name) for name, n in self._ahead.items()),
        )

    def _new_row(self, order: bt.Order) -> dict[str, Any]:
        price, limit = prices_as_created(order)
        values = (
            len(self._orders) + 1,
            order.created.dt,
            order.data._name,
            ORDER_TYPES[order.exectype].value,
            (Side.BUY if order.isbuy() else Side.SELL).value,
            abs(order.created.size),
            price,
            limit,
            "",
            0.0,
            np.nan,
            0.0,
            np.nan,
            "",
        )
        return dict(zip(ORDER_COLUMNS, values, strict=True))

    def _execute(self, order: bt.Order, bit: Any, row: dict[str, Any]) -> None:
        # The commission is the sum of its parts: some brokers fill only those.
        commission = bit.closedcomm + bit.openedcomm
        self._fills.append((bit.dt, order.data._name, bit.size, bit.price, commission, row["order_id"]))
        reason = row["exit_reason"] or _derived_reason(order, reverses=bool(bit.closed and bit.opened))
        data = order.data if order.data._compensate is None else order.data._compensate
        if self._books[id(data), order.tradeid].execute(bit.closed, bit.opened, bit.price, reason):
            row["exit_reason"] = reason

    def _acts_in_warm_up(self) -> bool:
        return type(self.strategy).prenext is not bt.Strategy.prenext

    def _check_warm_up(self, bars_of: Any) -> None:
        check_warm_up(self.strategy, bars_of)


def check_warm_up(strategy: bt.Strategy, bars_of: Callable[[Any], int | None] = len) -> None:
    """Raise DataError where a data has fewer bars than the strategy's warm-up; bars_of may answer None: not known."""
    for data, needed in zip(strategy.datas, strategy._minperiods, strict=True):
        have = bars_of(data)
        if have is not None and have < needed:
            name = "the data" if len(strategy.datas) == 1 else data._name
            raise DataError(
                f"{type(strategy).__name__} needs {needed} bars before its first decision, {name} has {have}",
                hint="load more history or shorten its periods",
                needed=needed,
                bars=have,
            )


def times_of(days: Iterable[float]) -> pd.DatetimeIndex:
    """Backtrader's day numbers as aware UTC times; NaN gives NaT.

    A day number resolves about 10 microseconds, so times are rounded to whole milliseconds.
    """
    numbers: NDArray[np.float64] = np.fromiter(days, dtype=np.float64)
    known = ~np.isnan(numbers)
    milliseconds = np.zeros(len(numbers), dtype=np.int64)
    milliseconds[known] = np.rint((numbers[known] - UNIX_EPOCH_DAY) * MILLISECONDS_A_DAY).astype(np.int64)
    stamps = milliseconds.astype("datetime64[ms]")
    stamps[~known] = np.datetime64("NaT")
    return pd.DatetimeIndex(stamps.astype("datetime64[ns]")).tz_localize("UTC")


def prices_as_created(order: bt.Order) -> tuple[float, float]:
    """Price and limit as the order was made; NaN where it has no limit.

    A market order's price is the close it was decided on. A trailing order's first trigger is computed
    again, because Backtrader may have moved it before the first notification.
    """
    created = order.created
    if order.exectype not in (bt.Order.StopTrail, bt.Order.StopTrailLimit):
        return created.price, created.plimit or np.nan
    asked = order.p.price or order.p.pricelimit or created.pclose
    amount = order.p.trailamount or asked * (order.p.trailpercent or 0.0)
    trigger = asked + amount if order.isbuy() else asked - amount
    if order.exectype == bt.Order.StopTrail:
        return trigger, np.nan
    return trigger, trigger - order._limitoffset


def _stated_reason(order: bt.Order) -> str:
    reason = order.info.get("exit_reason")
    return "" if reason is None else str(reason)


def _derived_reason(order: bt.Order, *, reverses: bool) -> str:
    return (ExitReason.REVERSAL if reverses else EXIT_REASONS[ORDER_TYPES[order.exectype]]).value


def _table(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """A frame with the right types, also when there is no row."""
    values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    frame = {}
    for name, column in zip(columns, values, strict=True):
        dtype = DTYPES.get(name, FLOAT)
        frame[name] = pd.Series(times_of(column)) if dtype == TIME else pd.Series(list(column), dtype=dtype)
    return pd.DataFrame(frame, columns=list(columns))
