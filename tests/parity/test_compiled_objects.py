"""Objects that strategies make in the run, compiled, against stock Backtrader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import backtrader as bt
import pytest

from tests.parity.engines import Case, difference, on_fast, on_stock
from tests.parity.markets import frames


@dataclass(frozen=True)
class Swing:
    """A bar that is remembered, with the one before it."""

    high: float
    low: float
    before: Swing | None = None

    @property
    def range(self) -> float:
        """Its height."""
        return self.high - self.low


@dataclass(eq=False)
class Box:
    """What is remembered, by kind."""

    swings: list[Swing] = field(default_factory=list)
    levels: list[tuple[float, int]] = field(default_factory=list)
    latest: Swing | None = None


class Remembers(bt.Strategy):
    """Makes several objects a bar, of which a few live on."""

    def __init__(self) -> None:
        self.box: Box | None = None
        self.recent: list[Swing] = []
        self.widest: Swing | None = None

    def next(self) -> None:
        """Keeps the last bars, a chain of two, and the widest bar there was."""
        if self.box is None:
            self.box = Box()
        box = self.box
        last = box.latest
        swing = Swing(
            self.data.high[0], self.data.low[0], None if last is None else Swing(last.high, last.low)
        )
        box.latest = swing
        box.swings.append(swing)
        box.levels.append((swing.high, len(self)))
        if len(box.swings) > 5:
            box.swings.pop(0)
            box.levels = box.levels[1:]
        self.recent = [old for old in box.swings if old.range > 0.002 * self.data.close[0]]
        if self.widest is None or swing.range > self.widest.range:
            self.widest = swing
        highest, bar = box.levels[0]
        if not self.position:
            if self.recent and swing.before is not None and swing.high > swing.before.high and highest > 0:
                self.buy(size=1 + len(self.recent))
        elif swing is self.widest or self.recent[-1:] == [] or len(self) - bar > 5:
            self.close()
        elif swing.range * 3 < self.widest.range:
            self.sell(size=1)


class LeavesOutOfDate(bt.Strategy):
    """A list of open orders in a record, replaced while an older list is still in use."""

    def __init__(self) -> None:
        self.box: Box | None = None
        self.waiting: list[bt.Order] = []

    def next(self) -> None:
        """Sends a limit order a bar; takes all away when one is filled."""
        before, self.waiting = self.waiting, []
        filled = False
        for order in before:
            if order.status == bt.Order.Completed:
                filled = True
        for order in before:
            if order.alive():
                if filled:
                    self.cancel(order)
                else:
                    self.waiting.append(order)
        if len(self.waiting) < 4:
            price = self.data.close[0] * (0.99 + 0.001 * len(self.waiting))
            self.waiting.append(self.buy(size=1, exectype=bt.Order.Limit, price=price))
        if self.position.size > 6:
            self.close()


class Raises(bt.Strategy):
    """Makes an object that does not want to be made, on a bar far into the run."""

    def next(self) -> None:
        """Fails on the fortieth bar."""
        if len(self) > 39:
            self.box = Checked(-1.0)
        elif not self.position:
            self.buy()


@dataclass
class Checked:
    """Refuses what is below zero."""

    value: float

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError("below zero")


@pytest.mark.parametrize("strategy", [Remembers, LeavesOutOfDate], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("kind", ["trend", "chop", "gappy"])
def test_objects_of_the_run_are_stocks(strategy: type[bt.Strategy], kind: str) -> None:
    """Objects, lists and tuples that outlive their bar, long enough for the dead ones to be thrown away."""
    case = Case(strategy, {}, frames(kind, 1, 3000, (0,), False))
    stock, fast = on_stock(case), on_fast("compiled", case)
    assert stock.recording is not None
    assert len(stock.recording.orders) > 40
    assert fast.refusal is None, fast.error
    assert difference(stock, fast) is None


def test_a_raise_in_the_run_is_left_to_the_next_engine() -> None:
    """What Python raises ends the kernel, and nothing of it is used."""
    fast = on_fast("compiled", Case(Raises, {}, frames("trend", 1, 60, (0,), False)))
    assert fast.recording is None
    assert "ends in an exception" in str(fast.error)


class Tagged(bt.Strategy):
    """Orders that carry something other than a reason, a reason that may be None, or nothing."""

    def __init__(self) -> None:
        self.why: str | None = None

    def next(self) -> None:
        """In and out again."""
        if not self.position:
            self.buy(size=3, tag="in")
        elif len(self) % 5 == 0:
            self.why = "fifth" if len(self) % 10 else None
            self.sell(size=3, exit_reason=self.why)


def test_what_an_order_carries_is_no_reason_unless_it_says_so() -> None:
    """Where the strategy states no reason, the one that follows from the order is recorded."""
    case = Case(Tagged, {}, frames("chop", 1, 80, (0,), False))
    stock, fast = on_stock(case), on_fast("compiled", case)
    assert stock.recording is not None
    assert set(stock.recording.trades["exit_reason"]) == {"fifth", "signal"}
    assert difference(stock, fast) is None


def _frozen(strategy: bt.Strategy) -> None:
    strategy.swing = Swing(1.0, 2.0)
    strategy.swing.high = 3.0  # type: ignore[misc]


def _compared(strategy: bt.Strategy) -> None:
    strategy.box = Box()
    if strategy.box == Swing(1.0, 2.0):
        strategy.buy()


def _stops_early(strategy: bt.Strategy) -> None:
    if any(strategy.buy() for _ in range(3)):
        strategy.close()


@pytest.mark.parametrize("act", [_frozen, _compared, _stops_early], ids=lambda act: act.__name__.strip("_"))
def test_what_has_no_meaning_in_a_kernel_is_refused(act: Callable[[bt.Strategy], None]) -> None:
    """Never a wrong answer: these are for the other engines."""
    strategy = type("Acts", (bt.Strategy,), {"__module__": __name__, "next": lambda self: act(self)})
    fast = on_fast("compiled", Case(strategy, {}, frames("trend", 1, 60, (0,), False)))
    assert fast.recording is None
