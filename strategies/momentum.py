"""Momentum: what has been rising keeps rising for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import backtrader as bt

from core.space import Float, Int, Space
from core.types import SignalType, TradingSignal
from strategies.base import HOLD, Strategy
from strategies.stops import StopPlan, atr_trailing_stop


class Momentum(Strategy):
    """Buys when the fast average of the close crosses above the slow one and the trend is strong enough.

    Leaves when the averages cross back, or at a stop that trails the close. Long only by default.

    fast, slow: lengths of the moving averages, bars. rate_bars: length of the rate-of-change filter, bars.
    rate_min: smallest rate of change over it, a fraction. atr_bars: length of the average true range, bars.
    atr_stop: distance of the trailing stop, average true ranges at the entry. short: sell the mirrored signal.

    Brock, Lakonishok and LeBaron (1992), "Simple Technical Trading Rules and the Stochastic Properties of
    Stock Returns", Journal of Finance 47; the filter after Jegadeesh and Titman (1993), ibid. 48.
    """

    params = (
        ("fast", 10),
        ("slow", 30),
        ("rate_bars", 20),
        ("rate_min", 0.0),
        ("atr_bars", 14),
        ("atr_stop", 3.0),
        ("short", False),
    )
    space: ClassVar[Space] = {
        "fast": Int(2, 100),
        "slow": Int(5, 300),
        "rate_bars": Int(1, 200),
        "rate_min": Float(-0.5, 0.5),
        "atr_bars": Int(2, 100),
        "atr_stop": Float(0.5, 10.0),
    }

    @staticmethod
    def constraint(params: Mapping[str, Any]) -> bool:
        """Fast must be below slow."""
        return bool(params["fast"] < params["slow"])

    def __init__(self) -> None:
        super().__init__()
        close = self.data.close
        self.cross = bt.ind.CrossOver(
            bt.ind.SMA(close, period=self.p.fast), bt.ind.SMA(close, period=self.p.slow)
        )
        self.rate = bt.ind.RateOfChange(close, period=self.p.rate_bars)
        self.atr = bt.ind.ATR(self.data, period=self.p.atr_bars)

    def signal(self) -> TradingSignal:
        """Long on a cross upwards, out (or short) on a cross downwards."""
        crossed, rate = self.cross[0], self.rate[0]
        if crossed > 0 and rate >= self.p.rate_min:
            return TradingSignal(SignalType.LONG, "fast average crossed above slow")
        if crossed < 0 and self.p.short and rate <= -self.p.rate_min:
            return TradingSignal(SignalType.SHORT, "fast average crossed below slow")
        if crossed * self.position.size < 0:
            return TradingSignal(SignalType.EXIT, "averages crossed back")
        return HOLD

    def stop_plan(self, signal: TradingSignal) -> StopPlan:
        """A stop that trails the close by a fixed number of average true ranges."""
        return atr_trailing_stop(self.p.atr_stop, float(self.atr[0]))
