"""An entry that fills in parts at a broker where exits rest on their own: nothing that rests is taken away."""

from __future__ import annotations

from typing import Any, ClassVar

import backtrader as bt
import pytest

from core.types import SignalType, TradingSignal
from strategies.base import HOLD, Strategy
from strategies.growth import MOST_PARTS
from strategies.stops import StopPlan, Target, fixed_stop

FLAT = (100.0, 101.0, 99.0, 100.0)
FALL = (100.0, 100.0, 80.0, 81.0)


class Resting(bt.brokers.BackBroker):
    """The stock broker, as if it were a venue. It takes no exits for less than `least` units."""

    protects_in_parts = True
    least = 0.0

    def submit(self, order: bt.Order, check: bool = True) -> bt.Order:
        if order.info.get("exit_reason") and abs(order.size) < self.least:
            order.submit(self)
            order.reject()
            self.notify(order)
            return order
        return super().submit(order, check)


class Bought(Strategy):
    """Buys 100 units on the first bar, and notes what protects them after every bar."""

    targets: ClassVar[tuple[Target, ...]] = ()

    def __init__(self) -> None:
        self.protected: list[tuple[float, list[float]]] = []

    def signal(self) -> TradingSignal:
        self.protected.append((self.position.size, sizes(self, bt.Order.Stop)))
        return TradingSignal(SignalType.LONG) if len(self) == 1 else HOLD

    def stop_plan(self, signal: TradingSignal) -> StopPlan:
        return fixed_stop(0.05)

    def target_plan(self, signal: TradingSignal) -> tuple[Target, ...]:
        return self.targets

    def size_for(self, equity: float, price: float, stop_distance: float | None) -> float:
        return 100.0


def sizes(strategy: bt.Strategy, kind: int) -> list[float]:
    """Of its orders of that kind that can fill."""
    return [-order.size for order in strategy.broker.orders if order.exectype == kind and order.alive()]


def filled_by(units: float, least: float = 0.0) -> Any:
    """A broker that fills at most so many units a bar."""

    def setup(cerebro: bt.Cerebro) -> None:
        broker = Resting()
        broker.least = least
        broker.setcash(100_000.0)
        broker.set_filler(bt.broker.fillers.FixedSize(size=units))
        cerebro.broker = broker

    return setup


def cancelled(strategy: bt.Strategy) -> list[float]:
    return [-o.size for o in strategy.broker.orders if o.status == bt.Order.Canceled]


def test_each_part_gets_a_stop_of_its_own(run: Any) -> None:
    result = run(Bought, [FLAT] * 5 + [FALL] * 4, setup=filled_by(40))
    assert result.strategy.protected[1:4] == [(40, [40]), (80, [40, 40]), (100, [40, 40, 20])]
    assert cancelled(result.strategy) == []
    assert (result.position, result.resting, result.closed) == (0, 0, 1)


def test_more_than_the_most_parts_join_the_last(run: Any) -> None:
    """What was protected before is not touched; what came after it is together again on the same bar."""
    result = run(Bought, [FLAT] * 12 + [FALL] * 12, setup=filled_by(10))
    for held, stops in result.strategy.protected[1:12]:
        assert (sum(stops), stops[: MOST_PARTS - 1]) == (held, [10] * min(MOST_PARTS - 1, int(held) // 10))
        assert len(stops) <= MOST_PARTS
    assert cancelled(result.strategy) == [10, 20, 30, 40, 50, 60]
    assert (result.position, result.resting, result.closed) == (0, 0, 1)


@pytest.mark.parametrize(("units", "least", "expected"), [(40, 30, [40, 60]), (60, 50, [100])])
def test_what_is_too_little_by_itself_joins_the_part_before(
    run: Any, units: float, least: float, expected: list[float]
) -> None:
    """A part that is refused is no refusal of protection: the entry is neither closed nor without a stop."""
    result = run(Bought, [FLAT] * 6, setup=filled_by(units, least))
    held, stops = result.strategy.protected[-1]
    assert (held, stops) == (100, expected)


def test_targets_come_with_the_part(run: Any) -> None:
    """Half at one target: each part has it, with a stop that goes with it."""
    case = type("Case", (Bought,), {"__module__": __name__, "targets": (Target(0.5, fraction=0.05),)})
    up, higher = (100.0, 106.0, 99.0, 105.0), (105.0, 107.0, 104.0, 106.0)
    result = run(case, [FLAT] * 5 + [up, higher, FALL, FALL, FALL], setup=filled_by(60))
    before = result.strategy.protected[3]
    assert (before[0], sorted(before[1])) == (100, [20, 20, 30, 30])
    taken = [fill[1] for fill in result.fills if fill[3] == "profit_target"]
    assert sum(taken) == -50
    assert (result.position, result.resting, result.closed) == (0, 0, 1)


def test_a_position_that_shrank_is_armed_anew(run: Any) -> None:
    """A stop that filled in part goes on; the exits never sum to more than is held."""
    result = run(Bought, [FLAT] * 3 + [FALL, FLAT, FLAT, FALL, FALL, FALL, FALL], setup=filled_by(30))
    for held, stops in result.strategy.protected[1:]:
        assert held >= 0
        assert sum(stops) >= held
    assert (result.position, result.resting) == (0, 0)
