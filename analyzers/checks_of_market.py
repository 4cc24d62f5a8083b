"""Checks of the fills against the bars they fell on, and of the bars themselves."""

from __future__ import annotations

import numpy as np

from analyzers.facts import Facts, Finding, money
from analyzers.metrics import longest_run
from analyzers.periods import nanoseconds

LARGE_SHARE, WHOLE_BAR = 0.1, 1.0
AT_THE_EXTREME, NARROW = 0.25, 1e-9
GAP, OFTEN = 0.02, 0.2
STALE_BARS, STALE_SHARE = 5, 0.05
NO_VOLUME = 0.05
UNREALISED = 0.25
CHANGED_BARS = 0.01
MISSING_TIME, SOME_HOLES = 5, 3
FEW_FILLS = 10


def fills_beyond_volume(facts: Facts) -> Finding | None:
    """Orders took much of a bar's volume, or more than all of it."""
    bars = facts.filled
    known = np.isfinite(bars.volume)
    if not known.any() or not (bars.volume[known] > 0).any():
        return None
    size, volume = np.abs(bars.size[known]), bars.volume[known]
    taken = np.divide(size, volume, out=np.full(len(size), np.inf), where=volume > 0)
    large, beyond = int((taken > LARGE_SHARE).sum()), int((taken > WHOLE_BAR).sum())
    if not large:
        return None
    most = float(taken.max())
    worst = "on a bar without any" if np.isinf(most) else f"at most {most:.0%} of it"
    return Finding(
        "fills_beyond_volume",
        "serious" if beyond else "warning",
        "Fills at impossible volume" if beyond else "Fills take much of the volume",
        f"{large:,} of {len(taken):,} fills took more than {LARGE_SHARE:.0%} of their bar's volume, "
        f"{beyond:,} more than all of it ({worst}).",
        "Trade less cash, or limit fills to a share of the volume and pay for impact: docs/costs.md.",
    )


def fills_at_the_extreme(facts: Facts) -> Finding | None:
    """Buys at the low and sells at the high of the bar, more often than anybody manages."""
    bars = facts.filled
    spread = bars.high - bars.low
    wide = spread > NARROW * np.abs(bars.price)
    # A fill at the open is no foresight, even where the open is the extreme.
    wide &= bars.price != bars.open
    best = np.where(bars.size > 0, bars.low, bars.high)
    at = wide & (np.abs(bars.price - best) <= 1e-6 * spread)
    if len(bars.size) < FEW_FILLS or int(at.sum()) < AT_THE_EXTREME * len(bars.size):
        return None
    return Finding(
        "fills_at_the_extreme",
        "serious",
        "Suspected look-ahead: fills at the best price of the bar",
        f"{int(at.sum()):,} of {len(at):,} fills bought at the low or sold at the high of their bar.",
        "Prices known only after the bar may have set the order: python -m engine.lookahead STRATEGY.",
    )


def fills_outside_the_bar(facts: Facts) -> Finding | None:
    """Fills at prices that the bar did not have."""
    bars = facts.filled
    slack = 1e-9 * np.abs(bars.price)
    outside = int(((bars.price > bars.high + slack) | (bars.price < bars.low - slack)).sum())
    if not outside:
        return None
    return Finding(
        "fills_outside_the_bar",
        "note" if facts.result.kind in ("live", "rehearsal") else "warning",
        "Fills outside the bar",
        f"{outside:,} of {len(bars.price):,} fills are above the high or below the low of their bar.",
        "Slippage beyond the bar does this, and prices of another source: check that fills and bars belong together.",
    )


def gaps_at_entries(facts: Facts) -> Finding | None:
    """Fills often follow a jump of the price since the last close."""
    bars = facts.filled
    known = np.isfinite(bars.before) & (bars.before > 0)
    gap = np.abs(bars.open[known] / bars.before[known] - 1.0)
    wide = int((gap > GAP).sum())
    if gap.size < FEW_FILLS or wide < OFTEN * gap.size:
        return None
    return Finding(
        "gaps_at_entries",
        "warning",
        "Fills after gaps",
        f"{wide:,} of {gap.size:,} fills fell on a bar that opened more than {GAP:.0%} away from the close before.",
        "Such opens are hard to get in size: add slippage, and see whether the gap itself is the profit.",
    )


def open_at_the_end(facts: Facts) -> Finding | None:
    """A large part of the result is still open."""
    held = facts.held
    if not len(held) or not (held.iloc[-1] != 0).any():
        return None
    closed = float(facts.pnl.sum())
    waiting = facts.profit - closed
    if not abs(waiting) > UNREALISED * abs(facts.profit) or facts.profit == 0:
        return None
    return Finding(
        "open_at_the_end",
        "note",
        "Much of the result is still open",
        f"Closed trades made {money(closed)}, what is open at the end {money(waiting)}.",
        "Trade figures do not count it; the last price decides much of the total.",
    )


def stale_bars(facts: Facts) -> Finding | None:
    """Bars that repeat the bar before: a feed that stood still."""
    worst = ("", 0, 0)
    for symbol, frame in facts.result.prices.items():
        if len(frame) < 2:
            continue
        prices = frame[["open", "high", "low", "close"]].to_numpy(np.float64)
        repeated = np.r_[False, (prices[1:] == prices[:-1]).all(axis=1)]
        longest, count = longest_run(repeated), int(repeated.sum())
        if (longest >= STALE_BARS or count > STALE_SHARE * len(frame)) and count > worst[2]:
            worst = (symbol, longest, count)
    symbol, longest, count = worst
    if not count:
        return None
    return Finding(
        "stale_bars",
        "warning",
        "Stale bars",
        f"{count:,} bars of {symbol} repeat the bar before, up to {longest:,} in a row.",
        "The source stood still there; nobody could trade at these prices. Use another one, or leave them out.",
    )


def bars_without_volume(facts: Facts) -> Finding | None:
    """Fills on bars on which nothing was traded."""
    volume = facts.filled.volume
    some = any(
        "volume" in frame.columns and (frame["volume"] > 0).any() for frame in facts.result.prices.values()
    )
    empty = int((volume == 0).sum())
    if not some or not empty or empty < NO_VOLUME * len(volume):
        return None
    return Finding(
        "bars_without_volume",
        "serious",
        "Fills where nothing was traded",
        f"{empty:,} of {len(volume):,} fills fell on bars without volume.",
        "Such fills cannot have happened: limit them by volume, or drop those bars.",
    )


def mended_data(facts: Facts) -> Finding | None:
    """Cleaning changed a noticeable share of the bars."""
    quality = facts.result.data.quality
    names = ("filled_bars", "filled_values", "inserted_bars", "zero_prices", "unreadable_cells")
    changed = {name: int(value) for name in names if isinstance(value := quality.get(name), int) and value}
    bars = facts.result.data.bars
    if not bars or sum(changed.values()) < CHANGED_BARS * bars:
        return None
    told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in changed.items())
    return Finding(
        "mended_data",
        "warning",
        "The data was mended",
        f"{told} in {bars:,} bars.",
        "Signals on invented prices are invented too: see the data quality below, or use another source.",
    )


def holes(facts: Facts) -> Finding | None:
    """Long stretches without bars, longer than the market closes for."""
    for symbol, frame in facts.result.prices.items():
        if len(frame) < 20:
            continue
        spacing = np.diff(nanoseconds(frame.index)) / 1e9
        usual = float(np.quantile(spacing, 0.99))
        wide = spacing > MISSING_TIME * usual
        if int(wide.sum()) >= SOME_HOLES or (wide.any() and float(spacing.max()) > 20 * usual):
            days = float(spacing.max()) / 86_400
            return Finding(
                "holes",
                "warning",
                "Holes in the history",
                f"{symbol} has {int(wide.sum())} stretches without bars, the longest of {days:,.1f} days.",
                "A position held through one jumps with it, and averages mix what lies before and after.",
            )
    return None


def forced_closings(facts: Facts) -> Finding | None:
    """Margin calls, and positions closed for want of margin."""
    kinds = [event["kind"] for event in facts.result.meta.get("costs", {}).get("events", ())]
    calls, closed = kinds.count("margin_call"), kinds.count("liquidation")
    if not calls and not closed:
        return None
    return Finding(
        "forced_closings",
        "serious",
        "Margin calls",
        f"The account fell below its maintenance margin {calls:,} times, and positions were closed by force {closed:,} times.",
        "A venue closes positions at the worst moment: trade smaller, or keep more cash.",
    )


CHECKS = (
    fills_beyond_volume,
    fills_at_the_extreme,
    fills_outside_the_bar,
    bars_without_volume,
    gaps_at_entries,
    open_at_the_end,
    stale_bars,
    mended_data,
    holes,
    forced_closings,
)
