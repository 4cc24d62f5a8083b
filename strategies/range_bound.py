"""RangeBound: in a market without a trend, prices far from their mean come back to it."""

from __future__ import annotations

from typing import ClassVar

import backtrader as bt

from core.space import Float, Int, Space
from core.types import ExitReason, SignalType, TradingSignal
from strategies.base import HOLD, Strategy
from strategies.lines import deviation, trend_strength
from strategies.stops import StopPlan, Target, atr_stop


class RangeBound(Strategy):
    """Buys the return into the lower band after an oversold bar while the trend is weak; leaves at the mean.

    Half of the position is sold by a target resting at the mean, the rest when the close is above the mean;
    all of it at a stop, or after `max_bars`.

    period: length of the mean and the bands, bars. width: distance of the bands, standard deviations.
    rsi_bars: length of the relative strength index, bars. oversold: buy after an index up to this one, 0 to 100.
    trend_bars: length of the trend strength, bars. trend_max: trade only below this strength, 0 to 100.
    atr_bars: length of the average true range, bars. atr_stop: distance of the stop, average true ranges.
    max_bars: longest time in a trade, bars. short: sell the mirrored signal above the upper band.

    Bollinger (2001), "Bollinger on Bollinger Bands"; trend and strength after Wilder (1978), "New Concepts in
    Technical Trading Systems".
    """

    params = (
        ("period", 20),
        ("width", 1.5),
        ("rsi_bars", 14),
        ("oversold", 45.0),
        ("trend_bars", 14),
        ("trend_max", 30.0),
        ("atr_bars", 14),
        ("atr_stop", 2.5),
        ("max_bars", 20),
        ("short", False),
    )
    space: ClassVar[Space] = {
        "period": Int(5, 200),
        "width": Float(0.5, 4.0),
        "rsi_bars": Int(2, 100),
        "oversold": Float(5.0, 50.0),
        "trend_bars": Int(2, 100),
        "trend_max": Float(5.0, 100.0),
        "atr_bars": Int(2, 100),
        "atr_stop": Float(0.5, 10.0),
        "max_bars": Int(1, 500),
    }

    def __init__(self) -> None:
        super().__init__()
        close = self.data.close
        self.mean = bt.ind.SMA(close, period=self.p.period)
        self.deviation = deviation(close, self.p.period)
        self.rsi = bt.ind.RSI(close, period=self.p.rsi_bars, safediv=True)
        self.trend = trend_strength(self.data, self.p.trend_bars)
        self.atr = bt.ind.ATR(self.data, period=self.p.atr_bars)

    def signal(self) -> TradingSignal:
        """Against the move when it is far from the mean and there is no trend; out at the mean."""
        close, mean = self.data.close[0], self.mean[0]
        if self.position.size:
            side = 1 if self.position.size > 0 else -1
            if side * (close - mean) >= 0:
                return TradingSignal(
                    SignalType.EXIT, "back at the mean", exit_reason=ExitReason.PROFIT_TARGET
                )
            return HOLD
        if self.trend[0] >= self.p.trend_max:
            return HOLD
        width = self.p.width * self.scale()
        before, now, strength = self._deviations(-1), self._deviations(0), self.rsi[-1]
        if before < -width <= now < 0 and strength <= self.p.oversold:
            return TradingSignal(SignalType.LONG, "back above the lower band", target=float(mean))
        if self.p.short and before > width >= now > 0 and strength >= 100.0 - self.p.oversold:
            return TradingSignal(SignalType.SHORT, "back below the upper band", target=float(mean))
        return HOLD

    def _deviations(self, ago: int) -> float:
        """Distance of a close from the mean in standard deviations; 0 in a constant market."""
        spread = self.deviation[ago]
        return float((self.data.close[ago] - self.mean[ago]) / spread) if spread else 0.0

    def stop_plan(self, signal: TradingSignal) -> StopPlan:
        """A fixed stop, a number of average true ranges away."""
        return atr_stop(self.p.atr_stop, float(self.atr[0]))

    def target_plan(self, signal: TradingSignal) -> tuple[Target, ...]:
        """Half of the position is sold at the mean as it stood at the entry; a position nobody planned has none."""
        return () if signal.target is None else (Target(share=0.5, price=signal.target),)

    def forced_exit(self) -> ExitReason | None:
        """A reversion that has not come in time will not come."""
        return ExitReason.TIME_EXIT if self.bars_held >= self.p.max_bars else super().forced_exit()
