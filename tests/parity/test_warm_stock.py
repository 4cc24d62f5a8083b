"""Runs from a recipe (`engine.compiled.warm`) against the long way and stock; and what must never have one."""

from __future__ import annotations

import gc
import random
import time
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from engine import backtest, sweep_programs
from engine.account import copied
from engine.cerebro import stock_broker
from engine.choose import first_difference
from engine.compiled import running, warm
from engine.compiled.program_reader import build
from engine.compiled.recipes import day_numbers
from engine.setup import date2num
from engine.sweep import sweep

PERIODS = [7]
LEVEL = 100.0


class Two(bt.Strategy):
    """An indicator of its own, two datas or one, orders of several kinds."""

    params = (("fast", 4), ("slow", 11))

    def __init__(self) -> None:
        self.cross = {
            d: bt.ind.CrossOver(Mean(d, period=self.p.fast), Mean(d, period=self.p.slow)) for d in self.datas
        }
        self.high = bt.ind.Highest(self.data.high, period=5)(-1)

    def next(self) -> None:
        for data in self.datas:
            if self.cross[data] > 0:
                self.buy(data, size=10, exectype=bt.Order.Limit, price=data.close[0] * 0.999)
            elif self.cross[data] < 0 and self.getposition(data):
                self.close(data)
        if self.data.close[0] > self.high[0] and not self.position and self.data.datetime.date().day > 3:
            self.sell(size=5)


class Mean(bt.Indicator):
    """Of backtrader's own parts."""

    lines = ("mean",)
    params = (("period", 3),)

    def __init__(self) -> None:
        self.lines.mean = bt.ind.SMA(self.data, period=self.p.period)


class Reader(bt.Strategy):
    """Reads a bar while it is made."""

    def __init__(self) -> None:
        self.size = 1 if self.data.close[0] > 0 else 2
        self.mean = bt.ind.SMA(period=3)

    def next(self) -> None:
        if self.mean[0] > self.data[0]:
            self.buy(size=self.size)


class Dated(Reader):
    """Reads a date while it is made."""

    def __init__(self) -> None:
        self.size = self.data.datetime.date(0).day
        self.mean = bt.ind.SMA(period=3)


class Long(Reader):
    """Counts its bars while it is made."""

    def __init__(self) -> None:
        self.size = self.data.buflen()
        self.mean = bt.ind.SMA(period=3)


class Clocked(Reader):
    """Reads the clock."""

    def __init__(self) -> None:
        self.size = int(time.time()) % 5
        self.mean = bt.ind.SMA(period=3)


class Chancy(Reader):
    """Throws dice."""

    def __init__(self) -> None:
        self.size = random.randint(1, 5)
        self.mean = bt.ind.SMA(period=3)


class Numpy(Reader):
    """Throws numpy's dice."""

    def __init__(self) -> None:
        self.size = int(np.random.randint(1, 5))
        self.mean = bt.ind.SMA(period=3)


class File(Reader):
    """Reads a file."""

    def __init__(self) -> None:
        with open(__file__) as file:
            self.size = len(file.read()) % 7
        self.mean = bt.ind.SMA(period=3)


class Counting(Reader):
    """Keeps a count on its class."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.size = self.made
        self.mean = bt.ind.SMA(period=3)


class Appending(Reader):
    """Changes a list of its class."""

    seen: list[int] = []

    def __init__(self) -> None:
        self.seen.append(1)
        self.size = len(self.seen)
        self.mean = bt.ind.SMA(period=3)


class Global(Reader):
    """Uses a list and a number of its module."""

    def __init__(self) -> None:
        self.size = 2
        self.mean = bt.ind.SMA(period=PERIODS[0])

    def next(self) -> None:
        if self.data.close[0] > LEVEL:
            self.buy(size=self.size)


def market(bars: int, seed: int = 1, freq: str = "1D", tz: str | None = "UTC") -> pd.DataFrame:
    """A seeded random walk."""
    chance = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(chance.normal(0.0, 0.01, bars)))
    opening = np.concatenate([[100.0], close[:-1]])
    prices = {
        "open": opening,
        "high": np.maximum(opening, close) * 1.004,
        "low": np.minimum(opening, close) * 0.996,
        "close": close,
        "volume": np.full(bars, 1000.0),
    }
    return pd.DataFrame(prices, index=pd.date_range("2024-01-01", periods=bars, freq=freq, tz=tz))


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_recipes", type(warm._recipes)())
    monkeypatch.setattr(warm, "_hopeless", type(warm._hopeless)())
    monkeypatch.setattr(sweep_programs, "_kept", type(sweep_programs._kept)())


def recipe(cls: Any, frames: dict[str, pd.DataFrame], **params: Any) -> Any:
    """The recipe at default parameters."""
    values = dict(cls.params._getitems()) | params
    return warm.recipe_of(cls, values, frames, stock_broker(100_000.0, 0.001))


def test_a_recipe_gives_over_other_bars_what_the_long_way_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    first = {"A": market(300, 1), "B": market(260, 2)}
    other = {"A": market(450, 3), "B": market(500, 4).iloc[40:]}
    made = recipe(Two, first)
    assert made is not None
    assert recipe(Two, other) is made
    params, broker = {"fast": 4, "slow": 11}, stock_broker(100_000.0, 0.001)
    short = running.run(Two, params, other, copied(broker))
    monkeypatch.setattr(warm, "recipe_of", lambda *_: None)
    long = running.run(Two, params, other, copied(broker))
    assert len(long.orders) > 10
    assert first_difference(long, short) == ""


@pytest.mark.parametrize("freq", ["1D", "1min", "1h", "37s"])
def test_a_second_run_equals_stock(freq: str) -> None:
    backtest(Two, market(200, 1, freq), engine="compiled")
    bars = market(400, 2, freq)
    again, stock = backtest(Two, bars, engine="compiled"), backtest(Two, bars, engine="cerebro")
    assert warm._recipes
    assert len(stock.orders)
    for name in ("equity", "cash", "orders", "fills", "trades"):
        ours, theirs = getattr(again, name), getattr(stock, name)
        assert ours.equals(theirs), name


@pytest.mark.parametrize(
    "cls",
    [Reader, Dated, Long, Clocked, Chancy, Numpy, File, Counting, Appending],
    ids=lambda cls: cls.__name__,
)
def test_what_depends_on_more_than_parameters_has_no_recipe(cls: Any) -> None:
    assert recipe(cls, {"A": market(100)}) is None
    assert recipe(cls, {"A": market(100)}) is None


def test_a_recipe_lasts_until_something_it_uses_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = {"A": market(100)}
    made = recipe(Global, frames)
    assert made is not None
    assert recipe(Global, frames) is made
    monkeypatch.setitem(globals(), "LEVEL", 101.5)
    changed = recipe(Global, frames)
    assert changed is not made
    PERIODS[0] = 20
    try:
        assert recipe(Global, frames).needed == (20,)
    finally:
        PERIODS[0] = 7
    monkeypatch.setattr(Global, "next", lambda self: None)
    assert recipe(Global, frames).source != changed.source


def test_what_the_garbage_collector_calls_is_not_the_authors_doing() -> None:
    looked: list[str] = []
    space: dict[str, Any] = {"__name__": "foreign", "looked": looked}
    exec("def look(phase, info): looked.append(phase)", space)
    before = gc.get_threshold()
    gc.callbacks.append(space["look"])
    gc.set_threshold(1)
    try:
        assert recipe(Two, {"A": market(100)}) is not None
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(space["look"])
    assert looked
    assert gc.isenabled()


def test_other_settings_are_another_recipe() -> None:
    frames, params = {"A": market(100)}, {"fast": 4, "slow": 11}
    made = recipe(Two, frames)
    costly, other = stock_broker(100_000.0, 0.002), {"A": market(100, freq="1h")}
    assert warm.recipe_of(Two, params, frames, costly) is not made
    assert warm.recipe_of(Two, params, other, stock_broker(100_000.0, 0.001)) is not made
    assert warm.recipe_of(Two, {"fast": 5, "slow": 11}, frames, stock_broker(100_000.0, 0.001)) is not made
    assert (
        warm.recipe_of(Two, params, frames, stock_broker(100_000.0, 0.001), bt.sizers.FixedSize) is not made
    )


def test_too_few_bars_are_said_as_ever() -> None:
    backtest(Two, market(100), engine="compiled")
    with pytest.raises(Exception, match="needs 12 bars"):
        backtest(Two, market(8), engine="compiled")


@pytest.mark.parametrize(
    ("start", "tz"), [("1969-12-30", None), ("2024-03-30", "America/New_York"), ("1500-01-01", None)]
)
@pytest.mark.parametrize("freq", ["1min", "7min", "1h"])
def test_day_numbers_are_those_of_backtrader(start: str, tz: str | None, freq: str) -> None:
    if start.startswith("15"):
        start = "1700-02-27"
    index = pd.date_range(start, periods=7000, freq=freq, tz=tz)
    naive = index if tz is None else index.tz_convert(None)
    assert day_numbers(index).tobytes() == date2num(naive).tobytes()
    picked = naive[::997]
    assert day_numbers(index)[::997].tolist() == [bt.date2num(each) for each in picked.to_pydatetime()]


@pytest.mark.parametrize("cls", [Dated, Clocked, Chancy, Counting], ids=lambda cls: cls.__name__)
def test_a_sweep_makes_such_a_strategy_for_each_combination(cls: Any) -> None:
    class Swept(cls):  # type: ignore[misc]
        params = (("period", 3),)

    found = sweep(Swept, market(60), {"period": [3, 4]})
    assert (found.engine, found.counters["alone"]) == ("lean", 2)
    assert "while it is made" in found.reason or "may change" in found.reason


def test_sweeps_over_other_bars_and_with_other_numbers_share_one_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []
    monkeypatch.setattr(
        sweep_programs, "build", lambda *given, **more: made.append(1) or build(*given, **more)
    )
    for (seed, bars), fast in (((1, 200), 3), ((1, 200), 4), ((2, 260), 5), ((1, 200), 3)):
        space = {"fast": [fast, fast + 1], "slow": [9 + fast, 12 + fast]}
        found = sweep(Two, market(bars, seed), space, metrics=("end_value", "trades"))
        assert found.engine == "compiled"
        for row in found.table.to_dict("records"):
            params = {"fast": row["fast"], "slow": row["slow"]}
            stock = backtest(Two, market(bars, seed), params, engine="cerebro")
            assert row["end_value"] == stock.metrics["end_value"]
            assert row["trades"] == stock.metrics["trades"]
    assert len(made) == 1


class Turning(bt.Strategy):
    """Another way through `__init__` from a number on."""

    params = (("fast", 4), ("slow", 11))

    def __init__(self) -> None:
        mean = bt.ind.SMA if self.p.fast < 6 else bt.ind.WMA
        self.cross = bt.ind.CrossOver(mean(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=10)
        elif self.cross < 0 and self.position:
            self.close()


def test_a_program_is_not_used_where_it_does_not_hold() -> None:
    for fasts in ([3, 4], [8, 9], [5, 7]):
        found = sweep(Turning, market(200), {"fast": fasts, "slow": [14, 15]}, metrics=("end_value",))
        assert found.engine == "compiled"
        for row in found.table.to_dict("records"):
            params = {"fast": row["fast"], "slow": row["slow"]}
            stock = backtest(Turning, market(200), params, engine="cerebro")
            assert row["end_value"] == stock.metrics["end_value"]
