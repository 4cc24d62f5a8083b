"""What holds for the metrics of any run."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzers import metrics
from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, RunResult
from core.types import DataInfo

RATIOS = (
    "total_return",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "omega",
    "tail_ratio",
    "psr",
    "ulcer_index",
)
SCALED = 1e-7  # returns of a scaled curve round differently; ratios over small deviations magnify that

steps = st.lists(st.integers(-300, 300), min_size=2, max_size=120)
anything = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60)


def curve(moves: list[int]) -> np.ndarray:
    """Equity from moves in thousandths: above zero, and no difference is mere rounding."""
    return 1000.0 * np.cumprod(1.0 + np.asarray([0, *moves]) / 1000.0)


def same(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=SCALED, abs_tol=SCALED)


@given(anything)
@settings(max_examples=200, deadline=None)
def test_drawdown_is_in_the_unit_interval_and_nothing_raises_or_is_infinite(values: list[float]):
    index = pd.date_range("2020-01-01", periods=len(values), freq="D", tz="UTC")
    trades = pd.DataFrame({"pnl_net": values, "commission": 0.0, "entry_time": index, "exit_time": index})
    found = metrics.summarize(pd.Series(values, index=index, dtype="float64"), trades)
    assert not any(math.isinf(value) for value in found.values())
    assert math.isnan(found["max_drawdown"]) or 0 <= found["max_drawdown"] <= 1
    assert math.isnan(found["win_rate"]) or 0 <= found["win_rate"] <= 1
    assert math.isnan(found["psr"]) or 0 <= found["psr"] <= 1
    assert math.isnan(found["exposure"]) or 0 <= found["exposure"] <= 1


@given(steps, st.sampled_from([1e-3, 0.5, 3.0, 1e6]))
@settings(max_examples=150, deadline=None)
def test_scaling_the_account_changes_no_ratio(moves: list[int], factor: float):
    equity = curve(moves)
    one, other = metrics.equity_metrics(equity, 252), metrics.equity_metrics(equity * factor, 252)
    assert [key for key in RATIOS if not same(one[key], other[key])] == []


@given(steps)
@settings(max_examples=150, deadline=None)
def test_figures_of_one_run_fit_together(moves: list[int]):
    equity = curve(moves)
    found = metrics.equity_metrics(equity, 252)
    assert found["ulcer_index"] <= found["max_drawdown"] + 1e-12
    assert found["cvar_95"] >= found["var_95"] - 1e-12
    assert found["max_drawdown_bars"] < equity.size
    if not math.isnan(found["sharpe"]):
        assert (found["sharpe"] > 0) == (found["psr"] > 0.5) or math.isnan(found["psr"])
    if not math.isnan(found["omega"]) and not math.isnan(found["sharpe"]):
        assert (found["omega"] > 1) == (found["sharpe"] > 0) or abs(found["sharpe"]) < 1e-6


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=80))
@settings(max_examples=150, deadline=None)
def test_expectancy_is_what_wins_and_losses_say(results: list[int]):
    """R5"""
    pnl = np.asarray(results, dtype=np.float64)
    found = metrics.trade_metrics(pnl)
    lost = float((pnl < 0).mean())
    won, loss = (0.0 if math.isnan(found[key]) else found[key] for key in ("average_win", "average_loss"))
    assert math.isclose(found["expectancy"], found["win_rate"] * won - lost * loss, abs_tol=1e-9)


@given(steps, st.integers(1, 120))
@settings(max_examples=100, deadline=None)
def test_what_comes_later_never_makes_an_earlier_drawdown_smaller(moves: list[int], cut: int):
    equity = curve(moves)
    assert (metrics.drawdowns(equity)[:cut] == metrics.drawdowns(equity[:cut])).all()


@given(steps)
@settings(max_examples=100, deadline=None)
def test_the_months_compound_to_the_total_return(moves: list[int]):
    equity = curve(moves)
    index = pd.date_range("2020-01-20", periods=equity.size, freq="3D", tz="UTC")
    months = metrics.monthly_returns(pd.Series(equity, index=index)).to_numpy()
    assert math.isclose(np.nanprod(1 + months), 1 + metrics.total_return(equity), rel_tol=1e-9)


def run_of(values: list[float], index: pd.DatetimeIndex, pnl: list[float]) -> RunResult:
    """A run with this equity whose trades lasted a bar each."""
    moments = [index[0], index[-1]] if len(index) else [pd.Timestamp(0, tz="UTC")] * 2
    trades = pd.DataFrame([dict.fromkeys(TRADE_COLUMNS, 1.0) | {"pnl_net": each} for each in pnl])
    trades = trades.reindex(columns=list(TRADE_COLUMNS))
    trades["symbol"], trades["entry_time"], trades["exit_time"] = "A", moments[0], moments[1]
    fills = pd.DataFrame([dict.fromkeys(FILL_COLUMNS, 1.0) | {"price": each} for each in pnl])
    fills = fills.reindex(columns=list(FILL_COLUMNS))
    fills["symbol"], fills["time"] = "A", moments[0]
    equity = pd.Series(values, index=index, dtype="float64")
    prices = pd.DataFrame({"high": equity, "low": equity})
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    data = DataInfo("csv:a.csv", ("A",), moment, moment, len(index), "1d")
    orders = pd.DataFrame(columns=list(ORDER_COLUMNS))
    summary = metrics.summarize(equity, trades, fills=fills)
    return RunResult(
        *("backtest", "s", {}, data, equity, equity, trades, orders, fills, summary, "cerebro", ""),
        {"A": prices},
        {},
    )


@given(anything, anything, st.sampled_from(["D", "B", "h", "min", "W"]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_run_gives_an_infinity_or_an_impossible_figure(
    values: list[float], pnl: list[float], freq: str, beside: bool
):
    index = pd.date_range("2020-01-01", periods=len(values), freq=freq, tz="UTC")
    run = run_of(values, index, pnl)
    found = metrics.figures(run, benchmark=run.equity[::-1] if beside else None)
    assert len(found) == 53
    assert [key for key, value in found.items() if math.isinf(value)] == []
    for key in ("time_under_water", "average_drawdown", "exposure", "win_rate", "psr"):
        assert math.isnan(found[key]) or 0 <= found[key] <= 1, key
    for key in ("mae", "mfe", "sharpe_error", "turnover", "payoff_ratio", "tracking_error"):
        assert math.isnan(found[key]) or found[key] >= 0, key
    assert math.isnan(found["correlation"]) or -1 <= found["correlation"] <= 1
    assert math.isnan(found["kelly_trades"]) or found["kelly_trades"] <= 1


@given(steps, steps)
@settings(max_examples=100, deadline=None)
def test_a_benchmark_in_another_unit_changes_nothing(moves: list[int], others: list[int]):
    """B18"""
    count = min(len(moves), len(others))
    index = pd.date_range("2020-01-01", periods=count + 1, freq="D", tz="UTC")
    account, market = (pd.Series(curve(each[:count]), index=index) for each in (moves, others))
    one, other = (
        metrics.benchmark_metrics(account, market),
        metrics.benchmark_metrics(account * 3, market * 0.01),
    )
    assert [key for key in one if not same(one[key], other[key])] == []
    split = metrics.benchmark_metrics(account, market)
    if not math.isnan(split["beta"]):
        returns, moved = (metrics.simple_returns(each.to_numpy()) for each in (account, market))
        rest = returns - split["beta"] * moved
        assert abs(float(np.mean((rest - rest.mean()) * (moved - moved.mean())))) < 1e-12
