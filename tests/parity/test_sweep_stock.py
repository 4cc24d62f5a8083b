"""`engine.sweep`: every combination is its own single run on stock Backtrader; indicators are computed once."""

import math

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from analyzers.metrics import summarize
from core.errors import ConfigError, UnknownNameError
from engine.cerebro import assemble, history_feed, run, stock_broker
from engine.choose import Task
from engine.compiled import kernel
from engine.compiled.evaluation import Evaluation
from engine.compiled.planning import Plan
from engine.compiled.program import columns_of
from engine.compiled.program_reader import build
from engine.sweep import combinations_of, parse_space, sweep
from engine.sweep_metrics import METRICS
from engine.sweep_nodes import chain_of, fill_own, split
from engine.sweep_rows import ROWS
from engine.sweep_run import Sweeping
from feeds.market import load

LAST_BITS = 1e-12
"""Sums of few trades are not paired as numpy pairs them."""


class Crossing(bt.Strategy):
    params = {"fast": 5, "slow": 20}

    def __init__(self):
        self.average = bt.ind.SMA(period=self.p.fast)
        self.cross = bt.ind.CrossOver(self.average, bt.ind.SMA(period=self.p.slow))

    def next(self):
        if not self.position:
            if self.cross > 0:
                self.buy(size=10)
        elif self.cross < 0:
            self.close()


class Counting(Crossing):
    """Nothing a kernel can do: it keeps its own file of what it saw."""

    def next(self):
        open("/dev/null").close()
        super().next()


class Mixed(bt.Strategy):
    params = {"period": 10, "width": 2.0, "wide": True}

    def __init__(self):
        self.bands = bt.ind.BollingerBands(period=self.p.period, devfactor=self.p.width)
        self.rsi = bt.ind.RSI(period=self.p.period, safediv=True)
        self.macd = bt.ind.MACD(period_me1=self.p.period, period_me2=2 * self.p.period + 1)
        self.line = (self.data - self.data(-self.p.period)) * self.p.width
        self.short = bt.ind.EMA(period=max(3, self.p.period // 2)) if self.p.wide else bt.ind.ATR(period=3)


@pytest.fixture(scope="module")
def market():
    rng = np.random.default_rng(4)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 300)))
    opened = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    index = pd.date_range("2015-01-01", periods=300, freq="D", tz="UTC")
    frame = pd.DataFrame(
        {"open": opened, "high": high, "low": low, "close": close, "volume": 1000.0}, index=index
    )
    return load({"X": frame})


def single(cls, params, market):
    feeds = {name: history_feed(name, frame) for name, frame in market.frames.items()}
    return run(assemble(cls, params, feeds, stock_broker(100_000.0, 0.001)))


@pytest.mark.parametrize("cls", [Crossing, Counting])
def test_each_combination_is_its_own_run(cls, market):
    grid = {"fast": [3, 8, 25], "slow": [10, 25, 400]}
    table = sweep(cls, market, grid, metrics=METRICS).table
    assert len(table) == 9
    for row in table.to_dict("records"):
        params = {name: row[name] for name in grid}
        if params["slow"] == 400:
            # Never warm: stock fails or never trades, and the row says the same.
            assert row["error"] or row["trades"] == 0
            continue
        recording = single(cls, params, market)
        wanted = summarize(recording.equity, recording.trades, fills=recording.fills)
        assert row["error"] == ""
        for name in METRICS:
            same_nan = math.isnan(row[name]) and math.isnan(wanted[name])
            assert same_nan or row[name] == pytest.approx(wanted[name], rel=LAST_BITS, abs=LAST_BITS), name


def test_every_line_and_warm_up_equals_stock(market):
    given = [
        {"period": period, "width": width, "wide": wide}
        for period in (4, 9, 30)
        for width in (1.5, 2.0)
        for wide in (True,)
    ]
    program = build(Mixed, given[0], market.frames, stock_broker(1e5, 0.001))
    evaluation = Evaluation(columns_of(given, ["period", "width"]), len(given))
    held = program.holds(evaluation)
    # max(3, period // 2) takes another way at 4 than at 9 and 30.
    assert held.tolist() == [each["period"] < 6 for each in given]
    program = build(Mixed, given[-1], market.frames, stock_broker(1e5, 0.001))
    held = program.holds(evaluation)
    assert held.tolist() == [each["period"] >= 8 for each in given]
    plan = Plan(program, evaluation)
    plan.add(program.nodes)
    table, failed = plan.compute()
    assert not failed.any()
    for number in np.flatnonzero(held):
        stock = single(Mixed, given[number], market).strategy
        assert stock._minperiods == [period.of(given[number]) for period in program.minimum_periods]
        for ours, theirs in zip(lines_of(program.setup.strategy), lines_of(stock), strict=True):
            found, wanted = table[plan.rows[program.line(ours)][number]], np.array(theirs.array)
            assert np.array_equal(found, wanted, equal_nan=True)


def lines_of(strategy):
    for name in ("bands", "rsi", "macd", "line", "short"):
        yield from getattr(strategy, name).lines


class Own(bt.Strategy):
    """Every kind of line that a combination may have for itself, each of them behind both parameters."""

    params = {"period": 5, "width": 2.0}

    def __init__(self):
        base = (self.data - self.data(-self.p.period)) * self.p.width
        windows = [
            kind(base, period=self.p.period)
            for kind in (bt.ind.SMA, bt.ind.SumN, bt.ind.EMA, bt.ind.Highest, bt.ind.Lowest)
        ]
        whole = base // 0.75
        self.parts = [
            *windows,
            -base,
            abs(base),
            self.p.width - windows[0],
            self.p.width / (abs(windows[1]) + 1.0),
            bt.ind.CrossOver(windows[0], windows[2]),
            bt.Or(windows[0] > windows[2], windows[3] <= base),
            bt.Max(windows[0], windows[2]),
            whole * windows[4] - base / (abs(whole) + 0.5),
            self.data / whole,  # zero somewhere
        ]


def test_lines_of_a_combination_are_those_of_the_plan(market):
    given = [{"period": 3 + k % 7, "width": 0.5 + k / 8} for k in range(24)] + [{"period": 299, "width": 1.0}]
    program = build(Own, given[0], market.frames, stock_broker(1e5, 0.001))
    evaluation = Evaluation(columns_of(given, ["period", "width"]), len(given))
    wanted = [program.line(part) for part in program.setup.strategy.parts]
    plan = Plan(program, evaluation)
    plan.add(program.nodes)
    table, failed = plan.compute()
    shared, own = split(program.nodes, evaluation, ())
    assert len(own) > len(wanted)
    part = Plan(program, evaluation)
    part.add(shared)
    chain = chain_of(program, own, evaluation, part.rows, wanted)
    rows, lost = np.vstack((part.compute()[0], np.full((chain.slots, 300), 7.0))), np.zeros(chain.slots, bool)
    none_failed = np.zeros(part.count, bool)
    for number in range(len(given)):
        fill_own(rows, part.count, chain.calls, chain.whole[number], chain.numbers[number], none_failed, lost)
        for line in wanted:
            row, place = plan.rows[line][number], chain.places[line]
            assert lost[place] == failed[row]
            same = np.array_equal(rows[part.count + place], table[row], equal_nan=True)
            assert same or failed[row]
    assert failed.any()


def test_averages_are_computed_once_each(market):
    given = [{"fast": fast, "slow": slow} for fast in range(5, 15) for slow in range(20, 60, 2)]
    program = build(Crossing, given[0], market.frames, stock_broker(1e5, 0.001))
    plan = Plan(program, Evaluation(columns_of(given, ["fast", "slow"]), len(given)))
    plan.add(program.nodes)
    averages = [task for task in plan.tasks if "Average" in task.node.name or task.node.name == "SMA"]
    assert len(averages) == 30
    assert plan.asked == len(program.nodes) * 200


def test_strategies_share_the_rows_of_a_market_until_it_changes(market):
    class Reversed(Crossing):
        def next(self):
            if self.cross < 0 and not self.position:
                self.buy(size=10)

    def computed(cls, given):
        before = ROWS.counters.computed
        result = sweep(cls, given, {"fast": [3, 8], "slow": [20, 40]}, jobs=jobs)
        assert (result.engine, set(result.table["error"])) == ("compiled", {""})
        return ROWS.counters.computed - before, result.table

    jobs = 2
    ROWS.clear()
    first, table = computed(Crossing, market)
    assert first == 4  # the average of each of four periods
    assert computed(Reversed, market)[0] == 0
    jobs = 3
    again, cached = computed(Crossing, market)
    assert again == 0
    pd.testing.assert_frame_equal(table, cached)
    shorter = {"X": market.frames["X"].iloc[:-1]}
    assert computed(Crossing, load(shorter))[0] == 4
    assert ROWS.bytes <= ROWS.capacity


def test_ranks_by_what_was_asked(market):
    result = sweep(Crossing, market, {"fast": [3, 8], "slow": [20, 40]}, metric="max_drawdown")
    assert result.table["max_drawdown"].min() == result.ranked()["max_drawdown"].iloc[0]
    assert set(result.best) == {"fast", "slow"}


def test_mistakes_are_named(market):
    with pytest.raises(UnknownNameError, match="fats"):
        sweep(Crossing, market, {"fats": [1, 2]})
    with pytest.raises(UnknownNameError, match="sharp"):
        sweep(Crossing, market, {"fast": [5]}, metric="sharp")
    with pytest.raises(ConfigError):
        sweep(Crossing, market, {})
    with pytest.raises(ConfigError):
        sweep(Crossing, market, {"fast": []})


def test_a_combination_that_fails_says_so_in_its_row(market):
    table = sweep(Crossing, market, [{"fast": 5, "slow": 20}, {"fast": "quick", "slow": 20}]).table
    assert table["error"].iloc[0] == ""
    assert "fast" in table["error"].iloc[1]
    assert math.isnan(table["sharpe"].iloc[1])


def test_a_long_kernel_is_compiled_for_many_runs_only(market, monkeypatch, tmp_path):
    monkeypatch.setattr(kernel, "seconds_of", lambda source: 6.0)
    monkeypatch.setattr(kernel, "is_compiled", lambda source: False)
    told = []

    def swept(planned):
        task = Task(Crossing, {}, market.frames, stock_broker(100_000.0, 0.001))
        run = Sweeping(
            task, [{"fast": 3}, {"fast": 4}], ("sharpe",), 1, None, planned=planned, on_compile=told.append
        )
        run.compiled()
        return run

    few = swept(0)
    assert few.left == [0, 1]
    assert "not compiled: compiling takes about 6 s, once, and lean about 0.0" in few.reason
    assert told == []
    assert swept(10_000).left == []
    assert told == [6.0]


def test_space_of_the_command_line():
    assert parse_space(["fast=5:7", "width=1:2:0.5", "mode=a,b"]) == {
        "fast": [5, 6, 7],
        "width": [1, 1.5, 2.0],
        "mode": ["a", "b"],
    }
    assert len(combinations_of(parse_space(["fast=5:7", "mode=a,b"]))) == 6
    for wrong in ("fast", "fast=7:5", "fast=a:b", "fast=1:2:0"):
        with pytest.raises(ConfigError):
            parse_space([wrong])
