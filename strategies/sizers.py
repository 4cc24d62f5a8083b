"""The sizing rules as Backtrader sizers, for any strategy: `cerebro.addsizer(PercentSizer, fraction=0.5)`.

All of them close an opposite position whole, never size an entry above what cash (times `leverage`) pays for,
and round down to `lot`, or to whole units (decimal fractions where units are dear) when it is None.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import backtrader as bt

from strategies import sizing


class SizerBase(bt.Sizer):
    """What the sizers share; `reserve` is the part of cash kept for commission and the gap to the open."""

    params: Any = (("lot", None), ("leverage", 1.0), ("reserve", 0.02))

    def units(self, equity: float, price: float, data: Any) -> float:
        """Units wanted, before cash and lots."""
        return 0.0

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        held = float(self.broker.getposition(data).size)
        if held and (held < 0) == isbuy:
            return abs(held)
        price, equity = float(data.close[0]), float(self.broker.getvalue())
        wanted = self.units(equity, price, data)
        paid = sizing.affordable(wanted, cash * (1 - self.p.reserve), price, self.p.leverage)
        return sizing.round_down(paid, self.p.lot or sizing.natural_lot(equity, price))


class FixedSizer(SizerBase):
    """`size` units every time."""

    params = (("size", 1.0),)

    def units(self, equity: float, price: float, data: Any) -> float:
        """The same every time."""
        return sizing.fixed(self.p.size)


class PercentSizer(SizerBase):
    """`fraction` of equity."""

    params = (("fraction", 0.5),)

    def units(self, equity: float, price: float, data: Any) -> float:
        """What the fraction buys."""
        return sizing.percent(equity, price, self.p.fraction)


class RiskSizer(SizerBase):
    """Loses `risk` of equity when the price moves against the position by `stop`, a fraction of it."""

    params = (("risk", 0.01), ("stop", 0.05))

    def units(self, equity: float, price: float, data: Any) -> float:
        """By the distance of the stop."""
        return sizing.risk_per_trade(equity, price * self.p.stop, self.p.risk)


class AtrSizer(SizerBase):
    """Loses `risk` of equity on a move of `multiple` average true ranges over `period` bars."""

    params = (("risk", 0.01), ("period", 14), ("multiple", 2.0))

    def units(self, equity: float, price: float, data: Any) -> float:
        """By the mean true range of the last bars; zero before there are enough."""
        period = self.p.period
        high, low, close = (line.get(size=period) for line in (data.high, data.low, data.close))
        before = data.close.get(ago=-1, size=period)
        if len(before) < period or len(close) < period:
            return 0.0
        ranges = [
            max(top, last) - min(bottom, last) for top, bottom, last in zip(high, low, before, strict=True)
        ]
        return sizing.atr_size(equity, math.fsum(ranges) / period, self.p.multiple, self.p.risk)


class KellySizer(SizerBase):
    """`part` of the Kelly fraction for a given `win_rate` and `payoff` (average win over average loss)."""

    params = (("win_rate", 0.5), ("payoff", 1.5), ("part", 0.5))

    def units(self, equity: float, price: float, data: Any) -> float:
        """By the edge."""
        return sizing.kelly(equity, price, self.p.win_rate, self.p.payoff, self.p.part)


class VolatilityTargetSizer(SizerBase):
    """A position whose yearly volatility is `target` of equity, by the log returns of `period` bars."""

    params = (("target", 0.15), ("period", 20), ("bars_per_year", 252))

    def units(self, equity: float, price: float, data: Any) -> float:
        """By recent volatility; zero before there are enough bars and in a market that does not move."""
        closes = list(data.close.get(size=self.p.period + 1))
        if len(closes) <= self.p.period or min(closes) <= 0:
            return 0.0
        returns = [math.log(b / a) for a, b in itertools.pairwise(closes)]
        mean = math.fsum(returns) / len(returns)
        variance = math.fsum((r - mean) ** 2 for r in returns) / max(len(returns) - 1, 1)
        return sizing.vol_target(equity, price, math.sqrt(variance * self.p.bars_per_year), self.p.target)
