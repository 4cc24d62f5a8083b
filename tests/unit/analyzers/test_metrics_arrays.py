"""The figures of a run are those of the functions that define them, from frames or from columns."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyzers import metrics
from core.results import Coded, Table


def curve(seed: int, bars: int, deviation: float = 0.01) -> pd.Series:
    random = np.random.default_rng(seed)
    index = pd.date_range("2020-01-01", periods=bars, freq="1h", tz="UTC", name="time")
    return pd.Series(1e5 * np.exp(np.cumsum(random.normal(0.0, deviation, bars))), index=index)


@pytest.mark.parametrize("bars", [0, 1, 2, 3, 20, 21, 500])
@pytest.mark.parametrize("deviation", [0.0, 0.01])
def test_figures_worked_out_together_are_those_worked_out_alone(bars: int, deviation: float) -> None:
    equity = curve(bars, bars, deviation).to_numpy()
    returns, found = metrics.simple_returns(equity), metrics.equity_metrics(equity, 252.0)
    alone = {
        "total_return": metrics.total_return(equity),
        "cagr": metrics.cagr(equity, 252.0),
        "volatility": metrics.volatility(returns, 252.0),
        "sharpe": metrics.sharpe(returns, 252.0),
        "sortino": metrics.sortino(returns, 252.0),
        "calmar": metrics.calmar(equity, 252.0),
        "recovery_factor": metrics.recovery_factor(equity),
        "omega": metrics.omega(returns),
        "tail_ratio": metrics.tail_ratio(returns),
        "ulcer_index": metrics.ulcer_index(equity),
        "psr": metrics.probabilistic_sharpe(returns),
        "var_95": metrics.value_at_risk(returns),
        "cvar_95": metrics.conditional_value_at_risk(returns),
    }
    assert {name: found[name] for name in alone} == pytest.approx(alone, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("size", [1, 2, 3, 19, 20, 21, 22, 1_000])
def test_quantiles_are_numpys(size: int) -> None:
    values = np.sort(np.random.default_rng(size).normal(0.0, 1.0, size))
    for share in (0.05, 0.5, 0.95):
        assert metrics.quantile(values, share) == np.percentile(values, 100 * share)


def test_columns_give_the_figures_of_frames() -> None:
    equity = curve(3, 400)
    random = np.random.default_rng(9)
    times = np.sort(random.choice(equity.index.to_numpy(dtype="datetime64[ns]"), 40))
    fills = Table(
        {
            "time": times,
            "symbol": Coded(("A", "B"), random.integers(0, 2, 40)),
            "size": random.choice([-2.0, -1.0, 1.0, 2.0], 40),
            "commission": random.random(40),
        }
    )
    trades = Table(
        {
            "entry_time": times[:5],
            "exit_time": times[5:10],
            "pnl_net": random.normal(0.0, 1.0, 5),
            "commission": random.random(5),
        }
    )
    assert metrics.summarize(equity, trades, fills=fills) == metrics.summarize(
        equity, trades.frame(), fills=fills.frame()
    )
    assert metrics.summarize(equity, trades) == metrics.summarize(equity, trades.frame())


def test_a_position_is_held_from_the_close_of_the_bar_it_is_bought_on() -> None:
    equity = curve(1, 10)
    fills = Table(
        {
            "time": equity.index.to_numpy(dtype="datetime64[ns]")[[2, 5, 8, 8]],
            "symbol": Coded(("A",), np.zeros(4, np.int64)),
            "size": np.array([1.0, -1.0, 1.0, -1.0]),
            "commission": np.zeros(4),
        }
    )
    none = Table({"pnl_net": np.empty(0), "commission": np.empty(0)})
    assert metrics.summarize(equity, none, fills=fills)["exposure"] == pytest.approx(0.3, rel=1e-15)
    assert math.isnan(metrics.summarize(equity.iloc[:0], none, fills=fills)["exposure"])
