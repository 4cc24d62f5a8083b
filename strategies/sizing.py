"""How much to trade: pure functions over plain numbers.

Every function returns units of the asset, never below zero, and zero where the inputs make no sense (no
equity, no price, no distance, NaN). Equity and cash are in account currency, fractions are of equity.
`affordable` cuts any of them to what the account can pay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# A whole unit should be at most this part of equity before fractions of a unit are traded instead.
UNIT_SHARE = 0.01
# Changes of a slice by a few lots, in the order they are tried.
SHIFTS = (0, -1, 1, -2, 2)
# Ways to put so many slices in order.
ORDERS = (1, 1, 2, 6, 24, 120)


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
    exponent = math.floor(math.log10(equity * UNIT_SHARE / price))
    return round(10.0**exponent, -exponent)


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
    if not shares:
        return [size]
    lots = [math.floor(size * share / lot + 1e-9) for share in shares]
    if len(lots) == 1:
        return _one_slice(size, lots[0], lot)
    # Trying all changes takes too long for many slices.
    tries = len(SHIFTS) ** len(lots) if len(lots) <= 3 else 1
    while True:
        for change in range(2 * len(lots) + 1):
            for code in range(tries):
                if _change(code, len(lots)) == change:
                    slices = _slices(size, lots, code, lot)
                    if slices[-1] >= 0 and _exact(size, slices):
                        return slices
        last = len(lots) - 1
        while not lots[last]:
            last -= 1
        lots[last] = 0


def _one_slice(size: float, lots: int, lot: float) -> list[float]:
    """`split` for a single share."""
    if lots:
        for shift in SHIFTS:
            part = _multiple(max(lots + shift, 0), lot)
            rest = size - part
            if part and abs(rest) < lot * 1e-6:
                part += rest
                rest = 0.0
            if rest >= 0 and size - part == rest and size - rest == part:
                return [part, rest]
    return [0.0, size]


def _shift(code: int, place: int) -> int:
    """The change of one slice among those that `code` stands for, a digit of it a slice."""
    return SHIFTS[code // len(SHIFTS) ** place % len(SHIFTS)]


def _change(code: int, count: int) -> int:
    """By how many lots `count` slices are changed in all."""
    change = 0
    for place in range(count):
        change += abs(_shift(code, place))
    return change


def _slices(size: float, lots: Sequence[int], code: int, lot: float) -> list[float]:
    """A slice per entry of `lots`, changed by what `code` stands for, and the rest; dust joins the last slice."""
    slices = []
    rest = size
    last = 0
    for i in range(len(lots)):
        part = _multiple(max(lots[i] + _shift(code, len(lots) - 1 - i), 0) if lots[i] else 0, lot)
        slices.append(part)
        rest -= part
        if part:
            last = i
    if slices[last] and abs(rest) < lot * 1e-6:
        slices[last] += rest
        rest = 0.0
    slices.append(rest)
    return slices


def _exact(size: float, slices: Sequence[float]) -> bool:
    """Whether taking the slices off `size` ends at exactly zero in every order."""
    count = 0
    whole = True
    for part in slices:
        if part:
            count += 1
            whole = whole and part.is_integer()
    if count >= len(ORDERS):
        return whole
    for order in range(ORDERS[count]):
        waiting = [part for part in slices if part]
        left, code = size, order
        for several in range(count, 0, -1):
            left -= waiting.pop(code % several)
            code //= several
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
