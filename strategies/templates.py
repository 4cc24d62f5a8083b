"""What `strategies.new` writes; CLASS_NAME and MODULE_NAME are filled in."""

from __future__ import annotations

STRATEGY = '''"""CLASS_NAME: say in one sentence why this should make money."""

from __future__ import annotations

import backtrader as bt

from core.space import Float, Int
from core.types import SignalType, TradingSignal
from strategies.base import HOLD, Strategy
from strategies.stops import StopPlan, trailing_stop


class CLASS_NAME(Strategy):
    """Buys a close above its average, leaves below it or at a trailing stop."""

    # Defaults; change them for a run with `--param period=50`.
    params = (("period", 20), ("trail", 0.1))
    # What values make sense: checked before a run.
    space = {"period": Int(2, 200), "trail": Float(0.01, 0.5)}

    def __init__(self) -> None:
        super().__init__()
        self.average = bt.ind.SMA(self.data.close, period=self.p.period)

    def signal(self) -> TradingSignal:
        """Called after each bar; orders fill at the next bar's open."""
        if not self.position and self.data.close[0] > self.average[0]:
            return TradingSignal(SignalType.LONG, "close above its average")
        if self.position and self.data.close[0] < self.average[0]:
            return TradingSignal(SignalType.EXIT, "close below its average")
        return HOLD

    def stop_plan(self, signal: TradingSignal) -> StopPlan:
        """The stop each entry gets: it follows the close and never moves back."""
        return trailing_stop(self.p.trail)
'''

TEST = '''"""Runs CLASS_NAME on the sample market."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import StrategyError
from engine import backtest

STRATEGY = f"{Path(__file__).with_name('MODULE_NAME.py')}:CLASS_NAME"


def test_it_trades_the_sample_market() -> None:
    """A trade at least, each with a reason for its end."""
    result = backtest(STRATEGY, "sample:goog")
    assert len(result.trades) > 0
    assert result.trades["exit_reason"].ne("").all()
    assert result.equity.iloc[-1] > 0


def test_it_refuses_a_period_out_of_range() -> None:
    """Values outside `space` never reach a run."""
    with pytest.raises(StrategyError):
        backtest(STRATEGY, "sample:goog", params={"period": 0})
'''
