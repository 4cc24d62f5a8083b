"""The same figures for parts of a run: by what ended the trades, and by the state of the market."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzers.periods import periods_per_year
from analyzers.returns import FloatArray, sharpe, volatility
from analyzers.trade_figures import column, trade_metrics

if TYPE_CHECKING:
    import pandas as pd

TREND_BARS, NOISE_BARS = 100, 20
REGIMES = ("rising, calm", "rising, turbulent", "falling, calm", "falling, turbulent", "unknown")
OF_TRADES = ("trades", "win_rate", "expectancy", "profit_factor", "average_win", "average_loss")


def by_exit_reason(trades: pd.DataFrame) -> pd.DataFrame:
    """One row for each exit reason, the most frequent first: what its trades were worth.

    Index exit_reason ("" where none was recorded). Columns: trades, win_rate, expectancy, profit_factor, average_win,
    average_loss as in `trade_metrics`, total (sum of pnl_net in account currency), average_bars. Empty without trades.
    """
    import pandas as pd

    rows = {}
    for reason, some in trades.groupby(trades["exit_reason"].fillna(""), sort=True):
        pnl = column(some, "pnl_net")
        found = trade_metrics(pnl)
        rows[str(reason)] = {name: found[name] for name in OF_TRADES} | {
            "total": float(np.nansum(pnl)),
            "average_bars": float(some["bars"].mean()),
        }
    names = [*OF_TRADES, "total", "average_bars"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("exit_reason")
    return table.sort_values("trades", ascending=False, kind="stable")


def by_regime(equity: pd.Series, closes: pd.Series) -> pd.DataFrame:
    """One row for each of `REGIMES`: what the account did in it.

    equity: one value a bar; closes: of the market, DatetimeIndex both; each bar takes the last close at or before its
    time. Columns: bars, share (of all returns), total_return (compounded; all regimes together give that of the run),
    volatility and sharpe (annualised by the bars of the run). The regime of a return is known when it begins, see
    `regimes`. NaN where a regime has too few bars; all NaN but bars and share once the account was lost.
    """
    import pandas as pd

    values = equity.to_numpy(dtype=np.float64)
    known = np.isfinite(values)
    values, index = values[known], pd.DatetimeIndex(equity.index[known])
    codes = regimes(closes.reindex(index, method="ffill").to_numpy(dtype=np.float64))[:-1]
    sound = values.size > 1 and values.min() > 0
    returns = values[1:] / values[:-1] - 1.0 if sound else np.full(max(values.size - 1, 0), np.nan)
    periods = periods_per_year(index)
    rows = {name: _regime(returns[codes == code], returns.size, periods) for code, name in enumerate(REGIMES)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("regime")


def regimes(closes: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The state of the market at each close, by that close and those before: a place in `REGIMES`, (n,).

    closes: (n,). Rising: above the mean of the last `TREND_BARS` closes. Turbulent: the deviation of the last
    `NOISE_BARS` returns is above its mean so far. Unknown: before there are enough bars, or without a price above zero.
    """
    import pandas as pd

    prices = pd.Series(np.where(closes > 0, closes, np.nan))
    trend = prices.rolling(TREND_BARS).mean()
    noise = prices.pct_change(fill_method=None).rolling(NOISE_BARS).std()
    usual = noise.expanding().mean()
    code = np.where(prices > trend, 0, 2) + np.where(noise > usual, 1, 0)
    return np.where(trend.isna() | noise.isna(), len(REGIMES) - 1, code).astype(np.int64)


def _regime(returns: FloatArray, of: int, periods: float) -> dict[str, float]:
    sound = bool(returns.size) and not np.isnan(returns).any()
    return {
        "bars": float(returns.size),
        "share": returns.size / of if of else np.nan,
        "total_return": float(np.prod(1.0 + returns)) - 1.0 if sound else np.nan,
        "volatility": volatility(returns, periods) if sound else np.nan,
        "sharpe": sharpe(returns, periods) if sound else np.nan,
    }


__all__ = ["NOISE_BARS", "REGIMES", "TREND_BARS", "by_exit_reason", "by_regime", "regimes"]
