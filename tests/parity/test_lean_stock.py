"""The lean engine against a stock Cerebro put together by hand: the same answer, and the same view for the strategy."""

from __future__ import annotations

import datetime
import importlib.util
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from core.errors import DataError, StrategyError
from engine import lean
from engine.cerebro import RECORDER, parse_timeframe, stock_broker
from engine.recording import Recorder, Recording
from engine.refusal import Refused
from engine.setup import date2num
from tests.parity.engines import recordings_differ

FILE = Path(__file__).with_name("plain_strategies.py")
CASH, COMMISSION = 50_000.0, 0.0015
SEEN: list[Any] = []
"""What the strategies below write down of what they see."""


def plain(name: str) -> type[bt.Strategy]:
    spec = importlib.util.spec_from_file_location("plain_strategies_for_lean", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.get(spec.name) or importlib.util.module_from_spec(spec)
    if spec.name not in sys.modules:
        sys.modules[spec.name] = module  # Backtrader looks a class's module up there.
        spec.loader.exec_module(module)
    return getattr(module, name)


def market(seed: int, bars: int = 200, start: str = "2019-01-01", spacing: str = "B") -> pd.DataFrame:
    random = np.random.default_rng(seed)
    index = pd.date_range(start, periods=bars, freq=spacing, tz="UTC", name="time")
    close = 80.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, bars)))
    opening = close * np.exp(random.normal(0.0, 0.01, bars))
    high = np.maximum(opening, close) * np.exp(np.abs(random.normal(0.0, 0.01, bars)))
    low = np.minimum(opening, close) * np.exp(-np.abs(random.normal(0.0, 0.01, bars)))
    prices = {"open": opening, "high": high, "low": low, "close": close}
    frame = pd.DataFrame(prices, index=index).round(2)
    return frame.assign(volume=np.floor(random.uniform(1e3, 1e5, bars)))


def two_markets() -> dict[str, pd.DataFrame]:
    late = market(5, bars=120, start="2019-04-15")
    return {"A": market(4), "LATE": late.drop(index=late.index[40:46])}


@dataclass(frozen=True)
class Setting:
    strategy: type[bt.Strategy]
    frames: dict[str, pd.DataFrame] = field(default_factory=lambda: {"A": market(1)})
    resample: tuple[str, ...] = ()
    broker: Callable[[bt.brokers.BackBroker], None] = lambda broker: None
    sizer: tuple[type[bt.Sizer], dict[str, Any]] | None = None
    cheat_on_open: bool = False

    def make_broker(self) -> bt.brokers.BackBroker:
        made = stock_broker(CASH, COMMISSION)
        self.broker(made)
        return made


def by_hand(setting: Setting) -> Recording:
    """Stock Backtrader, with nothing of ours in it but the analyzer that writes down."""
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=setting.cheat_on_open)
    for symbol, frame in setting.frames.items():
        spacing = frame.index[1] - frame.index[0]
        unit = bt.TimeFrame.Days if spacing >= pd.Timedelta(days=1) else bt.TimeFrame.Minutes
        minutes = 1 if unit == bt.TimeFrame.Days else int(spacing.total_seconds() // 60)
        data = bt.feeds.PandasData(dataname=frame.tz_localize(None), timeframe=unit, compression=minutes)
        cerebro.adddata(data, name=symbol)
    for spec in setting.resample:
        timeframe, compression = parse_timeframe(spec)
        name = f"{cerebro.datas[0]._name} {spec}"
        cerebro.resampledata(cerebro.datas[0], name=name, timeframe=timeframe, compression=compression)
    cerebro.setbroker(setting.make_broker())
    cerebro.addstrategy(setting.strategy)
    if setting.sizer is not None:
        cerebro.addsizer(setting.sizer[0], **setting.sizer[1])
    cerebro.addanalyzer(Recorder, _name=RECORDER)
    (strategy,) = cerebro.run()
    return strategy.analyzers.getbyname(RECORDER).recording()


def on_lean(setting: Setting) -> Recording:
    return lean.run(
        setting.strategy,
        {},
        setting.frames,
        setting.make_broker(),
        resample=setting.resample,
        sizer=setting.sizer,
        cheat_on_open=setting.cheat_on_open,
    )


def watch(job: Callable[[Setting], Recording], setting: Setting) -> tuple[Any, list[Any]]:
    """The recording, or what was raised, and what the strategy saw; numbers of orders and trades start at 1."""
    bt.order.OrderBase.refbasis = itertools.count(1)
    bt.Trade.refbasis = itertools.count(1)
    SEEN.clear()
    try:
        answer: Any = job(setting)
    except StrategyError as error:
        answer = error.__cause__
    except Exception as error:  # noqa: BLE001 - what a strategy raises is the answer
        answer = error
    return answer, list(SEEN)


def assert_same(setting: Setting, orders: int = 1) -> Recording:
    expected, seen = watch(by_hand, setting)
    answer, lean_seen = watch(on_lean, setting)
    assert isinstance(expected, Recording), expected
    if isinstance(answer, Exception):
        raise answer
    assert recordings_differ(expected, answer) is None
    for number, (left, right) in enumerate(zip(seen, lean_seen, strict=False)):
        assert repr(left) == repr(right), f"entry {number}"
    assert len(seen) == len(lean_seen)
    assert len(expected.orders) >= orders
    return answer


PLAIN = {
    "OneOrderAtATime": {"A": market(1)},
    "Brackets": {"A": market(2)},
    "Trailing": {"A": market(3)},
    "LimitsThatExpire": {"A": market(4)},
    "Targets": {"A": market(5)},
    "Pairs": two_markets(),
    "Signals": {"A": market(6)},
    "OwnSizer": {"A": market(7)},
    "TooLarge": {"A": market(9)},
    "KnownCross": {"A": market(11)},
    "Weekly": {"A": market(10)},
}


@pytest.mark.parametrize("name", list(PLAIN))
def test_plain_strategies(name: str) -> None:
    assert_same(Setting(plain(name), PLAIN[name], resample=("1W",) if name == "Weekly" else ()), orders=4)


def order_seen(order: bt.Order) -> tuple[Any, ...]:
    created, executed = order.created, order.executed
    bits = [tuple(vars(bit).values()) for bit in executed.iterpending()]
    return (
        (order.ref, order.getstatusname(), order.getordername(), order.ordtypename(), order.alive()),
        (order.size, order.price, order.pricelimit, order.plimit, order.valid, order.tradeid, order.dteos),
        (order.triggered, order.active(), order.data._name, dict(order.info), order.position, order.transmit),
        (created.dt, created.size, created.price, created.pricelimit, created.pclose, created.plimit),
        (executed.dt, executed.size, executed.remsize, executed.price, executed.value, executed.comm),
        (
            executed.pnl,
            executed.margin,
            executed.psize,
            executed.pprice,
            len(executed),
            executed.p1,
            executed.p2,
        ),
        (order.parent.ref if order.parent else None, order.p.trailamount, order.p.trailpercent, order.plen),
        (type(order).__name__, order.comminfo is not None, order.broker, bits),
    )


def trade_seen(trade: bt.Trade) -> dict[str, Any]:
    return {name: value for name, value in vars(trade).items() if name not in ("data", "history")}


def look(line: Any, ago: int) -> Any:
    """A value before the first bar or after the last, or what asking for it raises."""
    try:
        return line[ago]
    except IndexError as error:
        return repr(error)


class Watcher(bt.Strategy):
    """Writes down whatever it can see, on every bar and in every notification."""

    def see(self, what: str) -> None:
        broker, position = self.broker, self.position
        SEEN.append(
            (
                (what, len(self), len(self.data), self.datetime.datetime(), self.data.datetime.date(0)),
                (
                    broker.getvalue(),
                    broker.getcash(),
                    broker.get_value(lever=True),
                    broker.get_value(mkt=True),
                ),
                (broker.get_leverage(), broker.fundvalue, broker.fundshares, broker.getvalue([self.data])),
                (position.size, position.price, position.price_orig, position.adjbase, position.upopened),
                (str(position), getattr(position, "datetime", None), bool(position), len(position)),
                (self.data.close[0], look(self.data.close, -3), look(self.data, 1), self.data.buflen()),
                (self.data.get(size=2).tolist(), self.data.close.get(ago=-2, size=2).tolist()),
                (
                    self.data.lines.close.idx,
                    self.data.close.lencount,
                    list(self.data.close.get(ago=-1, size=3)),
                ),
                [order.ref for order in broker.get_orders_open()],
            )
        )

    def notify_order(self, order: bt.Order) -> None:
        SEEN.append(order_seen(order))

    def notify_trade(self, trade: bt.Trade) -> None:
        SEEN.append(trade_seen(trade))

    def prenext(self) -> None:
        self.see("prenext")

    def nextstart(self) -> None:
        self.see("nextstart")
        super().nextstart()

    def next(self) -> None:
        self.see("next")
        self.trade()

    def trade(self) -> None:
        turn = len(self) % 9
        if turn == 0:
            self.buy(size=13)
        elif turn == 3:
            self.sell(size=20, exectype=bt.Order.Limit, price=self.data.close[0] * 1.01, note="a")
        elif turn == 5:
            self.buy(exectype=bt.Order.StopTrail, trailamount=1.5, valid=datetime.timedelta(days=5))
        elif turn == 7:
            self.order_target_percent(target=0.3)


class Everything(Watcher):
    """All kinds of orders, a bracket, one cancels other, trade ids, a cancellation."""

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(period=7)
        self.cross = bt.ind.CrossOver(self.data.close, self.mean)
        self.waiting: bt.Order | None = None

    def trade(self) -> None:
        n, close = len(self), self.data.close[0]
        SEEN.append(
            (self.mean[0], look(self.mean, -9), self.cross > 0, self.mean > close, -self.mean, len(self.mean))
        )
        if n % 11 == 1:
            self.buy_bracket(price=close * 0.99, stopprice=close * 0.95, limitprice=close * 1.04, size=6)
        if n % 11 == 3:
            first = self.sell(exectype=bt.Order.Stop, price=close * 0.97, size=4, tradeid=1)
            self.sell(exectype=bt.Order.Limit, price=close * 1.02, size=4, oco=first, tradeid=1)
        if n % 11 == 5:
            self.buy(exectype=bt.Order.StopLimit, price=close * 1.01, plimit=close * 1.015, size=4, tradeid=1)
            self.buy(exectype=bt.Order.Close, size=2)
        if n % 11 == 7:
            self.sell(exectype=bt.Order.StopTrailLimit, trailpercent=0.02, price=close, plimit=close * 0.99)
            self.waiting = self.buy(
                exectype=bt.Order.Limit, price=close * 0.8, valid=self.data.datetime[0] + 9
            )
        if n % 11 == 9 and self.waiting is not None:
            SEEN.append(order_seen(self.waiting))
            self.cancel(self.waiting)
            self.buy(size=5_000)
        if n % 11 == 10:
            self.close()


class Told:
    """Every notification there is."""

    def notify_cashvalue(self, cash: float, value: float) -> None:
        SEEN.append(("cashvalue", cash, value))

    def notify_fund(self, *figures: float) -> None:
        SEEN.append(("fund", figures))

    def notify_store(self, *message: Any) -> None:
        SEEN.append(("store", message))

    def notify_data(self, *message: Any) -> None:
        SEEN.append(("data", message))


class Interested(Told, Everything):
    pass


class Timers(Everything):
    def __init__(self) -> None:
        super().__init__()
        self.add_timer(bt.timer.SESSION_START, weekdays=[1, 3], cheat=True)
        self.add_timer(bt.timer.SESSION_END, monthdays=[5, 20], monthcarry=True)

    def notify_timer(self, timer: Any, when: Any, *args: Any) -> None:
        SEEN.append(("timer", when, len(self), len(self.data), len(self.mean), self.broker.getvalue()))
        if len(self.data) > 20:
            self.buy(size=1)


class AtTheOpen(Watcher):
    def __init__(self) -> None:
        self.mean = bt.ind.SMA(period=5)

    def next_open(self) -> None:
        SEEN.append(("open", len(self), len(self.data), len(self.mean), self.broker.getvalue()))
        SEEN.append((self.position.adjbase, getattr(self.position, "datetime", None)))
        if self.position:
            self.close()
        elif self.mean[0] > self.data.open[0]:
            self.buy(size=10)

    def trade(self) -> None:
        pass


class Rarely(Watcher):
    """Looks at its position long after it was closed."""

    def next(self) -> None:
        turn = len(self) % 12
        if turn == 0:
            self.see("flat")
        elif turn == 1:
            self.buy(size=5)
        elif turn == 4:
            self.close()


class SetsItsMethods(Everything):
    """Methods that an instance has, and its class has not."""

    notify_order = bt.Strategy.notify_order
    notify_trade = bt.Strategy.notify_trade

    def __init__(self) -> None:
        super().__init__()
        self.notify_order = lambda order: SEEN.append(order_seen(order))
        self.notify_trade = lambda trade: SEEN.append(trade_seen(trade))
        self.notify_cashvalue = lambda cash, value: SEEN.append((cash, value))


class OwnRates(bt.CommInfoBase):
    """A scheme that sets a method of its own when it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.getcommission = lambda size, price: 2.5


class Analyzed(Everything):
    def __init__(self) -> None:
        super().__init__()
        self._addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
        self._addanalyzer(bt.analyzers.TimeReturn, _name="returns")

    def stop(self) -> None:
        SEEN.append((self.analyzers.trades.get_analysis(), self.analyzers.returns.get_analysis()))


class Observed(Everything):
    def start(self) -> None:
        self._addobserver(False, bt.observers.Broker)
        self.stats[0]._start()

    def trade(self) -> None:
        super().trade()
        SEEN.append((self.stats.broker.cash[0], self.stats.broker.value[-1], len(self.stats.broker)))


class Private(Everything):
    """Looks at lists Backtrader keeps for itself."""

    def trade(self) -> None:
        super().trade()
        SEEN.append(
            ([order.ref for order in self._orders], len(self._orderspending), len(self._tradespending))
        )


class Stops(Everything):
    def trade(self) -> None:
        super().trade()
        if len(self) == 60:
            self.env.runstop()

    def stop(self) -> None:
        SEEN.append(("stop", len(self), self.data.close[0], self.broker.getvalue()))
        self.close()


class Deposits(Everything):
    """Money comes and goes while it runs."""

    def trade(self) -> None:
        super().trade()
        if len(self) % 40 == 15:
            self.broker.add_cash(1_000.0)
            SEEN.append((self.broker.getcash(), self.broker.getvalue()))
            SEEN.append(self.broker.getvalue([self.data]))
            SEEN.append((self.broker.getcash(), self.broker.getvalue()))
        if len(self) == 100:
            self.broker.set_cash(70_000.0)
            SEEN.append((self.broker.getcash(), self.broker.getvalue(), self.broker.startingcash))


class OwnLines(Everything):
    lines = ("mine",)

    def trade(self) -> None:
        super().trade()
        self.lines.mine[0] = self.data.close[0] * 2
        SEEN.append(
            (self.l.mine[-1], self.lines.mine.get(size=4).tolist(), self.mine[0], self.lines.buflen())
        )


class Counting(bt.Indicator):
    lines = ("count",)
    params = (("step", 2),)

    def __init__(self) -> None:
        self.addminperiod(3)

    def next(self) -> None:
        before = self.lines.count[-1]
        self.lines.count[0] = (before if before == before else 0.0) + self.p.step


class Doubling(bt.Indicator):
    lines = ("double",)

    def once(self, start: int, end: int) -> None:
        source, target = self.data.array, self.lines.double.array
        for bar in range(start, end):
            target[bar] = source[bar] * 2


class Indicators(Watcher):
    """Indicators of a user, of TA-Lib, on lines of others, on nested ones, and one that follows the strategy."""

    def __init__(self) -> None:
        self.macd = bt.ind.MACD()
        self.parts = [
            Counting(),
            Doubling(self.data.high),
            bt.talib.SMA(self.data.close, timeperiod=6),
            bt.ind.EMA(self.macd.signal, period=3),
            bt.ind.SMA(self.macd.getindicators()[0], period=2),
            self.data.close() - 1,
            bt.ind.Highest(self.data.high(-1), period=4),
            bt.And(self.data.close > self.data.open, self.macd.macd > self.macd.signal),
            bt.If(self.data.close > 80, self.data.high, self.data.low),
            bt.ind.BollingerBands(),
        ]

    def trade(self) -> None:
        SEEN.append([(part[0], look(part, -2), len(part)) for part in self.parts])
        SEEN.append((self.macd.macd[0], self.macd.signal[0], self.macd.lines[1][0], self.parts[-1].top[0]))
        if self.macd > self.macd.signal and not self.position:
            self.buy()
        elif self.macd < self.macd.signal and self.position:
            self.close()


class Exits(bt.SignalStrategy):
    params = (("_accumulate", True),)

    def __init__(self) -> None:
        self.signal_add(bt.SIGNAL_LONG, self.data.close - bt.ind.SMA(period=9))
        self.signal_add(bt.SIGNAL_LONGEXIT, bt.ind.CrossOver(self.data.close, bt.ind.SMA(period=20)))

    def notify_order(self, order: bt.Order) -> None:
        SEEN.append(order_seen(order))

    def next(self) -> None:
        SEEN.append((len(self), self.position.size))


class Several(Watcher):
    """Two datas of unlike length and start; trades before the warm-up is over."""

    def __init__(self) -> None:
        self.means = [bt.ind.SMA(data, period=10) for data in self.datas]
        self.spread = self.data1.close - self.data1.open

    def prenext(self) -> None:
        self.see("prenext")
        self.trade()

    def trade(self) -> None:
        lengths = [len(data) for data in self.datas]
        SEEN.append((lengths, [look(mean, 0) for mean in self.means], len(self.spread), self._minperiods))
        for data in self.datas:
            if len(data) > 3 and len(self) % 5 == 0:
                size = self.getposition(data).size
                self.buy(data, size=3) if data.close[0] > data.close[-1] else self.sell(data, size=3 + size)
        SEEN.append(self.broker.getvalue(self.datas))
        if len(self) % 30 == 7:
            self.order_target_value(data="LATE", target=2_000.0)


class HeikinAshi(Watcher):
    """An indicator that makes Backtrader go bar by bar."""

    def __init__(self) -> None:
        self.ha = bt.ind.HeikinAshi(self.data)

    def trade(self) -> None:
        SEEN.append((self.ha.ha_close[0], self.ha.ha_open[0]))
        super().trade()


class Higher(Watcher):
    """Looks at all datas, and crosses timeframes."""

    def __init__(self) -> None:
        self.means = [bt.ind.EMA(data, period=3) for data in self.datas]
        self.above = self.data1.close() < self.data.close
        self.coupled = self.data1.close() - self.data.close

    def trade(self) -> None:
        SEEN.append(
            [(len(data), look(data.datetime, 0), look(data, 0), look(data.volume, 0)) for data in self.datas]
        )
        SEEN.append(([look(mean, 0) for mean in self.means], self.above[0], self.coupled[0], len(self.above)))
        super().trade()


def margins(broker: bt.brokers.BackBroker) -> None:
    broker.setcommission(commission=2.0, margin=900.0, mult=5.0)


def interest(broker: bt.brokers.BackBroker) -> None:
    broker.setcommission(commission=0.001, interest=0.2, interest_long=True)


def leverage(broker: bt.brokers.BackBroker) -> None:
    broker.setcommission(commission=0.001, leverage=4.0, mult=1.0)


class Tiered(bt.CommInfoBase):
    params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_FIXED))

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return max(1.0, abs(size) * 0.03)


class LooksAtItsClass(Everything):
    """Counts in its class, which must therefore be the one it was written as."""

    decisions = 0

    def next(self) -> None:
        type(self).decisions += 1
        SEEN.append((len(self), type(self) is LooksAtItsClass, vars(LooksAtItsClass)["decisions"] % 1000))
        super().next()

    def stop(self) -> None:
        type(self).decisions = 0


class CountsItself(Everything):
    """Has ideas of its own about its length and its position."""

    def __len__(self) -> int:
        return 1000 + super().__len__()

    def getposition(self, data: Any = None, broker: Any = None) -> Any:
        SEEN.append("asked")
        return super().getposition(data, broker)


SETTINGS = {
    "looks at its class": Setting(LooksAtItsClass),
    "its own length": Setting(CountsItself),
    "everything a strategy sees": Setting(Everything),
    "no notifications of its own": Setting(plain("LimitsThatExpire"), {"A": market(21)}),
    "minute bars": Setting(Everything, {"A": market(8, spacing="7min")}),
    "bars at the end of the day": Setting(
        Everything, {"A": market(8, start="2019-01-01 23:59:59.5", spacing="D")}
    ),
    "cash, fund, store and data notifications": Setting(Interested),
    "timers": Setting(Timers),
    "orders at the open": Setting(AtTheOpen, cheat_on_open=True),
    "cheating timers at the open": Setting(Timers, cheat_on_open=True),
    "a position long closed": Setting(Rarely),
    "methods of the instance": Setting(SetsItsMethods),
    "a commission of the instance": Setting(
        Everything, broker=lambda broker: broker.addcommissioninfo(OwnRates())
    ),
    "everything there is to be told, margins": Setting(Interested, broker=margins),
    "everything there is to be told, two datas": Setting(
        type("InterestedInTwo", (Told, Several), {"__module__": __name__}), two_markets()
    ),
    "everything there is to be told, weeks": Setting(
        type("InterestedInWeeks", (Told, Higher), {"__module__": __name__}), resample=("1W",)
    ),
    "analyzers of its own": Setting(Analyzed),
    "observers of its own": Setting(Observed),
    "private lists": Setting(Private),
    "stopped early": Setting(Stops),
    "cash added and set": Setting(Deposits),
    "lines of its own": Setting(OwnLines),
    "indicators of many kinds": Setting(Indicators),
    "signals with exits": Setting(Exits, {"A": market(6)}),
    "several datas": Setting(Several, two_markets()),
    "bar by bar": Setting(HeikinAshi),
    "sizer": Setting(Everything, sizer=(bt.sizers.PercentSizer, {"percents": 7})),
    "weeks and months": Setting(Higher, resample=("1W", "1M")),
    "two weeks": Setting(Higher, resample=("2W",)),
    "hours to days and weeks": Setting(
        Higher, {"A": market(8, bars=300, spacing="4h")}, resample=("1D", "1W")
    ),
    "minutes to hours": Setting(Higher, {"A": market(8, bars=300, spacing="20min")}, resample=("1h",)),
    "weeks beside two datas": Setting(Higher, {"A": market(4), "B": market(5)}, resample=("1W",)),
    "margins": Setting(Everything, broker=margins),
    "margins, timers, analyzers": Setting(
        type("Watched", (Timers, Analyzed), {"__module__": __name__}), broker=margins
    ),
    "margins at the open": Setting(AtTheOpen, cheat_on_open=True, broker=margins),
    "margins and weeks": Setting(Higher, resample=("1W",), broker=margins),
    "margins of two datas": Setting(Several, two_markets(), broker=margins),
    "interest": Setting(Everything, broker=interest),
    "leverage": Setting(Everything, broker=leverage),
    "own commission": Setting(Everything, broker=lambda broker: broker.addcommissioninfo(Tiered())),
    "slippage": Setting(Everything, broker=lambda broker: broker.set_slippage_perc(0.01, slip_match=False)),
    "fixed slippage": Setting(
        Everything, broker=lambda broker: broker.set_slippage_fixed(0.3, slip_out=True)
    ),
    "cheat on close": Setting(Everything, broker=lambda broker: broker.set_coc(True)),
    "no check of cash": Setting(Everything, broker=lambda broker: broker.set_checksubmit(False)),
    "short cash": Setting(Everything, broker=lambda broker: broker.set_shortcash(False)),
    "filler": Setting(Everything, broker=lambda broker: broker.set_filler(bt.fillers.FixedSize(size=3))),
}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_equals_stock(name: str) -> None:
    assert_same(SETTINGS[name])


class FailsInNext(Everything):
    def trade(self) -> None:
        super().trade()
        if len(self) == 50:
            raise ValueError("on purpose")


class FailsInNotify(Everything):
    def notify_order(self, order: bt.Order) -> None:
        super().notify_order(order)
        if order.ref == 6 and order.status == order.Completed:
            raise StopIteration


class LooksAhead(Everything):
    def trade(self) -> None:
        super().trade()
        SEEN.append(self.data.close[1])


class FlatRsi(bt.Strategy):
    def __init__(self) -> None:
        self.rsi = bt.ind.RSI(period=3)


FAILURES = {
    "in next": (Setting(FailsInNext), ValueError),
    "in a notification": (Setting(FailsInNotify), StopIteration),
    "past the last bar": (Setting(LooksAhead), IndexError),
    "past the last bar, bar by bar": (Setting(LooksAhead, resample=("1W",)), IndexError),
    "in Backtrader, which cannot double days": (Setting(Higher, resample=("2D",)), ValueError),
    "in an indicator": (Setting(FlatRsi, {"A": market(1).assign(close=50.0)}), ZeroDivisionError),
}


@pytest.mark.parametrize("name", list(FAILURES))
def test_fails_as_stock(name: str) -> None:
    setting, kind = FAILURES[name]
    expected, seen = watch(by_hand, setting)
    answer, lean_seen = watch(on_lean, setting)
    assert type(expected) is kind
    assert type(answer) is kind
    assert str(answer) == str(expected)
    assert repr(lean_seen) == repr(seen)


def test_a_failure_names_file_line_and_bar() -> None:
    frame = market(1)
    with pytest.raises(StrategyError, match="on purpose") as caught:
        on_lean(Setting(FailsInNext, {"A": frame}))
    assert caught.value.context["file"] == __file__
    assert "on the bar of " + frame.index[49].isoformat() in str(caught.value)
    with pytest.raises(StrategyError) as caught:
        on_lean(Setting(LooksAhead, {"A": frame}))
    assert caught.value.context["file"] == __file__
    assert "on the bar of " + frame.index[-1].isoformat() in str(caught.value)


def test_refuses_bars_fewer_than_the_warm_up() -> None:
    with pytest.raises(DataError, match="needs 36 bars"):
        on_lean(Setting(Indicators, {"A": market(1, bars=12)}))


def test_notes_orders_on_a_data_that_has_not_begun() -> None:
    assert any(
        "look-ahead" in note for note in assert_same(Setting(plain("Pairs"), two_markets_unguarded())).notes
    )


def two_markets_unguarded() -> dict[str, pd.DataFrame]:
    return {"A": market(4, bars=90), "LATE": market(5, bars=60, start="2019-02-11")}


def test_reports_bars_as_they_are_done() -> None:
    counted: list[int] = []
    lean.run(Everything, {}, {"A": market(1, bars=30)}, stock_broker(CASH, COMMISSION), on_bar=counted.append)
    assert counted == list(range(1, 31))


class OwnLoop(bt.Strategy):
    def _oncepost(self, dt: float) -> None:
        super()._oncepost(dt)


class MovesLines(bt.Strategy):
    def next(self) -> None:
        self.data.rewind()


class ChangesCosts(bt.Strategy):
    def next(self) -> None:
        self.broker.setcommission(commission=0.5)


class ChangesTerms(bt.Strategy):
    def next(self) -> None:
        self.broker.set_shortcash(False)


class ReadsTicks(bt.Strategy):
    def next(self) -> None:
        SEEN.append(self.data.tick_close)


@pytest.mark.parametrize("strategy", [OwnLoop, MovesLines, ChangesCosts, ChangesTerms, ReadsTicks])
def test_refuses_what_it_cannot_keep(strategy: type[bt.Strategy]) -> None:
    with pytest.raises(Refused):
        on_lean(Setting(strategy))


def test_refuses_a_broker_of_another_class() -> None:
    class Other(bt.brokers.BackBroker):
        pass

    with pytest.raises(Refused, match="Other"):
        lean.run(Everything, {}, {"A": market(1)}, Other())


def test_leaves_stock_objects_behind() -> None:
    strategy = on_lean(Setting(Everything)).strategy
    assert strategy is not None
    assert type(strategy.broker) is bt.brokers.BackBroker
    assert type(strategy.data.close) is bt.LineBuffer
    assert type(strategy.mean) is bt.ind.SMA
    assert len(strategy) == len(strategy.data.close) == 200
    assert strategy.mean[0] == pytest.approx(np.mean(strategy.data.close.get(size=7)))


@pytest.mark.parametrize("spacing", ["B", "1h", "7min", "1s", "123456us"])
def test_times_as_stock_numbers_them(spacing: str) -> None:
    times = pd.date_range("1969-12-30 22:58:01.000123", periods=2_000, freq=spacing)
    assert date2num(times).tolist() == [bt.date2num(time) for time in times.to_pydatetime()]
