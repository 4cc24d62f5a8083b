"""Additions to any strategy derived from `strategies.base.Strategy`; name them before the strategy.

    class Careful(TrailingStopMixin, AtrSizingMixin, TimeExitMixin, Momentum):
        pass

Each adds parameters of its own and answers one hook of the base class, so they can be combined in any order;
two that answer the same hook are asked from left to right.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

from core.types import ExitReason, TradingSignal
from strategies import sizing
from strategies.base import Strategy
from strategies.stops import StopPlan, trailing_stop


class TrailingStopMixin(Strategy):
    """A stop that follows the close and never moves back, in place of the strategy's own.

    trail_percent: its distance, a fraction of the close.
    """

    params = (("trail_percent", 0.08),)

    def stop_plan(self, signal: TradingSignal) -> StopPlan | None:
        """The trailing stop."""
        return trailing_stop(self.p.trail_percent)


class AtrSizingMixin(Strategy):
    """Sizes an entry so that a move of some average true ranges costs a fixed fraction of equity.

    size_risk: the fraction. size_atr_bars: length of the average true range, bars. size_atr_multiple: the
    move, average true ranges.
    """

    params = (("size_risk", 0.02), ("size_atr_bars", 14), ("size_atr_multiple", 2.0))

    def __init__(self) -> None:
        super().__init__()
        self.size_atr = bt.ind.ATR(self.data, period=self.p.size_atr_bars)

    def size_for(self, equity: float, price: float, stop_distance: float | None) -> float:
        """Units by average true range."""
        return sizing.atr_size(equity, float(self.size_atr[0]), self.p.size_atr_multiple, self.p.size_risk)


class TimeExitMixin(Strategy):
    """Leaves a position that has been held for `exit_bars` bars."""

    params = (("exit_bars", 30),)

    def forced_exit(self) -> ExitReason | None:
        """TIME_EXIT when the time is up, else whatever comes next in line."""
        return ExitReason.TIME_EXIT if self.bars_held >= self.p.exit_bars else super().forced_exit()


class VolatilityScalingMixin(Strategy):
    """Shrinks sizes, thresholds, stop and target distances as the market gets wilder than it has been.

    The measure is where the average true range, as a fraction of the close, ranks among those of the last
    `scale_window` bars. scale_floor: the factor in the wildest market; it is 1 in the calmest.
    scale_atr_bars: length of the average true range, bars.
    """

    params = (("scale_window", 60), ("scale_floor", 0.5), ("scale_atr_bars", 14))

    def __init__(self) -> None:
        super().__init__()
        self.relative_range = bt.ind.ATR(self.data, period=self.p.scale_atr_bars) / self.data.close
        # The window must be filled before the first decision.
        self._scale_ready = bt.ind.Highest(self.relative_range, period=self.p.scale_window)

    def scale(self) -> float:
        """The factor on this bar, times whatever comes next in line."""
        history: list[Any] = list(self.relative_range.get(size=self.p.scale_window))
        rank = sizing.percentile_rank(history[-1], history) if history else 0.0
        return sizing.volatility_scale(rank, self.p.scale_floor) * super().scale()
