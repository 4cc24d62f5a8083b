"""What a run held bar by bar, from its fills: the input of `analyzers.entries`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyzers.entries import Held
from core.results import RunResult
from core.types import OrderType
from engine.account import Account
from feeds.market import Market

WEIGHTS = ("open", "close")
"""Columns of what was held: from the bar's open to its close, and from its close to the next open."""
NOTHING = 1e-9
"""Units below this part of the most that were held are the rounding of a position that was closed."""


def weights_of(
    result: RunResult,
    frames: Mapping[str, pd.DataFrame],
    account: Account,
    cash: float,
    first: pd.Timestamp,
    *,
    closed: bool,
) -> dict[str, pd.DataFrame]:
    """Of each symbol that a run traded, `WEIGHTS` by the times of its bars from `first` on: signed parts of the account.

    cash: what the run began with. closed: whether what is held at the end is sold at the last close. A weight is set
    when units change and stays until they do again. Market orders count from the open of their bar; others fill
    within it where nobody knew before that they would, and count from its close, unless they fill at the open.
    """
    market = set(result.orders.loc[result.orders["type"] == OrderType.MARKET.value, "order_id"])
    values = np.concatenate([[cash], result.equity.to_numpy(dtype=np.float64)])
    found = {}
    for symbol, fills in result.fills.groupby("symbol", sort=False):
        frame = frames[str(symbol)]
        times = pd.DatetimeIndex(frame.index)
        places = times.searchsorted(pd.DatetimeIndex(fills["time"]))
        sizes, prices = (fills[name].to_numpy(dtype=np.float64) for name in ("size", "price"))
        opens = frame["open"].to_numpy(dtype=np.float64)
        at_open = fills["order_id"].isin(market).to_numpy() | (prices == opens[places])
        price = opens.copy()
        price[places] = prices
        scheme = account.comminfo.get(str(symbol), account.comminfo[None])
        exposure = np.array([scheme.profitandloss(1.0, 0.0, each) for each in price])
        before = values[result.equity.index.searchsorted(times)]
        unit = np.divide(exposure, before, out=np.zeros(len(times)), where=before > 0)
        weights = _set(places, sizes, at_open, unit)
        if closed:
            weights[-1, 1] = 0.0
        table = pd.DataFrame(weights, times, list(WEIGHTS))
        found[str(symbol)] = table[table.index >= first]
    return found


def _set(
    places: NDArray[np.intp],
    sizes: NDArray[np.float64],
    at_open: NDArray[np.bool_],
    unit: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(bars, 2) weights. places: bar of each fill. unit: (bars,) weight of one."""
    bars = len(unit)
    changes = np.zeros(2 * bars)
    np.add.at(changes, 2 * places + ~at_open, sizes)
    units = np.cumsum(changes)
    units[np.abs(units) <= NOTHING * np.abs(units).max()] = 0.0
    filled = np.zeros(2 * bars, np.bool_)
    filled[2 * places + ~at_open] = True
    since = np.maximum.accumulate(np.where(filled, np.arange(2 * bars), 0))
    weights: NDArray[np.float64] = (units * unit[since // 2]).reshape(bars, 2)
    return weights


def held_of(
    parts: Sequence[Mapping[str, pd.DataFrame]], market: Market, index: pd.DatetimeIndex
) -> list[Held]:
    """What parts lived through one after the other held of each symbol that any of them held.

    index: the bars of all parts. Bars of a symbol for which a part has no weights were without it.
    """
    found = []
    for symbol, frame in market.frames.items():
        tables = [part[symbol] for part in parts if symbol in part]
        inside = frame[(frame.index >= index[0]) & (frame.index <= index[-1])]
        if not tables or inside.empty:
            continue
        weights = pd.concat(tables).reindex(inside.index).fillna(0.0).to_numpy(dtype=np.float64)
        opens, closes = (inside[name].to_numpy(dtype=np.float64) for name in WEIGHTS)
        found.append(Held(weights, opens, closes))
    return found


__all__ = ["held_of", "weights_of"]
