"""A market of a few bars and one strategy, on stock Backtrader assembled by hand and on this project's engines."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from engine.cerebro import assemble, history_feed
from engine.cerebro import run as run_cerebro
from engine.recording import Recording
from engine.refusal import Refused

ENGINES_UNDER_TEST = ["stock", "cerebro", "lean", "compiled"]
"""Add "compiled" here and every rule holds for it, or the test names it among those that may refuse."""
EVERY_ENGINE = pytest.mark.parametrize("engine", ENGINES_UNDER_TEST)

Prices = tuple[float, float, float, float]
Bars = Sequence[Prices]
FLAT: Bars = [(10.0, 10.0, 10.0, 10.0)] * 6
RISING: Bars = [
    (10.0, 10.5, 9.5, 10.0),
    (11.0, 12.5, 10.5, 12.0),
    (13.0, 14.5, 12.5, 14.0),
    (15.0, 16.5, 14.5, 16.0),
    (17.0, 18.5, 16.5, 18.0),
]
"""Opens at 10, 11, 13, 15, 17; closes at 10, 12, 14, 16, 18."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to. Bars are counted from 1, by their time on the first data.

    fills: bar, signed size, price. statuses: last state of each order. average, commission: of each order.
    cash, value: after the broker's step of each bar. trades: size at its largest, pnl, pnl net of commission, bars.
    ran: the strategy.
    """

    fills: list[tuple[int, float, float]]
    statuses: list[str]
    average: list[float | None]
    commission: list[float]
    cash: list[float]
    value: list[float]
    trades: list[tuple[float, float, int]]
    ran: Any
    engine: str = "stock"

    @property
    def strategy(self) -> Any:
        """The instance that ran, with whatever it kept. A kernel keeps that to itself: the test ends there."""
        if self.engine == "compiled":
            pytest.skip("the rule shows in the strategy's own state, which a compiled run does not keep")
        return self.ran


def frame_of(bars: Bars, start: str = "2024-01-01", spacing: str = "D") -> pd.DataFrame:
    """Bars as a frame; 2024-01-01 is a Monday."""
    index = pd.date_range(start, periods=len(bars), freq=spacing, tz="UTC", name="time")
    columns = ["open", "high", "low", "close"]
    return pd.DataFrame(list(bars), columns=columns, index=index, dtype="float64").assign(volume=1000.0)


def outcome(
    engine: str,
    strategy: type[bt.Strategy],
    bars: Bars | pd.DataFrame | Mapping[str, pd.DataFrame] = RISING,
    *,
    cash: float = 1000.0,
    broker: Callable[[bt.brokers.BackBroker], None] | None = None,
    slippage: Mapping[str, Any] | None = None,
    sizer: tuple[type[bt.Sizer], dict[str, Any]] | None = None,
    resample: Sequence[str] = (),
    cheat_on_open: bool = False,
    may_refuse: Sequence[str] = (),
) -> Outcome:
    """Run it. broker: what is done to the fresh broker. slippage: parameters of the broker when it is made.

    An engine that is named in `may_refuse` and refuses ends the test; any other refusal fails it.
    """
    frames = _frames(bars)
    account = bt.brokers.BackBroker(**(slippage or {}))
    account.setcash(cash)
    if broker is not None:
        broker(account)
    if engine == "stock":
        return _on_stock(strategy, frames, account, sizer, resample, cheat_on_open)
    try:
        recording = _on_engine(engine, strategy, frames, account, sizer, resample, cheat_on_open)
    except Refused as refused:
        if engine not in may_refuse:
            raise
        pytest.skip(f"{engine} refuses: {refused}")
    return _of_recording(engine, recording, next(iter(frames.values())).index)


def _frames(bars: Bars | pd.DataFrame | Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    if isinstance(bars, pd.DataFrame):
        return {"A": bars}
    return dict(bars) if isinstance(bars, Mapping) else {"A": frame_of(bars)}


class Watch(bt.Analyzer):
    """What any Backtrader user can see from outside a strategy."""

    def start(self) -> None:
        self.rows: dict[float, tuple[float, float]] = {}
        self.trades: list[tuple[float, float, int]] = []
        self.orders: dict[int, bt.Order] = {}

    def notify_cashvalue(self, cash: float, value: float) -> None:
        self.rows[self.strategy.lines.datetime[0]] = (cash, value)

    def notify_order(self, order: bt.Order) -> None:
        self.orders[order.ref] = order

    def notify_trade(self, trade: bt.Trade) -> None:
        if trade.isclosed:
            self.trades.append((trade.pnl, trade.pnlcomm, trade.barlen))


def _on_stock(
    strategy: type[bt.Strategy],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: tuple[type[bt.Sizer], dict[str, Any]] | None,
    resample: Sequence[str],
    cheat_on_open: bool,
) -> Outcome:
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=cheat_on_open)
    for name, frame in frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame.tz_localize(None), name=name), name=name)
    if resample:
        assert list(resample) == ["1W"]
        cerebro.resampledata(cerebro.datas[0], name="weekly", timeframe=bt.TimeFrame.Weeks)
    cerebro.setbroker(broker)
    cerebro.addstrategy(strategy)
    cerebro.addanalyzer(Watch, _name="watch")
    if sizer is not None:
        cerebro.addsizer(sizer[0], **sizer[1])
    (ran,) = cerebro.run()
    watch = ran.analyzers.watch
    while (note := broker.get_notification()) is not None:
        watch.orders[note.ref] = note
    times = [bt.date2num(time) for time in next(iter(frames.values())).index.tz_localize(None)]
    fills = [
        (bit.dt, bit.size, bit.price) for order in watch.orders.values() for bit in order.executed.exbits
    ]
    orders = list(watch.orders.values())
    return Outcome(
        [(_bar(time, times), size, price) for time, size, price in sorted(fills, key=lambda fill: fill[0])],
        [order.getstatusname() for order in orders],
        [order.executed.price if order.executed.size else None for order in orders],
        [order.executed.comm for order in orders],
        [cash for cash, _ in watch.rows.values()],
        [value for _, value in watch.rows.values()],
        watch.trades,
        ran,
    )


def _bar(time: float, times: list[float]) -> int:
    return next(number for number, when in enumerate(times, 1) if abs(when - time) < 1e-8)


def _on_engine(
    engine: str,
    strategy: type[bt.Strategy],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: tuple[type[bt.Sizer], dict[str, Any]] | None,
    resample: Sequence[str],
    cheat_on_open: bool,
) -> Recording:
    if engine != "cerebro":
        return importlib.import_module(f"engine.{engine}").run(
            strategy, {}, frames, broker, resample=resample, sizer=sizer, cheat_on_open=cheat_on_open
        )
    feeds = {name: history_feed(name, frame) for name, frame in frames.items()}
    cerebro = assemble(strategy, {}, feeds, broker, resample=resample)
    cerebro.p.cheat_on_open = cheat_on_open
    if sizer is not None:
        cerebro.addsizer(sizer[0], **sizer[1])
    return run_cerebro(cerebro)


NAMES = {
    "submitted": "Submitted",
    "accepted": "Accepted",
    "partial": "Partial",
    "filled": "Completed",
    "cancelled": "Canceled",
    "expired": "Expired",
    "margin": "Margin",
    "rejected": "Rejected",
}


def _of_recording(engine: str, recording: Recording, times: pd.DatetimeIndex) -> Outcome:
    fills, orders, trades = recording.fills, recording.orders, recording.trades
    return Outcome(
        sorted(
            zip(
                [int(times.get_loc(time)) + 1 for time in fills["time"]],
                fills["size"],
                fills["price"],
                strict=True,
            ),
            key=lambda fill: fill[0],
        ),
        [NAMES[status] for status in orders["status"]],
        [None if pd.isna(price) else price for price in orders["average_price"]],
        list(orders["commission"]),
        list(recording.cash),
        list(recording.equity),
        list(zip(trades["pnl"], trades["pnl_net"], trades["bars"], strict=True)),
        recording.strategy,
        engine,
    )
