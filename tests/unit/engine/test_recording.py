from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS
from core.types import ExitReason
from engine.cerebro import Recording, assemble, history_feed, run, stock_broker
from engine.recording import RoundTrip, TradeBook, times_of

Bar = tuple[float, float, float, float]
CASH = 10_000.0
FLAT: Bar = (100.0, 100.0, 100.0, 100.0)
ROUNDING = 1e-9
"""Sums of a few prices and commissions, in another order than Backtrader's."""


def frame_of(bars: Sequence[Bar]) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=len(bars), freq="1D", tz="UTC", name="time")
    frame = pd.DataFrame(bars, index=index, columns=["open", "high", "low", "close"], dtype="float64")
    return frame.assign(volume=1000.0)


class Scripted(bt.Strategy):
    """Calls `script[n](strategy)` on bar n, counted from 1."""

    params = (("script", {}),)

    def next(self) -> None:
        act = self.p.script.get(len(self))
        if act is not None:
            act(self)


def play(
    bars: Sequence[Bar],
    script: dict[int, Callable[[Any], Any]],
    *,
    commission: float = 0.0,
    broker: Any = None,
    quicknotify: bool = False,
) -> Recording:
    feeds = {"A": history_feed("A", frame_of(bars)), "B": history_feed("B", frame_of(bars))}
    broker = broker or stock_broker(CASH, commission)
    return run(assemble(Scripted, {"script": script}, feeds, broker, quicknotify=quicknotify))


def day(number: int) -> pd.Timestamp:
    """Time of bar `number`, counted from 1."""
    return pd.Timestamp(2024, 1, number, tz="UTC")


def test_one_round_trip_by_hand() -> None:
    """Buy 10 at the open 102, sell at the open 110; 0.1% each: 1.02 and 1.10 paid."""
    bars = [FLAT, (102, 105, 101, 104), (104, 109, 103, 108), (110, 112, 109, 111)]
    recording = play(bars, {1: lambda s: s.buy(size=10), 3: lambda s: s.close()}, commission=0.001)
    (trade,) = recording.trades.to_dict("records")
    assert trade["symbol"] == "A"
    assert (trade["entry_time"], trade["exit_time"]) == (day(2), day(4))
    assert (trade["size"], trade["entry_price"], trade["exit_price"]) == (10.0, 102.0, 110.0)
    assert (trade["pnl"], trade["pnl_net"], trade["commission"]) == pytest.approx(
        (80.0, 77.88, 2.12), rel=ROUNDING
    )
    assert (trade["bars"], trade["exit_reason"]) == (2, "signal")
    assert recording.fills.to_dict("records") == [
        {"time": day(2), "symbol": "A", "size": 10.0, "price": 102.0, "commission": 1.02, "order_id": 1},
        {"time": day(4), "symbol": "A", "size": -10.0, "price": 110.0, "commission": 1.10, "order_id": 2},
    ]
    assert recording.equity.tolist() == pytest.approx([10_000, 10_018.98, 10_058.98, 10_077.88], rel=ROUNDING)
    assert recording.cash.tolist() == pytest.approx([10_000, 8_978.98, 8_978.98, 10_077.88], rel=ROUNDING)
    assert recording.equity.index.tolist() == [day(1), day(2), day(3), day(4)]
    assert recording.open_trades == 0
    entry, leave = recording.orders.to_dict("records")
    assert (entry["order_id"], entry["time"], entry["type"], entry["side"]) == (1, day(1), "market", "buy")
    assert (entry["size"], entry["price"], entry["status"], entry["filled"]) == (10.0, 100.0, "filled", 10.0)
    assert (entry["average_price"], entry["commission"], entry["closed_time"]) == (102.0, 1.02, day(2))
    assert np.isnan(entry["limit"])
    assert (entry["exit_reason"], leave["exit_reason"], leave["side"]) == ("", "signal", "sell")


def test_order_ids_count_from_one_in_every_run() -> None:
    """Backtrader's own order numbers go on counting from run to run."""
    script = {1: lambda s: [s.buy(), s.buy(data=s.data1)], 2: lambda s: s.sell()}
    first, second = (play([FLAT] * 4, script).orders["order_id"].tolist() for _ in range(2))
    assert first == second == [1, 2, 3]


def test_datas_are_told_apart_by_name() -> None:
    recording = play(
        [FLAT] * 4, {1: lambda s: [s.buy(), s.sell(data=s.data1)], 2: lambda s: s.close(data=s.data1)}
    )
    assert recording.orders["symbol"].tolist() == ["A", "B", "B"]
    assert recording.fills["symbol"].tolist() == ["A", "B", "B"]
    assert recording.trades["symbol"].tolist() == ["B"]
    assert recording.open_trades == 1


def bracket(strategy: Any) -> None:
    strategy.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=95.0, limitprice=105.0)


@pytest.mark.parametrize(
    ("last", "reason", "price", "statuses"),
    [
        ((100, 106, 99, 104), "profit_target", 105.0, ["filled", "cancelled", "filled"]),
        ((100, 101, 94, 96), "stop_loss", 95.0, ["filled", "filled", "cancelled"]),
        ((90, 91, 89, 90), "stop_loss", 90.0, ["filled", "filled", "cancelled"]),
    ],
)
def test_bracket_exits(last: Bar, reason: str, price: float, statuses: list[str]) -> None:
    """S3: an exit that states no reason gets the one its order type says."""
    recording = play([FLAT, FLAT, FLAT, last, FLAT], {1: bracket})
    assert recording.trades["exit_reason"].tolist() == [reason]
    assert recording.trades["exit_price"].tolist() == [price]
    assert recording.orders["status"].tolist() == statuses
    assert recording.orders["closed_time"].tolist() == [day(2), day(4), day(4)]
    assert recording.orders["type"].tolist() == ["market", "stop", "limit"]


@pytest.mark.parametrize(("kind", "expected"), [("percent", 95.0), ("amount", 97.0)])
def test_a_trailing_stop_keeps_the_trigger_it_was_made_with(kind: str, expected: float) -> None:
    """Backtrader moves the trigger before it first notifies the order."""
    trail = {"trailpercent": 0.05} if kind == "percent" else {"trailamount": 3.0}
    bars = [FLAT, FLAT, (110, 110, 110, 110), (120, 120, 120, 120), (90, 90, 90, 90), FLAT]
    recording = play(bars, {1: lambda s: s.buy(), 2: lambda s: s.sell(exectype=bt.Order.StopTrail, **trail)})
    assert recording.orders["price"].tolist()[1] == expected
    assert recording.trades["exit_reason"].tolist() == ["trailing_stop"]
    assert recording.trades["exit_price"].tolist() == [90.0]


def test_a_trailing_stop_limit_keeps_trigger_and_limit() -> None:
    order = {"exectype": bt.Order.StopTrailLimit, "price": 100.0, "plimit": 99.0, "trailamount": 4.0}
    recording = play([FLAT, FLAT, FLAT], {1: lambda s: s.sell(**order)})
    made = recording.orders.iloc[0]
    assert (made["type"], made["price"], made["limit"]) == ("stop_trail_limit", 96.0, 95.0)


def test_stop_limit_has_both_prices() -> None:
    order = {"exectype": bt.Order.StopLimit, "price": 90.0, "plimit": 89.0}
    made = play([FLAT, FLAT, FLAT], {1: lambda s: s.sell(**order)}).orders.iloc[0]
    assert (made["type"], made["price"], made["limit"], made["status"]) == (
        "stop_limit",
        90.0,
        89.0,
        "accepted",
    )
    assert pd.isna(made["closed_time"])
    assert pd.isna(made["average_price"])


def test_turning_round_is_a_reversal() -> None:
    recording = play(
        [FLAT] * 5, {1: lambda s: s.buy(size=2), 2: lambda s: s.sell(size=5), 3: lambda s: s.close()}
    )
    assert recording.trades["exit_reason"].tolist() == ["reversal", "signal"]
    assert recording.trades["size"].tolist() == [2.0, -3.0]
    assert recording.fills["size"].tolist() == [2.0, -5.0, 3.0]


@pytest.mark.parametrize("reason", [ExitReason.TIME_EXIT, "time_exit"])
def test_a_stated_reason_comes_first(reason: str) -> None:
    """S3"""
    recording = play([FLAT] * 5, {1: lambda s: s.buy(), 2: lambda s: s.close(exit_reason=reason)})
    assert recording.trades["exit_reason"].tolist() == ["time_exit"]
    assert recording.orders["exit_reason"].tolist() == ["", "time_exit"]


def test_scaling_in_and_out_weighs_the_prices() -> None:
    """Buy 1 at 100 and 3 at 104, sell 2 at 110 and 2 at 120: in at 103, out at 115."""
    bars = [FLAT, FLAT, (104,) * 4, (110,) * 4, (120,) * 4]
    recording = play(
        bars,
        {
            1: lambda s: s.buy(size=1),
            2: lambda s: s.buy(size=3),
            3: lambda s: s.sell(size=2),
            4: lambda s: s.close(),
        },
    )
    (trade,) = recording.trades.to_dict("records")
    assert (trade["size"], trade["entry_price"], trade["exit_price"], trade["pnl"]) == (
        4.0,
        103.0,
        115.0,
        48.0,
    )


def test_partial_fills_are_one_row_each() -> None:
    broker = stock_broker(CASH, 0.0)
    broker.set_filler(bt.broker.fillers.FixedSize(size=3))
    recording = play([FLAT] * 6, {1: lambda s: s.buy(size=8)}, broker=broker)
    assert recording.fills["size"].tolist() == [3.0, 3.0, 2.0]
    assert recording.fills["time"].tolist() == [day(2), day(3), day(4)]
    assert recording.orders[["status", "filled"]].to_numpy().tolist() == [["filled", 8.0]]


def test_how_orders_can_end() -> None:
    def make(strategy: Any) -> None:
        strategy.buy(exectype=bt.Order.Limit, price=50.0, valid=pd.Timestamp("2024-01-02").to_pydatetime())
        strategy.kept = strategy.buy(exectype=bt.Order.Limit, price=51.0)
        strategy.buy(exectype=bt.Order.Close, size=2)
        strategy.buy(size=1000)

    recording = play([FLAT] * 5, {1: make, 3: lambda s: s.cancel(s.kept)})
    assert recording.orders["status"].tolist() == ["expired", "cancelled", "filled", "margin"]
    assert recording.orders["type"].tolist() == ["limit", "limit", "close", "market"]
    assert recording.orders["closed_time"].tolist() == [day(3), day(3), day(2), day(2)]


def test_an_order_of_the_last_bar_is_not_lost() -> None:
    """Backtrader never notifies it."""
    recording = play([FLAT] * 3, {3: lambda s: s.buy(size=4)})
    assert recording.orders[["size", "status", "filled"]].to_numpy().tolist() == [[4.0, "submitted", 0.0]]
    assert recording.fills.empty


def test_quick_notification_records_the_same() -> None:
    script = {1: bracket, 3: lambda s: s.buy(size=2), 5: lambda s: s.close()}
    bars = [FLAT, FLAT, (101, 103, 99, 102), (100, 106, 99, 104), FLAT, FLAT]
    usual, quick = (play(bars, script, commission=0.001, quicknotify=quick) for quick in (False, True))
    pd.testing.assert_frame_equal(usual.orders, quick.orders, check_exact=True)
    pd.testing.assert_frame_equal(usual.fills, quick.fills, check_exact=True)
    pd.testing.assert_frame_equal(usual.trades, quick.trades, check_exact=True)
    pd.testing.assert_series_equal(usual.equity, quick.equity, check_exact=True)


def test_watching_leaves_the_broker_as_it_was() -> None:
    """The positions are a defaultdict: asking for one would add it, and change how value is summed."""
    broker = stock_broker(CASH, 0.0)
    recording = play([FLAT] * 4, {1: lambda s: s.broker.buy(s, s.data1, size=1)}, broker=broker)
    assert [data._name for data in broker.positions] == ["B"]
    assert len(recording.fills) == 1


EXPECTED_TYPES = {
    "trades": (TRADE_COLUMNS, {"entry_time", "exit_time"}, {"bars"}, {"symbol", "exit_reason"}),
    "orders": (
        ORDER_COLUMNS,
        {"time", "closed_time"},
        {"order_id"},
        {"symbol", "type", "side", "status", "exit_reason"},
    ),
    "fills": (FILL_COLUMNS, {"time"}, {"order_id"}, {"symbol"}),
}


@pytest.mark.parametrize("script", [{}, {1: lambda s: s.buy(), 2: lambda s: s.close()}])
@pytest.mark.parametrize("table", sorted(EXPECTED_TYPES))
def test_columns_have_their_types_with_and_without_rows(script: Any, table: str) -> None:
    columns, times, wholes, texts = EXPECTED_TYPES[table]
    frame = getattr(play([FLAT] * 4, script), table)
    assert frame.empty == (not script)
    assert tuple(frame.columns) == columns
    for name, dtype in frame.dtypes.items():
        if name in times:
            assert isinstance(dtype, pd.DatetimeTZDtype), name
        elif name in wholes:
            assert dtype == "int64", name
        elif name in texts:
            assert pd.api.types.is_string_dtype(dtype), name
        else:
            assert dtype == "float64", name


def test_money_adds_up_over_random_orders() -> None:
    """Cash is what was there, less what fills cost; equity is cash and positions at the close."""
    random = np.random.default_rng(11)
    prices = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.02, 60))), 2)
    bars = [(price, price + 1, price - 1, price + 0.5) for price in prices]
    sizes = random.integers(-5, 6, len(bars) + 1).tolist()

    def act(strategy: Any) -> None:
        size = sizes[len(strategy)]
        if size:
            (strategy.buy if size > 0 else strategy.sell)(size=abs(size))

    script = dict.fromkeys(range(1, len(bars)), act)
    recording = play(bars, script, commission=0.002)
    fills = recording.fills
    spent = (fills["size"] * fills["price"] + fills["commission"]).groupby(fills["time"]).sum()
    held = fills.groupby("time")["size"].sum().reindex(recording.cash.index, fill_value=0.0).cumsum()
    cash = CASH - spent.reindex(recording.cash.index, fill_value=0.0).cumsum()
    close = np.array([bar[3] for bar in bars])
    np.testing.assert_allclose(recording.cash, cash, rtol=ROUNDING)
    np.testing.assert_allclose(recording.equity, cash + held * close, rtol=ROUNDING)
    assert len(fills) > 20
    assert recording.trades["commission"].sum() <= fills["commission"].sum() + ROUNDING


def test_a_round_trip_follows_backtraders_size_to_the_last_bit() -> None:
    """0.1 + 0.2 - 0.3 is not zero in floats: stock leaves such a trade open, and so do we."""
    trip = RoundTrip()
    assert [trip.update(size, 1.0, "") for size in (0.1, 0.2, -0.3)] == [False, False, False]
    assert trip.size == 0.1 + 0.2 - 0.3 != 0.0


def test_one_execution_may_close_one_trade_and_open_the_next() -> None:
    book = TradeBook()
    assert not book.execute(0, 2, 10.0, "")
    assert book.execute(-2, -3, 12.0, "reversal")
    assert [trip.exit_reason for trip in book.closed] == ["reversal"]
    assert book.running is not None
    assert (book.running.peak, book.running.entry_value) == (-3, 36.0)


def test_times_are_exact_to_the_millisecond() -> None:
    stamps = pd.date_range("1999-12-31 23:59:59.001", periods=500, freq="17h3min7s11ms", tz="UTC")
    days = [bt.date2num(stamp.to_pydatetime()) for stamp in stamps]
    assert times_of(days).tolist() == stamps.tolist()
    assert pd.isna(times_of([float("nan")])[0])
