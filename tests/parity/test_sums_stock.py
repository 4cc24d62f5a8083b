"""The builtin `sum` on every engine: since Python 3.12 it keeps what rounding loses, between true floats alone."""

from __future__ import annotations

import collections
import sys

import backtrader as bt
import numpy as np
import pytest

from tests.parity.engines import Case, difference, on_fast, on_stock
from tests.parity.markets import frames


class Sums(bt.Strategy):
    """Buys as many as a sum comes to, so that its last bit is on record."""

    params = (("weights", (0.1, 0.2, 0.3, 0.7)), ("base", 0.1))

    def __init__(self):
        self.kept = []
        self.last = collections.deque(maxlen=9)
        self.by_name = {"open": 0.1, "high": 0.2, "close": 0.3}
        self.setup()

    def setup(self):
        pass

    def amount(self):
        return 1.0

    def next(self):
        self.last.append(self.data.close[0] * 0.1)
        if len(self) < 31:
            return
        if self.position.size == 0:
            self.buy(size=self.amount())
        else:
            self.close()


class OfWindow(Sums):
    def amount(self):
        return sum(self.data.close.get(size=30))


class OfWindowFromFloat(Sums):
    def amount(self):
        return sum(self.data.close.get(size=30), 0.1)


class OfPart(Sums):
    def amount(self):
        return sum(self.data.close.get(size=30)[3:20]) + max(self.data.close.get(size=5))


class OfExpressions(Sums):
    def amount(self):
        return sum(
            [self.data.close[0], self.data.open[0] * 0.1, self.data.high[0] / 3, -self.data.low[-1] * 0.01]
        )


class OfGenerator(Sums):
    def amount(self):
        return sum(self.data.close[-i] * 0.1 for i in range(12))


class WithStart(Sums):
    def amount(self):
        return sum([self.data.close[0] / 3, self.data.open[0] / 7], self.data.high[0] / 11)


class WithWholeNumbers(Sums):
    def amount(self):
        close = self.data.close[0]
        return sum([1, 2, 0.1, close / 3, 7, close / 7, len(self), 0.3, True])


class OfWholeNumbers(Sums):
    def amount(self):
        return sum([len(self), 3, int(self.data.close[0])], 2) + sum(
            1 for i in range(5) if self.data.close[-i] > 99
        )


class OfLines(Sums):
    def amount(self):
        return sum([self.data.close, self.data.open, self.data.high, self.data.low])


class OfDeque(Sums):
    def amount(self):
        return sum(self.last)


class OfWeights(Sums):
    def amount(self):
        return sum(weight * self.data.close[-i] for i, weight in enumerate(self.p.weights))


class OfDict(Sums):
    def amount(self):
        return sum({name: weight * self.data.close[0] for name, weight in self.by_name.items()}.values())


class OfConstants(Sums):
    def amount(self):
        return sum((0.1, 0.1, 0.1, 0.1, 0.1, 0.1)) * self.data.close[0] + sum([0.1, 0.2, 0.3, self.p.base])


class OfParameter(Sums):
    def setup(self):
        self.total = sum([self.p.base] * 10)

    def amount(self):
        return self.total * self.data.close[0]


class OfProfits(Sums):
    def notify_trade(self, trade):
        if trade.isclosed:
            self.kept.append(trade.pnlcomm)

    def amount(self):
        return abs(sum(self.kept)) + 1.0


class OfSurelyFloats(Sums):
    def amount(self):
        size = 0
        if self.data.close[0] > self.data.open[0]:
            size = self.data.close[0] / 3
        return sum(
            [float(size), 0.1, 0.2, self.data.close[0] / 7, float(np.mean(self.data.close.get(size=5)))]
        )


class OfEither(Sums):
    def amount(self):
        size = 0
        if self.data.close[0] > self.data.open[0]:
            size = self.data.close[0] / 3
        return sum([0.1, 0.2, size, 0.3, self.data.close[0] / 7])


class OfMixedList(Sums):
    def amount(self):
        self.kept.append(self.data.close[0] / 3 if self.data.close[0] > self.data.open[0] else 100)
        return sum(self.kept[-9:])


class OfNumpys(Sums):
    def amount(self):
        self.kept.append(np.mean(self.data.close.get(size=7)))
        return float(sum(self.kept[-9:]))


class OfNumpysExpressions(Sums):
    def amount(self):
        mean = np.mean(self.data.close.get(size=7))
        return float(sum([0.1 * mean, mean / 3, 0.2, self.data.close[0] * (mean > 100.0), 0.7]))


SURE = [
    OfWindow,
    OfWindowFromFloat,
    OfPart,
    OfExpressions,
    OfGenerator,
    WithStart,
    WithWholeNumbers,
    OfWholeNumbers,
    OfLines,
    OfDeque,
    OfWeights,
    OfDict,
    OfConstants,
    OfParameter,
    OfProfits,
    OfSurelyFloats,
]
UNSURE = [OfEither, OfMixedList, OfNumpys, OfNumpysExpressions]
"""What the kernel cannot know to be floats: since 3.12 it leaves these to the other engines."""


@pytest.mark.parametrize("strategy", [*SURE, *UNSURE])
def test_a_sum_is_stocks(strategy: type[bt.Strategy]) -> None:
    case = Case(strategy, {}, frames("chop", 5), cash=1e9)
    stock = on_stock(case)
    assert stock.recording is not None, stock.error
    assert len(stock.recording.fills) > 20
    assert difference(stock, on_fast("lean", case)) is None
    compiled = on_fast("compiled", case)
    if strategy in UNSURE and sys.version_info >= (3, 12):
        assert compiled.refusal is not None
        assert "sums numbers that may not all be floats" in str(compiled.refusal)
    else:
        assert difference(stock, compiled) is None
