"""How much to trade: pure functions over plain numbers.

Every function returns units of the asset, never below zero, and zero where the inputs make no sense (no
equity, no price, no distance, NaN). Equity and cash are in account currency, fractions are of equity.
`affordable` cuts any of them to what the account can pay.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

# A whole unit should be at most this part of equity before fractions of a unit are traded instead.
UNIT_SHARE = 0.01


def _usable(*values: float) -> bool:
    return all(math.isfinite(value) and value > 0 for value in values)


def fixed(units: float) -> float:
    """The same number of units every time."""
    return units if _usable(units) else 0.0


def percent(equity: float, price: float, fraction: float) -> float:
    """As many units as `fraction` of equity buys."""
    return equity * fraction / price if _usable(equity, price, fraction) else 0.0


def risk_per_trade(equity: float, stop_distance: float, fraction: float) -> float:
    """As many units as lose `fraction` of equity when the stop, `stop_distance` away, is hit at its price."""
    return equity * fraction / stop_distance if _usable(equity, stop_distance, fraction) else 0.0


def atr_size(equity: float, atr: float, multiple: float, fraction: float) -> float:
    """`risk_per_trade` with a stop `multiple` average true ranges away."""
    return risk_per_trade(equity, atr * multiple, fraction)


def kelly_fraction(win_rate: float, payoff: float) -> float:
    """The growth-optimal fraction of equity, 0 when the bet has no edge.

    win_rate: share of winning trades in [0, 1]. payoff: average win over average loss. Kelly (1956).
    """
    if not (0 <= win_rate <= 1) or not _usable(payoff):
        return 0.0
    return max(0.0, win_rate - (1 - win_rate) / payoff)


def kelly(equity: float, price: float, win_rate: float, payoff: float, part: float = 0.5) -> float:
    """Units for `part` of the Kelly fraction; half Kelly keeps three quarters of the growth."""
    return percent(equity, price, kelly_fraction(win_rate, payoff) * part)


def vol_target(equity: float, price: float, volatility: float, target: float) -> float:
    """Units whose yearly volatility is `target` of equity; `volatility` is the asset's own, yearly, as a fraction."""
    return percent(equity, price, target / volatility) if _usable(volatility, target) else 0.0


def affordable(size: float, cash: float, price: float, leverage: float = 1.0) -> float:
    """`size`, cut to what `cash` times `leverage` pays at `price`."""
    if not _usable(size, cash, price, leverage):
        return 0.0
    cut = min(size, cash * leverage / price)
    while cut * price > cash * leverage:
        cut = math.nextafter(cut, 0.0)
    return cut


def natural_lot(equity: float, price: float) -> float:
    """1 where a whole unit is a small part of equity, else the power of ten that is: 0.1, 0.01, ..."""
    if not _usable(equity, price) or price <= equity * UNIT_SHARE:
        return 1.0
    return float(f"1e{math.floor(math.log10(equity * UNIT_SHARE / price))}")


def round_down(size: float, lot: float) -> float:
    """The largest multiple of `lot` up to `size`, as the shortest decimal; zero for a size below one lot."""
    if not _usable(size, lot):
        return 0.0
    lots = math.floor(size / lot)
    rounded = _multiple(lots, lot)
    return rounded if rounded <= size else _multiple(lots - 1, lot)


def split(size: float, shares: Sequence[float], lot: float) -> list[float]:
    """`size` cut into one slice a share, in lots, the rest as a last slice; slices below one lot are left out.

    The slices sum to `size` exactly, and taking them off in any order ends at exactly zero, so that closing
    all of them never leaves a residue. Where lots cannot do that in floating point, slices are merged.
    Returns one size per share (0.0 where left out), then the rest.
    """
    lots = [math.floor(size * share / lot + 1e-9) for share in shares]
    while True:
        for shift in _shifts(len(lots)):
            slices = [_multiple(max(n + d, 0) if n else 0, lot) for n, d in zip(lots, shift, strict=True)]
            rest = size
            for part in slices:
                rest -= part
            if abs(rest) < lot * 1e-6 and any(slices):
                last = max(i for i, part in enumerate(slices) if part)
                slices[last] += rest
                rest = 0.0
            if rest >= 0 and _exact(size, [*slices, rest]):
                return [*slices, rest]
        lots[max(i for i, n in enumerate(lots) if n)] = 0


def _shifts(count: int) -> list[tuple[int, ...]]:
    """Changes of a few lots to try, the smallest first; none for many slices, where trying all takes too long."""
    if count > 3:
        return [(0,) * count]
    return sorted(itertools.product((0, -1, 1, -2, 2), repeat=count), key=lambda shift: sum(map(abs, shift)))


def _exact(size: float, slices: Sequence[float]) -> bool:
    parts = [part for part in slices if part]
    if len(parts) > 5:
        return all(part.is_integer() for part in parts)
    for order in itertools.permutations(parts):
        left = size
        for part in order:
            left -= part
        if left:
            return False
    return True


def _multiple(lots: int, lot: float) -> float:
    digits = max(0, -math.floor(math.log10(lot))) + 6
    return round(lots * lot, digits)


def percentile_rank(value: float, history: Sequence[float]) -> float:
    """The share of `history` below `value`, in [0, 1]; 0 for an empty history."""
    return sum(past < value for past in history) / len(history) if history else 0.0


def volatility_scale(percentile: float, floor: float) -> float:
    """1 in the calmest market, falling in a straight line to `floor` in the wildest."""
    return 1.0 - (1.0 - floor) * min(max(percentile, 0.0), 1.0)
