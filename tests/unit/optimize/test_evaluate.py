"""Batches of trials over parts of a market: compiled, in workers and here, all with one answer."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from engine import backtest
from engine.cerebro import stock_broker
from feeds.market import Market, load
from optimize.cache import ResultCache
from optimize.evaluate import Evaluation, facts_of
from optimize.trials import BLOCKS, Span, moments_of

METRICS = ("sharpe", "total_return", "end_value")
SPAN = Span(40, 200)


class Crossing(bt.Strategy):
    """Compiles."""

    params = (("fast", 4), ("slow", 11))

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self) -> None:
        if self.cross > 0:
            self.buy(size=10)
        elif self.cross < 0 and self.position:
            self.close()


class Spying(Crossing):
    """Does not compile; notes the last bar it saw, and what it held on its first."""

    seen: list[pd.Timestamp] = []

    def next(self) -> None:
        type(self).seen.append(pd.Timestamp(self.data.datetime.datetime(0), tz="UTC"))
        super().next()


def market(bars: int = 260, seed: int = 3) -> Market:
    rng = np.random.default_rng(seed)
    close = 100 * np.cumprod(1 + 0.01 * rng.standard_normal(bars))
    index = pd.date_range("2020-01-01", periods=bars, tz="UTC")
    return load(
        pd.DataFrame(
            {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": 9.0},
            index=index,
        )
    )


def params(count: int = 12) -> list[dict[str, int]]:
    return [{"fast": 2 + number % 5, "slow": 8 + number} for number in range(count)]


def test_compiled_and_one_by_one_agree() -> None:
    bars, broker = market(), stock_broker(10_000.0, 0.001)
    with Evaluation(Crossing, bars, broker, metrics=METRICS) as fast:
        swept = fast(params(), SPAN)
        assert fast.counters["compiled"] == 12
    with Evaluation(Crossing, bars, broker, metrics=METRICS, engine="lean", jobs=1) as slow:
        alone = slow(params(), SPAN)
        assert slow.counters["here"] == 12
    for name in (*METRICS, "trades"):
        assert np.array_equal(swept.metrics[name], alone.metrics[name], equal_nan=True), name
    assert swept.moments == pytest.approx(alone.moments, abs=1e-12)
    frame = next(iter(bars.frames.values())).iloc[40:200]
    stock = backtest(Crossing, frame, params()[0], cash=10_000.0, commission=0.001, engine="cerebro")
    assert swept.metrics["end_value"][0] == stock.metrics["end_value"]
    wanted = moments_of(np.concatenate([[10_000.0], stock.equity.to_numpy()]))
    assert swept.moments[0] == pytest.approx(wanted, abs=1e-12)


def test_a_search_never_sees_a_bar_past_its_span() -> None:
    bars = market()
    times = next(iter(bars.frames.values())).index
    Spying.seen.clear()
    with Evaluation(Spying, bars, stock_broker(10_000.0, 0.001), metrics=METRICS, jobs=1) as evaluate:
        found = evaluate(params(3), SPAN)
        assert evaluate.reason
    assert found.errors == ["", "", ""]
    assert max(Spying.seen) == times[199]
    assert min(Spying.seen) > times[40]


def test_a_warm_up_is_run_and_not_measured() -> None:
    bars, broker = market(), stock_broker(10_000.0, 0.001)
    with Evaluation(Crossing, bars, broker, metrics=METRICS, jobs=1) as evaluate:
        found = evaluate([{"fast": 4, "slow": 11}], Span(100, 200, 60))
    frame = next(iter(bars.frames.values())).iloc[40:200]
    stock = backtest(Crossing, frame, {"fast": 4, "slow": 11}, cash=10_000.0, engine="cerebro")
    values = stock.equity.to_numpy()
    assert found.moments[0] == pytest.approx(moments_of(values[59:]), abs=1e-12)
    assert found.metrics["total_return"][0] == pytest.approx(values[-1] / values[59] - 1)


def test_a_failing_trial_leaves_the_others(tmp_path: Path) -> None:
    with Evaluation(Crossing, market(), stock_broker(10_000.0, 0.0), metrics=METRICS, jobs=1) as evaluate:
        found = evaluate([{"fast": 3}, {"fast": 0}, {"slow": 5000}, {"slow": 9}], SPAN)
    assert [bool(error) for error in found.errors] == [False, True, True, False]
    assert np.isfinite(found.metrics["end_value"][[0, 3]]).all()
    assert not found.moments[1].any()
    assert found.moments.shape == (4, BLOCKS, 3)


class TestCache:
    def cached(
        self, tmp_path: Path, bars: Market, cls: type = Crossing, commission: float = 0.001
    ) -> Evaluation:
        broker = stock_broker(10_000.0, commission)
        cache = ResultCache(tmp_path / "results.db", bars, facts_of(cls, broker))
        return Evaluation(cls, bars, broker, metrics=METRICS, jobs=1, cache=cache)

    def test_the_same_trial_is_not_run_again(self, tmp_path: Path) -> None:
        bars = market()
        first = self.cached(tmp_path, bars)(params(), SPAN)
        again = self.cached(tmp_path, bars)
        second = again([*params(), {"fast": 2, "slow": 40}], SPAN)
        assert again.counters["cached"] == second.cached == 12
        assert again.counters["compiled"] == 1
        for name in METRICS:
            assert np.array_equal(first.metrics[name], second.metrics[name][:12], equal_nan=True)
        assert np.array_equal(first.moments, second.moments[:12])

    @pytest.mark.parametrize("change", ["bars", "span", "costs", "strategy", "params"])
    def test_anything_else_is(self, tmp_path: Path, change: str) -> None:
        self.cached(tmp_path, market())(params(2), SPAN)
        other = self.cached(
            tmp_path,
            market(seed=4) if change == "bars" else market(),
            Spying if change == "strategy" else Crossing,
            0.002 if change == "costs" else 0.001,
        )
        asked = [{"fast": 7, "slow": 9}] if change == "params" else params(2)
        found = other(asked, Span(41, 200) if change == "span" else SPAN)
        assert found.cached == 0

    def test_failures_are_tried_again(self, tmp_path: Path) -> None:
        self.cached(tmp_path, market())([{"fast": 0}], SPAN)
        assert self.cached(tmp_path, market())([{"fast": 0}], SPAN).cached == 0
