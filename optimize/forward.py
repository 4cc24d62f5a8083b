"""Runs with chosen parameters over the bars that follow, one after the other, as one account would have lived them.

A run begins so many bars before its part that the strategy's first `next` is on the part's first bar: indicators are
warm and nothing is traded before. At the end of a part the position is either closed at the last close, its
commission charged (`CLOSE`), or it is left to the next part (`CARRY`): then each run begins earlier, so that on the
part's first bar it holds what its parameters would have it hold, and the difference to what was held is charged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.results import TRADE_COLUMNS
from engine.account import Account, copied
from engine.backtest import backtest
from engine.probe import probe
from feeds.market import Market
from optimize.holdings import weights_of
from optimize.slices import cut
from optimize.trials import Span

CLOSE, CARRY = "close", "carry"
BOUNDARIES = (CLOSE, CARRY)
AT_THE_END = "window_end"
"""`exit_reason` of trades that ended with their part."""


@dataclass(frozen=True, slots=True)
class Forward:
    """One part lived through. returns: (bars,) per bar. trades: closed in it. held: units by symbol at its end.

    engine: which ran it. warmup: bars that were run before the part. weights: what was held bar by bar, see
    `optimize.holdings`.
    """

    returns: NDArray[np.float64]
    trades: pd.DataFrame
    held: Mapping[str, float]
    engine: str
    warmup: int
    weights: Mapping[str, pd.DataFrame]


def forward(
    strategy: type[Any],
    params: Mapping[str, Any],
    market: Market,
    times: pd.DatetimeIndex,
    span: Span,
    broker: Account,
    cash: float,
    *,
    boundary: str = CLOSE,
    earlier: int = 0,
    before: Mapping[str, float] | None = None,
) -> Forward:
    """Run `params` over `span` with `cash`; no bar past the span's last is ever given to the strategy.

    broker: costs and rules; copied. earlier: with `CLOSE`, bars of warm-up beyond the strategy's own minimum period;
    with `CARRY` the bars before the part from which on the run trades. before: what was held at the end of the last
    part, for `CARRY`. Raises what `engine.backtest` raises.
    """
    seen = cut(market, times, Span(0, span.last))
    warmup = min(span.first, probe(strategy, params, seen.frames) - 1 + earlier)
    part = cut(market, times, Span(span.first, span.last, warmup))
    account = copied(broker)
    account.setcash(cash)
    result = backtest(strategy, part, params, broker=account)
    # The run's equity where its bars lie; without a bar before the part, from the cash it began with.
    equity = np.concatenate([[cash], result.equity.to_numpy(dtype=np.float64)])[-len(span) - 1 :]
    values = equity.copy()
    closes = {symbol: float(frame["close"].iloc[-1]) for symbol, frame in part.frames.items()}
    positions = _positions(result.fills)
    trades = result.trades[result.trades["exit_time"] >= times[span.first]]
    if boundary == CARRY and span.first:
        values[1:] -= _moved(account, result.fills, part, times[span.first], before or {}, equity[0] / cash)
    if boundary == CLOSE:
        cost = sum(
            _commission(account, symbol, size, closes[symbol]) for symbol, (size, _, _) in positions.items()
        )
        values[-1] -= cost
        trades = _with_ends(trades, positions, closes, times[span.last - 1], account)
    weights = weights_of(result, part.frames, account, cash, times[span.first], closed=boundary == CLOSE)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = values[1:] / values[:-1] - 1.0
    held = {} if boundary == CLOSE else {symbol: size for symbol, (size, _, _) in positions.items()}
    return Forward(
        np.where(np.isfinite(returns), returns, 0.0),
        trades.reset_index(drop=True),
        held,
        result.engine,
        warmup,
        weights,
    )


def stitched(
    parts: Sequence[Forward], index: pd.DatetimeIndex, cash: float
) -> tuple[pd.Series, pd.DataFrame]:
    """Equity and every trade of parts lived through one after the other.

    index: the bars of all parts and the one before them, on which the account holds `cash`.
    """
    returns = np.concatenate([part.returns for part in parts])
    values = cash * np.cumprod(np.concatenate([[1.0], 1.0 + returns]))
    equity = pd.Series(values, index=index, name="equity")
    tables = [part.trades for part in parts if len(part.trades)]
    trades = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(TRADE_COLUMNS))
    return equity, trades


def _moved(
    account: Account,
    fills: pd.DataFrame,
    part: Market,
    first: pd.Timestamp,
    before: Mapping[str, float],
    grown: float,
) -> float:
    """What it costs to go from the units held before to those this run holds as its part begins."""
    now = _positions(fills[fills["time"] < first])
    cost = 0.0
    for symbol in {*now, *before}:
        frame = part.frames.get(symbol)
        if frame is None:
            continue
        closes = frame["close"][frame.index < first]
        if not len(closes):
            continue
        size = now.get(symbol, (0.0, 0.0, None))[0] - before.get(symbol, 0.0) * grown
        cost += _commission(account, symbol, size, float(closes.iloc[-1]))
    return cost


def _commission(account: Account, symbol: str, size: float, price: float) -> float:
    scheme = account.comminfo.get(symbol, account.comminfo[None])
    return float(scheme.getcommission(size, price))


def _positions(fills: pd.DataFrame) -> dict[str, tuple[float, float, Any]]:
    """By symbol what is held after some fills: units, average price, time of the entry."""
    held: dict[str, tuple[float, float, Any]] = {}
    columns = (fills[name].tolist() for name in ("symbol", "size", "price", "time"))
    for symbol, size, price, time in zip(*columns, strict=True):
        units, average, since = held.get(symbol, (0.0, 0.0, time))
        after = units + size
        if units * size >= 0:
            average = (units * average + size * price) / after if after else 0.0
            held[symbol] = (after, average, since if units else time)
        elif units * after < 0:
            held[symbol] = (after, price, time)
        else:
            held[symbol] = (after, average, since)
    return {symbol: each for symbol, each in held.items() if each[0]}


def _with_ends(
    trades: pd.DataFrame,
    positions: Mapping[str, tuple[float, float, Any]],
    closes: Mapping[str, float],
    time: pd.Timestamp,
    account: Account,
) -> pd.DataFrame:
    """The trades and, as closed, what was open at the end."""
    rows = []
    for symbol, (size, entry, since) in positions.items():
        scheme = account.comminfo.get(symbol, account.comminfo[None])
        pnl = float(scheme.profitandloss(size, entry, closes[symbol]))
        paid = _commission(account, symbol, size, entry) + _commission(account, symbol, size, closes[symbol])
        values = (symbol, since, time, size, entry, closes[symbol], pnl, pnl - paid, paid, AT_THE_END, 0)
        rows.append(dict(zip(TRADE_COLUMNS, values, strict=True)))
    if not rows:
        return trades
    ends = pd.DataFrame(rows, columns=list(TRADE_COLUMNS))
    return ends if trades.empty else pd.concat([trades, ends], ignore_index=True)


__all__ = ["AT_THE_END", "BOUNDARIES", "CARRY", "CLOSE", "Forward", "forward", "stitched"]
