"""LevelBased: a close beyond a level that held for many sessions starts a move."""

from __future__ import annotations

from datetime import time
from typing import ClassVar

import backtrader as bt

from core.errors import StrategyError
from core.space import Float, Int, Space
from core.types import SignalType, TradingSignal
from strategies.base import HOLD, Strategy
from strategies.levels import Levels, SessionCalendar, SessionLevels
from strategies.stops import StopPlan, Target, atr_stop


class LevelBased(Strategy):
    """Buys a close above the resistance and the previous day's high; leaves below a nearer support.

    Levels come from completed sessions only. On daily bars the previous day is the previous bar. Part of the
    position is sold at a target, the rest is held until a close below the lowest low of the exit sessions, or
    the stop.

    lookback: sessions that make resistance and support. atr_bars: length of the average true range, bars.
    buffer: how far beyond a level a close must be, average true ranges. atr_stop: distance of the stop,
    average true ranges. reward: distance of the target, multiples of the stop's. take: share of the position
    sold there. exit_sessions: sessions whose lowest low ends the trade. zone: the market's time zone.
    rolls_at: local time at which its session begins, HH:MM. short: sell the mirrored signal.

    Donchian's rule as in Covel (2007), "The Complete TurtleTrader"; Osler (2000), "Support for Resistance",
    FRBNY Economic Policy Review 6, on why levels matter.
    """

    params = (
        ("lookback", 20),
        ("exit_sessions", 10),
        ("atr_bars", 14),
        ("buffer", 0.0),
        ("atr_stop", 2.5),
        ("reward", 2.0),
        ("take", 0.5),
        ("zone", "UTC"),
        ("rolls_at", "00:00"),
        ("short", False),
    )
    space: ClassVar[Space] = {
        "lookback": Int(1, 250),
        "exit_sessions": Int(1, 250),
        "atr_bars": Int(2, 100),
        "buffer": Float(0.0, 3.0),
        "atr_stop": Float(0.5, 10.0),
        "reward": Float(0.25, 10.0),
        "take": Float(0.05, 1.0),
    }

    def __init__(self) -> None:
        super().__init__()
        self.atr = bt.ind.ATR(self.data, period=self.p.atr_bars)
        calendar = SessionCalendar(self.p.zone, _clock(self.p.rolls_at))
        self._entries = SessionLevels(calendar, self.p.lookback)
        self._exits = SessionLevels(calendar, self.p.exit_sessions)
        # Levels need that many completed sessions, which are at least as many bars.
        self.addminperiod(max(self.p.lookback, self.p.exit_sessions) + 1)

    def prenext(self) -> None:
        """Sessions count while indicators warm up."""
        self._take_bar()

    def next(self) -> None:
        """Take the bar into the session under way, then decide."""
        self._take_bar()
        super().next()

    def signal(self) -> TradingSignal:
        """Long on a close beyond resistance, out on a close beyond the levels of the exit sessions."""
        entry, leave = self._entries.levels(), self._exits.levels()
        if entry is None or leave is None:
            return HOLD
        return self._leave(leave) if self.position.size else self._enter(entry)

    def stop_plan(self, signal: TradingSignal) -> StopPlan:
        """A fixed stop, a number of average true ranges away."""
        return atr_stop(self.p.atr_stop, float(self.atr[0]))

    def target_plan(self, signal: TradingSignal) -> tuple[Target, ...]:
        """Part of the position is sold at a multiple of the risk."""
        return (Target(share=self.p.take, reward=self.p.reward),)

    def _take_bar(self) -> None:
        data = self.data
        moment = bt.num2date(data.datetime[0])
        for levels in (self._entries, self._exits):
            levels.add(moment, float(data.high[0]), float(data.low[0]), float(data.close[0]))

    def _enter(self, levels: Levels) -> TradingSignal:
        close, buffer = self.data.close[0], self.p.buffer * self.atr[0] * self.scale()
        if close > max(levels.resistance, levels.previous_day_high) + buffer:
            return TradingSignal(SignalType.LONG, "close above resistance")
        if self.p.short and close < min(levels.support, levels.previous_day_low) - buffer:
            return TradingSignal(SignalType.SHORT, "close below support")
        return HOLD

    def _leave(self, levels: Levels) -> TradingSignal:
        close = self.data.close[0]
        if self.position.size > 0 and close < levels.support:
            return TradingSignal(SignalType.EXIT, "close below support")
        if self.position.size < 0 and close > levels.resistance:
            return TradingSignal(SignalType.EXIT, "close above resistance")
        return HOLD


def _clock(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise StrategyError(
            f"parameter rolls_at={text} cannot be used", hint="give a time such as 18:00"
        ) from error
