"""Indicator lines that stock Backtrader computes in a way that fails on flat markets."""

from __future__ import annotations

from typing import Any

import backtrader as bt


def trend_strength(data: Any, period: int) -> Any:
    """Wilder's average directional index as a line, 0 (no trend) to 100, and 0 where the market does not move.

    Backtrader's own divides by the true range and raises ZeroDivisionError there. Wilder (1978), chapter 4.
    """
    smooth = bt.ind.SmoothedMovingAverage
    up, down = data.high - data.high(-1), data.low(-1) - data.low
    plus = smooth(bt.If(bt.And(up > down, up > 0.0), up, 0.0), period=period)
    minus = smooth(bt.If(bt.And(down > up, down > 0.0), down, 0.0), period=period)
    true_range = bt.ind.ATR(data, period=period, movav=smooth)
    plus_index = bt.DivByZero(plus, true_range, zero=0.0)
    minus_index = bt.DivByZero(minus, true_range, zero=0.0)
    direction = bt.DivByZero(abs(plus_index - minus_index), plus_index + minus_index, zero=0.0)
    return 100.0 * smooth(direction, period=period)


def deviation(line: Any, period: int) -> Any:
    """Population standard deviation of the last `period` values as a line, 0 in a constant market.

    Backtrader's default takes the root of a difference that rounding can push below zero.
    """
    return bt.ind.StandardDeviation(line, period=period, safepow=True)
