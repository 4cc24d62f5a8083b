"""`analyzers.metrics.summarize` for compiled sweeps: the same figures from one equity curve and its book.

Sums are pairwise in numpy's own order, so that most figures agree to the last bit. Only the groups of figures that
are asked for are computed; the others stay NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import njit

from analyzers.metrics import ROUNDING

METRICS = (
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "max_drawdown_bars",
    "recovery_factor",
    "omega",
    "tail_ratio",
    "ulcer_index",
    "psr",
    "var_95",
    "cvar_95",
    "sqn",
    "trades",
    "win_rate",
    "profit_factor",
    "expectancy",
    "average_win",
    "average_loss",
    "best_trade",
    "worst_trade",
    "commission",
    "exposure",
    "start_value",
    "end_value",
    "bars",
    "periods_per_year",
)
"""The keys of `summarize`, in its order."""
(
    TOTAL_RETURN, CAGR, VOLATILITY, SHARPE, SORTINO, CALMAR, MAX_DRAWDOWN, MAX_DRAWDOWN_BARS, RECOVERY_FACTOR, OMEGA,
    TAIL_RATIO, ULCER_INDEX, PSR, VAR_95, CVAR_95, SQN, TRADES, WIN_RATE, PROFIT_FACTOR, EXPECTANCY, AVERAGE_WIN,
    AVERAGE_LOSS, BEST_TRADE, WORST_TRADE, COMMISSION, EXPOSURE, START_VALUE, END_VALUE, BARS, PERIODS_PER_YEAR,
) = range(len(METRICS))  # fmt: skip

MOMENTS, DOWNSIDE, DRAWDOWN, OMEGA_RATIO, SHAPE, TAILS, TRADE_FIGURES, FILL_FIGURES = (
    1 << k for k in range(8)
)
OF_RETURNS = MOMENTS | DOWNSIDE | OMEGA_RATIO | SHAPE | TAILS
_GROUPS = {
    "volatility": MOMENTS,
    "sharpe": MOMENTS,
    "sortino": DOWNSIDE,
    "calmar": DRAWDOWN,
    "max_drawdown": DRAWDOWN,
    "max_drawdown_bars": DRAWDOWN,
    "recovery_factor": DRAWDOWN,
    "ulcer_index": DRAWDOWN,
    "omega": OMEGA_RATIO,
    "psr": SHAPE,
    "tail_ratio": TAILS,
    "var_95": TAILS,
    "cvar_95": TAILS,
    "commission": FILL_FIGURES,
    "exposure": FILL_FIGURES,
    **dict.fromkeys(METRICS[SQN : WORST_TRADE + 1], TRADE_FIGURES),
}
SCRATCH_ROWS = 2


def groups_of(names: Iterable[str]) -> int:
    """The groups of figures that have to be computed for these metrics, as bits."""
    groups = 0
    for name in names:
        groups |= _GROUPS.get(name, 0)
    return groups


_compiled: Any = njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def _sum_of_few(values, first, last):  # type: ignore[no-untyped-def]
    """Sum of values[first:last], at most 128 of them, in eight strands."""
    n = last - first
    if n < 8:
        total = 0.0
        for i in range(first, last):
            total += values[i]
        return total
    a, b, c, d = values[first], values[first + 1], values[first + 2], values[first + 3]
    e, f, g, h = values[first + 4], values[first + 5], values[first + 6], values[first + 7]
    whole = n - n % 8
    for i in range(first + 8, first + whole, 8):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
        e += values[i + 4]
        f += values[i + 5]
        g += values[i + 6]
        h += values[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(first + whole, last):
        total += values[i]
    return total


@_compiled
def _sum(values, first, last):  # type: ignore[no-untyped-def]
    """Sum of values[first:last], halved as numpy halves it.

    A stack holds the right halves that wait, and the sums of their left ones; a function that calls itself would not
    survive numba's cache.
    """
    n = last - first
    if n <= 128:
        return _sum_of_few(values, first, last)
    rights, counts, summed = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64, np.bool_)
    lefts = np.empty(64)
    depth = 0
    while True:
        while n > 128:
            half = n // 2
            half -= half % 8
            rights[depth], counts[depth], summed[depth] = first + half, n - half, False
            depth += 1
            n = half
        total = _sum_of_few(values, first, first + n)
        while depth > 0 and summed[depth - 1]:
            depth -= 1
            total = lefts[depth] + total
        if depth == 0:
            return total
        lefts[depth - 1], summed[depth - 1] = total, True
        first, n = rights[depth - 1], counts[depth - 1]


@_compiled
def _deviation(values, n, mean, work):  # type: ignore[no-untyped-def]
    """Standard deviation, ddof 1, of n > 1 values."""
    for i in range(n):
        work[i] = (values[i] - mean) * (values[i] - mean)
    return math.sqrt(_sum(work, 0, n) / (n - 1))


@_compiled
def _percentile(ordered, n, share):  # type: ignore[no-untyped-def]
    """The linear percentile of n sorted values, as numpy takes it."""
    at = (n - 1) * share
    below = math.floor(at)
    above = min(below + 1, n - 1)
    weight = at - below
    low, high = ordered[below], ordered[above]
    if weight >= 0.5:
        return high - (high - low) * (1.0 - weight)
    return low + (high - low) * weight


@_compiled
def _figures_of_returns(returns, n, periods, groups, work, out):  # type: ignore[no-untyped-def]
    if n > 1:
        mean = _sum(returns, 0, n) / n
        if groups & (MOMENTS | SHAPE):
            deviation = _deviation(returns, n, mean, work)
            out[VOLATILITY] = deviation * math.sqrt(periods)
            ratio = mean / deviation if deviation > ROUNDING else math.nan
            out[SHARPE] = ratio * math.sqrt(periods)
            if groups & SHAPE and n > 2 and not math.isnan(ratio):
                out[PSR] = _probabilistic(returns, n, mean, ratio, work)
        if groups & DOWNSIDE:
            for i in range(n):
                low = min(returns[i], 0.0)
                work[i] = low * low
            downside = math.sqrt(_sum(work, 0, n) / n)
            if downside > ROUNDING:
                out[SORTINO] = mean / downside * math.sqrt(periods)
        if groups & OMEGA_RATIO:
            for i in range(n):
                work[i] = max(returns[i], 0.0)
            gains = _sum(work, 0, n)
            for i in range(n):
                work[i] = max(-returns[i], 0.0)
            losses = _sum(work, 0, n)
            if losses > ROUNDING:
                out[OMEGA] = gains / losses
    if n > 0 and groups & TAILS:
        ordered = np.sort(returns[:n])
        low, high = _percentile(ordered, n, 0.05), _percentile(ordered, n, 0.95)
        if abs(low) > ROUNDING:
            out[TAIL_RATIO] = abs(high) / abs(low)
        out[VAR_95] = 0.0 - low
        worst = int((n - 1) * 0.05) + 1
        out[CVAR_95] = 0.0 - _sum(ordered, 0, worst) / worst


@_compiled
def _probabilistic(returns, n, mean, ratio, work):  # type: ignore[no-untyped-def]
    for i in range(n):
        work[i] = (returns[i] - mean) * (returns[i] - mean)
    variance = _sum(work, 0, n) / n
    skewness, excess = 0.0, 0.0
    if variance > ROUNDING * ROUNDING:
        root = math.sqrt(variance)
        for i in range(n):
            work[i] = ((returns[i] - mean) / root) ** 3
        skewness = _sum(work, 0, n) / n
        for i in range(n):
            work[i] = ((returns[i] - mean) / root) ** 4
        excess = _sum(work, 0, n) / n - 3.0
    spread = 1.0 - skewness * ratio + (excess + 2.0) / 4.0 * ratio**2
    if not spread > 0:
        return math.nan
    return 0.5 * (1.0 + math.erf(ratio * math.sqrt((n - 1) / spread) / math.sqrt(2.0)))


@_compiled
def _figures_of_curve(equity, n, periods, groups, work, out):  # type: ignore[no-untyped-def]
    start, end = equity[0], equity[n - 1]
    out[START_VALUE], out[END_VALUE] = start, end
    if start > 0:
        out[TOTAL_RETURN] = end / start - 1.0
        if n > 1 and periods > 0:
            growth = end / start
            if growth <= 0:
                out[CAGR] = -1.0
            else:
                exponent = math.log(growth) * periods / (n - 1)
                if exponent < 700:
                    out[CAGR] = math.expm1(exponent)
    if not groups & DRAWDOWN:
        return
    peak, deepest, longest, run = equity[0], 0.0, 0, 0
    for i in range(n):
        peak = max(peak, equity[i])
        below = (peak - equity[i]) / peak if peak > 0 else 1.0
        below = min(max(below, 0.0), 1.0)
        deepest = max(deepest, below)
        run = run + 1 if below > 0 else 0
        longest = max(longest, run)
        work[i] = below * below
    out[MAX_DRAWDOWN], out[MAX_DRAWDOWN_BARS] = deepest, longest
    out[ULCER_INDEX] = math.sqrt(_sum(work, 0, n) / n)
    if deepest > ROUNDING:
        out[CALMAR] = out[CAGR] / deepest
        out[RECOVERY_FACTOR] = out[TOTAL_RETURN] / deepest


@_compiled
def _figures_of_trades(trades, told, work, out):  # type: ignore[no-untyped-def]
    count = 0
    for k in range(told):
        if trades[k]["status"] == 2 and math.isfinite(trades[k]["pnl_net"]):
            work[count] = trades[k]["pnl_net"]
            count += 1
    out[TRADES] = count
    if count == 0:
        return
    won = lost = 0
    gains = losses = 0.0
    best = worst = work[0]
    largest = 0.0
    for k in range(count):
        pnl = work[k]
        best, worst, largest = max(best, pnl), min(worst, pnl), max(largest, abs(pnl))
        if pnl > 0:
            won += 1
            gains += pnl
        elif pnl < 0:
            lost += 1
            losses -= pnl
    mean = _sum(work, 0, count) / count
    out[WIN_RATE], out[EXPECTANCY], out[BEST_TRADE], out[WORST_TRADE] = won / count, mean, best, worst
    if won:
        out[AVERAGE_WIN] = gains / won
    if lost:
        out[AVERAGE_LOSS], out[PROFIT_FACTOR] = losses / lost, gains / losses
    if count > 1:
        squares = 0.0
        for k in range(count):
            squares += (work[k] - mean) ** 2
        deviation = math.sqrt(squares / (count - 1))
        if deviation > ROUNDING * largest:
            out[SQN] = math.sqrt(count) * mean / deviation


@_compiled
def _figures_of_fills(fills, count, datas, n, out):  # type: ignore[no-untyped-def]
    paid = 0.0
    for k in range(count):
        commission = fills[k]["closed_commission"] + fills[k]["opened_commission"]
        if not math.isnan(commission):
            paid += commission
    out[COMMISSION] = paid
    largest, position = np.zeros(datas), np.zeros(datas)
    for k in range(count):
        data = fills[k]["data"]
        largest[data] = max(largest[data], abs(fills[k]["size"]))
    held, in_market, since = 0, False, 0
    for k in range(count + 1):
        step = min(fills[k]["step"], n) if k < count else n
        if in_market:
            held += step - since
        since = step
        if k == count:
            break
        position[fills[k]["data"]] += fills[k]["size"]
        in_market = False
        for data in range(datas):
            in_market = in_market or (position[data] != 0.0 and abs(position[data]) >= 1e-9 * largest[data])
    out[EXPOSURE] = held / n


@_compiled
def _all_finite(values):  # type: ignore[no-untyped-def]
    """In four strands, which do not wait for each other: nothing but a number times zero is zero."""
    a = b = c = d = 0.0
    whole = len(values) // 4
    for k in range(whole):
        i = 4 * k
        a += values[i] * 0.0
        b += values[i + 1] * 0.0
        c += values[i + 2] * 0.0
        d += values[i + 3] * 0.0
    for i in range(4 * whole, len(values)):
        a += values[i] * 0.0
    return a + b + c + d == 0.0


@_compiled
def _lowest(values):  # type: ignore[no-untyped-def]
    """The smallest of finite values."""
    lowest = math.inf
    for i in range(len(values)):
        lowest = values[i] if values[i] < lowest else lowest
    return lowest


@_compiled
def measure(equity, periods, account, fills, trades, datas, groups, scratch, out):  # type: ignore[no-untyped-def]
    """Fill `out`, (len(METRICS),), for one run; False when the curve has values that are not finite.

    equity: (n,) one value a bar. periods: bars a year. account, fills, trades: of the run's book. groups: of
    `groups_of`. scratch: (SCRATCH_ROWS, at least n and at least the count of trades).
    """
    n = len(equity)
    out[:] = math.nan
    out[BARS], out[PERIODS_PER_YEAR] = n, periods
    if not _all_finite(equity):
        return False
    returns, work = scratch[0], scratch[1]
    if n:
        _figures_of_curve(equity, n, periods, groups, work, out)
    count = 0
    if groups & OF_RETURNS and n > 1 and _lowest(equity) > 0:
        count = n - 1
        later, earlier = equity[1:], equity[:count]
        for i in range(count):
            returns[i] = later[i] / earlier[i] - 1.0
    _figures_of_returns(returns, count, periods, groups, work, out)
    if groups & TRADE_FIGURES:
        _figures_of_trades(trades, account[0]["trades"], work, out)
    if groups & FILL_FIGURES and n:
        _figures_of_fills(fills, account[0]["fills"], datas, n, out)
    for k in range(len(out)):
        if not math.isfinite(out[k]):
            out[k] = math.nan
    return True


@_compiled
def sum_parts(equity, start, out):  # type: ignore[no-untyped-def]
    """Of each of len(out) / 3 equal, consecutive parts of the bars: returns, their sum, their sum of squares.

    equity: (n,) one value a bar. start: the value before the first. Returns that are not finite count as zero.
    """
    parts, n, before = len(out) // 3, len(equity), start
    for part in range(parts):
        total, squares = 0.0, 0.0
        first, last = part * n // parts, (part + 1) * n // parts
        for i in range(first, last):
            value = equity[i] / before - 1.0
            before = equity[i]
            if math.isfinite(value):
                total += value
                squares += value * value
        out[3 * part], out[3 * part + 1], out[3 * part + 2] = last - first, total, squares
