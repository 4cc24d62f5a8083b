"""The project's own strategies, compiled, against stock Backtrader.

A kernel of one of them takes long to compile, so that here only one is; `python -m engine.parity range_bound` and
`level_based` compile and compare the others.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest

from engine.cerebro import stock_broker
from engine.compiled import kernel
from engine.compiled.translate import translate
from engine.setup import prepare
from engine.sweep import sweep
from feeds.market import load
from strategies.level_based import LevelBased
from strategies.momentum import Momentum
from strategies.range_bound import RangeBound
from tests.parity.engines import Case, difference, on_fast, on_stock
from tests.parity.markets import frames

GRID: dict[str, list[Any]] = {"atr_stop": [1.5, 2.0, 3.0], "atr_bars": [10, 14, 20, 30]}
OTHER: dict[type[bt.Strategy], dict[str, Any]] = {
    RangeBound: {"atr_stop": 1.5, "atr_bars": 30},
    LevelBased: {"lookback": 40, "exit_sessions": 15, "reward": 4.0},
}


@pytest.fixture(scope="module")
def market() -> Any:
    """Prices of one share, daily, over years."""
    return load("sample:goog")


@pytest.mark.timeout(900)
def test_momentum_alone_warm_and_in_a_sweep(market: Any) -> None:
    """Sets of parameters on the sample and a made-up market, then twelve in one sweep, all by one kernel."""
    before = set(kernel._loaded)
    for bars in (market.frames, frames("gappy", 2, 600, (0,), False)):
        for params in ({}, {"atr_stop": 1.5, "atr_bars": 10}, {"fast": 5, "slow": 12, "rate_min": 0.01}):
            case = Case(Momentum, params, bars)
            fast = on_fast("compiled", case)
            assert fast.refusal is None, fast.error
            assert difference(on_stock(case), fast) is None
    result = sweep(Momentum, market, GRID)
    assert (result.engine, len(result.table), set(result.table["error"])) == ("compiled", 12, {""})
    for number in (0, 7, 11):
        row = result.table.iloc[number]
        alone = on_stock(Case(Momentum, {name: row[name].item() for name in GRID}, market.frames))
        assert alone.recording is not None
        assert row["trades"] == len(alone.recording.trades) > 3
        assert row["end_value"] == alone.recording.equity.iloc[-1]
    assert len(set(kernel._loaded) - before) <= 1


@pytest.mark.parametrize("strategy", OTHER, ids=lambda strategy: strategy.__name__)
def test_one_kernel_serves_all_numbers(strategy: type[bt.Strategy], market: Any) -> None:
    """The translations at two sets of parameters are the same text."""
    sources = {
        translate(
            prepare(strategy, params, market.frames, stock_broker(100_000.0, 0.001), recorder=False)
        ).source
        for params in ({}, OTHER[strategy])
    }
    assert len(sources) == 1
    assert sources.pop().count("@lengthy.part") > 10
