"""From the records of a compiled run to the `Recording` that `engine.recording.Recorder` would have made.

One compiled pass follows the notifications as the recorder does: rows of orders by first notification, fills,
trades from their first to their last execution. The rules are those of `engine.recording`; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numba import njit

from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, Coded, Table
from core.types import EXIT_REASONS, ExitReason, Side
from engine.compiled.records import COMPLETED, STOP_TRAIL, STOP_TRAIL_LIMIT, Book
from engine.compiled.round_trips import RoundTrips, add_part, no_round_trips, take
from engine.recording import (
    LOOKED_AHEAD,
    MILLISECONDS_A_DAY,
    ORDER_STATUSES,
    ORDER_TYPES,
    UNIX_EPOCH_DAY,
    Recording,
)

if TYPE_CHECKING:
    import backtrader as bt
    from numpy.typing import NDArray

KINDS = STOP_TRAIL_LIMIT + 1
TYPE_WORDS = tuple(ORDER_TYPES[kind].value for kind in range(KINDS))
SIDE_WORDS = (Side.SELL.value, Side.BUY.value)
STATUS_WORDS = tuple(ORDER_STATUSES[status].value for status in range(len(ORDER_STATUSES)))
TRADE_CLOSED = 2
REVERSED = 1 + KINDS
STATED = REVERSED
REASON_WORDS = (
    "",
    *(EXIT_REASONS[ORDER_TYPES[kind]].value for kind in range(KINDS)),
    ExitReason.REVERSAL.value,
)
"""Words by code: none, one a kind of order, reversal; then `infos[1:]`, what the strategy stated."""


class Columns(NamedTuple):
    """What the pass over the notifications writes. Rows of orders and trades are in the order of the tables."""

    handles: NDArray[np.int64]  # of each row of orders
    status: NDArray[np.int64]
    filled: NDArray[np.float64]
    average: NDArray[np.float64]
    commission: NDArray[np.float64]
    closed: NDArray[np.float64]  # day numbers
    reason: NDArray[np.int64]
    fills: NDArray[np.int64]  # index in `book.fills` of each row of fills
    fill_rows: NDArray[np.int64]  # row of its order
    trades: NDArray[np.int64]  # index in `book.trades` of each row of trades
    peak: NDArray[np.float64]
    entry: NDArray[np.float64]
    leave: NDArray[np.float64]
    trade_reason: NDArray[np.int64]
    ahead: NDArray[np.int64]  # by data: orders made on it before its first bar
    ahead_first: NDArray[np.int64]  # by data: which of them came first
    open_trades: int


def recording_of(
    book: Book,
    times: NDArray[np.float64],
    names: Sequence[str],
    infos: Sequence[str],
    equity: NDArray[np.float64],
    cash: NDArray[np.float64],
    strategy: bt.Strategy | None = None,
) -> Recording:
    """What the recorder would have written down.

    times: (steps,) day numbers of the strategy's bars. names: of the datas. infos: the texts that orders' `info`
    stands for, infos[0] being none. equity, cash: (steps,) after each bar. strategy: handed on.
    """
    if len(times) > 1 and not (times[1:] > times[:-1]).all():
        kept = np.append(times[1:] != times[:-1], True)  # deliveries at one time leave the last
        curve_times, equity, cash = times[kept], equity[kept], cash[kept]
    else:
        curve_times = times
    stated = np.array([text != "" for text in infos], np.bool_)
    columns = _follow(
        book.account, book.orders, book.notes, book.fills, book.trades, times, len(book.lengths), stated
    )
    index = pd.DatetimeIndex(stamps_of(curve_times), tz="UTC", name="time")
    words = (*REASON_WORDS, *infos[1:])
    return Recording(
        equity=pd.Series(equity, index=index, name="equity"),
        cash=pd.Series(cash, index=index, name="cash"),
        trades=_trades(book, columns, tuple(names), words),
        orders=_orders(book, columns, tuple(names), words),
        fills=_fills(book, columns, tuple(names)),
        open_trades=int(columns.open_trades),
        strategy=strategy,
        notes=_notes(columns, names),
    )


def reasons_of(infos: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Why orders were sent, by number of their `info`; empty where they do not say."""
    reasons = (info.get("exit_reason") for info in infos)
    return tuple("" if reason is None else str(reason) for reason in reasons)


def stamps_of(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """`engine.recording.times_of` as naive datetime64[ns] in UTC; NaN gives NaT."""
    milliseconds = np.rint((days - UNIX_EPOCH_DAY) * MILLISECONDS_A_DAY)
    unknown = np.isnan(milliseconds)
    if unknown.any():
        milliseconds[unknown] = 0.0
        stamps = (milliseconds.astype(np.int64) * 1_000_000).view("datetime64[ns]")
        stamps[unknown] = np.datetime64("NaT")
        return stamps
    return (milliseconds.astype(np.int64) * 1_000_000).view("datetime64[ns]")


def _orders(book: Book, columns: Columns, names: Sequence[str], words: Sequence[str]) -> pd.DataFrame:
    orders = book.orders[columns.handles]
    limit = orders["first_limit"].copy()
    limit[(limit == 0) & (orders["kind"] < STOP_TRAIL)] = np.nan  # as `plimit or nan`
    values: tuple[Any, ...] = (
        np.arange(1, len(orders) + 1),
        stamps_of(orders["created"]),
        Coded(names, orders["data"]),
        Coded(TYPE_WORDS, orders["kind"]),
        Coded(SIDE_WORDS, orders["buy"]),
        np.abs(orders["size"]),
        orders["first_price"].copy(),
        limit,
        Coded(STATUS_WORDS, columns.status),
        columns.filled,
        columns.average,
        columns.commission,
        stamps_of(columns.closed),
        Coded(words, columns.reason),
    )
    return _later(ORDER_COLUMNS, values)


def _fills(book: Book, columns: Columns, names: Sequence[str]) -> pd.DataFrame:
    fills = book.fills[columns.fills]
    values: tuple[Any, ...] = (
        stamps_of(fills["time"]),
        Coded(names, fills["data"]),
        fills["size"].copy(),
        fills["price"].copy(),
        fills["closed_commission"] + fills["opened_commission"],
        columns.fill_rows + 1,
    )
    return _later(FILL_COLUMNS, values)


def _trades(book: Book, columns: Columns, names: Sequence[str], words: Sequence[str]) -> pd.DataFrame:
    trades = book.trades[columns.trades]
    values: tuple[Any, ...] = (
        Coded(names, trades["data"]),
        stamps_of(trades["opened"]),
        stamps_of(trades["closed"]),
        columns.peak,
        columns.entry,
        columns.leave,
        trades["pnl"].copy(),
        trades["pnl_net"].copy(),
        trades["commission"].copy(),
        Coded(words, columns.trade_reason),
        trades["bars"].copy(),
    )
    return _later(TRADE_COLUMNS, values)


def _later(names: Sequence[str], values: Sequence[Any]) -> pd.DataFrame:
    """A table that becomes a DataFrame when somebody looks; the fields of a recording take either."""
    return cast("pd.DataFrame", Table(dict(zip(names, values, strict=True))))


def _notes(columns: Columns, names: Sequence[str]) -> tuple[str, ...]:
    ahead = [data for data in np.argsort(columns.ahead_first, kind="stable") if columns.ahead[data]]
    return tuple(LOOKED_AHEAD.format(count=int(columns.ahead[data]), name=names[data]) for data in ahead)


@njit(cache=True, nogil=True)
def _follow(
    accounts: NDArray[np.void],
    orders: NDArray[np.void],
    notes: NDArray[np.void],
    executions: NDArray[np.void],
    told_trades: NDArray[np.void],
    times: NDArray[np.float64],
    datas: int,
    stated: NDArray[np.bool_],
) -> Columns:
    """Go through the notifications in the order in which they were delivered.

    The first five are arrays of a `Book`. times: (steps,) day numbers. stated: which infos say why. What the last
    bar brought about is delivered after it, at its time.
    """
    account = accounts[0]
    columns = _columns(account["orders"], account["fills"], account["trades"], datas)
    trips = no_round_trips(datas, account["fills"])
    row_of = np.full(account["orders"], -1, np.int64)
    count, fill_count = 0, 0
    for number in range(account["notes"]):
        note = notes[number]
        handle = note["order"]
        order = orders[handle]
        now = times[min(note["step"], len(times) - 1)]
        row = row_of[handle]
        if row < 0:
            row = row_of[handle] = count
            count += 1
            columns.handles[row] = handle
            if order["created"] > now:
                if columns.ahead[order["data"]] == 0:
                    columns.ahead_first[order["data"]] = row
                columns.ahead[order["data"]] += 1
        _update(columns, row, note, order, now, stated)
        for index in range(note["fill_from"], note["fill_to"]):
            columns.fills[fill_count], columns.fill_rows[fill_count] = index, row
            fill_count += 1
            _execute(columns, trips, row, executions[index], order)
    return _cut(columns, count, fill_count, _tell(columns, trips, told_trades[: account["trades"]]), trips)


@njit(cache=True, nogil=True)
def _columns(orders: int, fills: int, trades: int, datas: int) -> Columns:
    """Room for everything."""
    return Columns(
        np.empty(orders, np.int64),
        np.empty(orders, np.int64),
        np.empty(orders),
        np.empty(orders),
        np.empty(orders),
        np.full(orders, np.nan),
        np.zeros(orders, np.int64),
        np.empty(fills, np.int64),
        np.empty(fills, np.int64),
        np.empty(trades, np.int64),
        np.empty(trades),
        np.empty(trades),
        np.empty(trades),
        np.empty(trades, np.int64),
        np.zeros(datas, np.int64),
        np.zeros(datas, np.int64),
        0,
    )


@njit(cache=True, nogil=True)
def _update(columns: Columns, row: int, note: Any, order: Any, now: float, stated: NDArray[np.bool_]) -> None:
    """Bring an order's row to what one notification says."""
    columns.status[row] = note["status"]
    columns.filled[row] = abs(note["filled"])
    columns.average[row] = note["average"] if note["filled"] != 0 else np.nan
    columns.commission[row] = note["commission"]
    if stated[order["info"]]:
        columns.reason[row] = STATED + order["info"]
    if note["status"] >= COMPLETED:
        executed = note["executed"]
        columns.closed[row] = now if np.isnan(executed) or executed == 0 else executed


@njit(cache=True, nogil=True)
def _execute(columns: Columns, trips: RoundTrips, row: int, fill: Any, order: Any) -> None:
    """Book an execution's closing and opening part."""
    why = columns.reason[row]
    if why == 0:
        both = fill["closed"] != 0 and fill["opened"] != 0
        why = REVERSED if both else 1 + order["kind"]
    data, price = order["data"], fill["price"]
    ended = add_part(trips, data, fill["closed"], price, why)
    if add_part(trips, data, fill["opened"], price, why) or ended:
        columns.reason[row] = why


@njit(cache=True, nogil=True)
def _tell(columns: Columns, trips: RoundTrips, trades: NDArray[np.void]) -> int:
    """Write the rows of the trades the strategy was told have ended; how many there are."""
    told = 0
    for index in range(len(trades)):
        if trades[index]["status"] != TRADE_CLOSED:
            continue
        number = take(trips, trades[index]["data"])
        columns.trades[told] = index
        columns.peak[told], columns.entry[told] = trips.peak[number], trips.entry[number]
        columns.leave[told], columns.trade_reason[told] = trips.leave[number], trips.reason[number]
        told += 1
    return told


@njit(cache=True, nogil=True)
def _cut(columns: Columns, orders: int, fills: int, trades: int, trips: RoundTrips) -> Columns:
    """The columns at their length."""
    return Columns(
        columns.handles[:orders],
        columns.status[:orders],
        columns.filled[:orders],
        columns.average[:orders],
        columns.commission[:orders],
        columns.closed[:orders],
        columns.reason[:orders],
        columns.fills[:fills],
        columns.fill_rows[:fills],
        columns.trades[:trades],
        columns.peak[:trades],
        columns.entry[:trades],
        columns.leave[:trades],
        columns.trade_reason[:trades],
        columns.ahead,
        columns.ahead_first,
        trips.running.sum(),
    )
