"""Parts of a run: by exit reason and by the state of the market."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyzers.breakdown import NOISE_BARS, REGIMES, TREND_BARS, regimes
from analyzers.metrics import by_exit_reason, by_regime, total_return
from core.results import TRADE_COLUMNS

SUMMED_DIFFERENTLY = 1e-12


def test_exit_reasons_by_hand() -> None:
    rows = [("stop", -5.0, 2), ("target", 10.0, 4), ("stop", -15.0, 4), (None, 1.0, 1)]
    trades = pd.DataFrame(
        [dict.fromkeys(TRADE_COLUMNS, 0) | {"exit_reason": r, "pnl_net": p, "bars": b} for r, p, b in rows]
    )
    found = by_exit_reason(trades)
    assert list(found.index) == ["stop", "", "target"]
    assert found.loc["stop", ["trades", "win_rate", "expectancy", "total", "average_bars"]].tolist() == [
        2,
        0,
        -10,
        -20,
        3,
    ]
    assert found.loc["target", "average_win"] == 10
    assert math.isnan(found.loc["target", "profit_factor"])
    assert found["total"].sum() == trades["pnl_net"].sum()
    assert by_exit_reason(trades.iloc[:0]).empty
    assert list(by_exit_reason(trades.iloc[:0]).columns) == list(found.columns)


def walk(bars: int, seed: int = 5) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, bars)))


def test_a_market_that_rises_then_falls_wildly_is_seen_as_such() -> None:
    calm = 100 * 1.001 ** np.arange(300) * (1 + 0.001 * (-1.0) ** np.arange(300))
    wild = calm[-1] * 0.98 ** np.arange(1, 101) * (1 + 0.03 * (-1.0) ** np.arange(100))
    found = regimes(np.concatenate([calm, wild]))
    names = [REGIMES[code] for code in found]
    assert set(names[:99]) == {"unknown"}
    assert {name.split(",")[0] for name in names[99:300]} == {"rising"}
    assert set(names[330:]) == {"falling, turbulent"}


def test_a_regime_is_known_without_what_comes_later() -> None:
    closes = walk(400)
    for cut in (TREND_BARS, 250, 399):
        assert (regimes(closes)[:cut] == regimes(closes[:cut])).all()
    assert len(regimes(closes)) == 400
    assert (regimes(np.array([])) == np.array([])).all()
    assert set(regimes(closes * 0)) == {len(REGIMES) - 1}
    assert NOISE_BARS < TREND_BARS


def test_the_regimes_share_the_run_among_them() -> None:
    index = pd.date_range("2020-01-01", periods=600, freq="D", tz="UTC")
    equity = pd.Series(walk(600, 8), index=index)
    found = by_regime(equity, pd.Series(walk(600), index=index))
    assert list(found.index) == list(REGIMES)
    assert found["bars"].sum() == 599
    assert found["share"].sum() == pytest.approx(1, rel=SUMMED_DIFFERENTLY)
    whole = np.prod(1 + found["total_return"].dropna()) - 1
    assert whole == pytest.approx(total_return(equity.to_numpy()), rel=SUMMED_DIFFERENTLY)


def test_a_regime_is_the_one_before_the_return() -> None:
    index = pd.date_range("2020-01-01", periods=400, freq="D", tz="UTC")
    closes = walk(400)
    codes = regimes(closes)
    # An account that earns on the bar after each "rising, calm" close, and nothing else.
    returns = np.where(codes[:-1] == 0, 0.01, 0.0)
    equity = pd.Series(np.cumprod(np.concatenate([[1.0], 1 + returns])), index=index)
    found = by_regime(equity, pd.Series(closes, index=index))
    assert found.loc["rising, calm", "total_return"] == pytest.approx(1.01 ** (codes[:-1] == 0).sum() - 1)
    assert found.loc["falling, calm", "total_return"] == pytest.approx(0, abs=SUMMED_DIFFERENTLY)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 0.0, 2.0], [np.nan] * 3])
def test_short_and_lost_accounts_have_regimes_without_figures(values: list[float]) -> None:
    index = pd.date_range("2020-01-01", periods=len(values), freq="D", tz="UTC")
    series = pd.Series(values, index=index, dtype="float64")
    found = by_regime(series, series)
    assert list(found.index) == list(REGIMES)
    assert found["sharpe"].isna().all()
