"""The base class on stock Backtrader: entries, resting exits, and the bars that could leave an orphan order."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import backtrader as bt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import StrategyError
from core.types import ExitReason, SignalType, TradingSignal
from strategies.base import HOLD, Strategy
from strategies.stops import StopPlan, Target, atr_trailing_stop, fixed_stop, trailing_stop

FLAT = (100.0, 101.0, 99.0, 100.0)
LONG, SHORT, EXIT = (TradingSignal(kind) for kind in (SignalType.LONG, SignalType.SHORT, SignalType.EXIT))


class Scripted(Strategy):
    """Does at bar n what `script` says; protects as told."""

    script: ClassVar[dict[int, TradingSignal]] = {1: LONG}
    guard: ClassVar[StopPlan | None] = None
    targets: ClassVar[tuple[Target, ...]] = ()
    units: ClassVar[float] = 100.0

    def signal(self) -> TradingSignal:
        return self.script.get(len(self), HOLD)

    def stop_plan(self, signal: TradingSignal) -> StopPlan | None:
        return self.guard

    def target_plan(self, signal: TradingSignal) -> tuple[Target, ...]:
        return self.targets

    def size_for(self, equity: float, price: float, stop_distance: float | None) -> float:
        return self.units


def scripted(**attributes: Any) -> type[Scripted]:
    return type("Case", (Scripted,), {"__module__": __name__, **attributes})


def test_stop_and_target_on_the_same_bar_fill_once(run: Any) -> None:
    """L20, L21: both levels lie inside bar 3; the stop wins and the target is gone."""
    case = scripted(guard=fixed_stop(0.05), targets=(Target(fraction=0.05),))
    result = run(case, [FLAT, FLAT, (100, 120, 80, 100), FLAT, (100, 120, 80, 100)])
    assert result.fills == [(2, 100, 100, None), (3, -100, 95, "stop_loss")]
    assert (result.position, result.resting) == (0, 0)


@pytest.mark.parametrize("short", [False, True])
def test_a_gap_through_the_stop_fills_at_the_open(run: Any, short: bool) -> None:
    """L20: fires on a gap at the open price."""
    case = scripted(
        guard=fixed_stop(0.05), targets=(Target(fraction=0.1),), script={1: SHORT if short else LONG}
    )
    gap = (120.0, 130.0, 70.0, 118.0) if short else (80.0, 130.0, 70.0, 82.0)
    result = run(case, [FLAT, FLAT, gap, FLAT, FLAT])
    assert result.fills[-1] == (3, 100 if short else -100, gap[0], "stop_loss")
    assert (result.position, result.resting, len(result.fills)) == (0, 0, 2)


def test_scaled_targets_and_their_stops_sum_to_the_position(run: Any) -> None:
    """L21: partial exits sum to position; the stop size is always what is left."""
    case = scripted(guard=fixed_stop(0.05), targets=(Target(0.3, fraction=0.05), Target(0.3, fraction=0.1)))
    up, down = (100.0, 106.0, 99.0, 105.0), (96.0, 97.0, 90.0, 91.0)
    result = run(case, [FLAT, FLAT, up, down, FLAT, FLAT])
    assert result.fills[1] == (3, -30, 105, "profit_target")
    assert [fill[1:] for fill in result.fills[2:]] == [(-30, 95, "stop_loss"), (-40, 95, "stop_loss")]
    assert sum(fill[1] for fill in result.fills) == 0
    assert (result.resting, result.closed) == (0, 1)


def test_both_targets_on_one_bar(run: Any) -> None:
    """L21"""
    case = scripted(guard=fixed_stop(0.05), targets=(Target(0.5, fraction=0.05), Target(0.5, fraction=0.1)))
    result = run(case, [FLAT, FLAT, (100, 115, 99, 114), (114, 114, 60, 60)])
    assert [fill[1:] for fill in result.fills[1:]] == [
        (-50, 105, "profit_target"),
        (-50, 110, "profit_target"),
    ]
    assert (result.position, result.resting) == (0, 0)


def test_a_refused_entry_leaves_nothing_resting(run: Any) -> None:
    """The gap to the open makes the entry unpayable: Margin, and no stop without a position."""
    case = scripted(guard=fixed_stop(0.05), units=900.0)
    result = run(case, [FLAT, (150, 151, 80, 100), (100, 101, 60, 70), FLAT])
    assert result.refused == ["Margin"]
    assert (result.fills, result.resting, result.position) == ([], 0, 0)


def test_an_entry_filled_in_parts_is_protected_part_by_part(run: Any) -> None:
    """A broker that fills 40 units a bar; the stop covers what is held, never more."""

    def slowly(cerebro: bt.Cerebro) -> None:
        cerebro.broker.set_filler(bt.broker.fillers.FixedSize(size=40))

    result = run(scripted(guard=fixed_stop(0.05)), [FLAT] * 5 + [(100, 100, 80, 81)] * 4, setup=slowly)
    assert max(result.sizes) == 100
    assert min(result.sizes) == 0
    assert (result.position, result.resting, result.closed) == (0, 0, 1)
    assert {fill[3] for fill in result.fills if fill[1] < 0} == {"stop_loss"}


def test_a_target_filled_in_parts_keeps_its_stop(run: Any) -> None:
    def slowly(cerebro: bt.Cerebro) -> None:
        cerebro.broker.set_filler(bt.broker.fillers.FixedSize(size=60))

    case = scripted(guard=fixed_stop(0.05), targets=(Target(fraction=0.05),))
    bars = [FLAT, FLAT, FLAT, (100, 106, 99, 104), (98, 99, 80, 80), (80, 81, 79, 80), FLAT]
    result = run(case, bars, setup=slowly)
    assert [fill[1:] for fill in result.fills[2:]] == [(-60, 105, "profit_target"), (-40, 95, "stop_loss")]
    assert (result.position, result.resting) == (0, 0)


@pytest.mark.parametrize("wait", [2, 4])
@pytest.mark.parametrize("touch", [FLAT, (100.0, 120.0, 80.0, 100.0), (80.0, 120.0, 70.0, 80.0)])
def test_an_exit_on_any_bar_closes_once(run: Any, wait: int, touch: tuple[float, ...]) -> None:
    """On bar 2 the protective orders are not accepted yet and cannot be cancelled: still only one exit fills."""
    case = scripted(
        script={1: LONG, wait: EXIT},
        guard=fixed_stop(0.05),
        targets=(Target(0.5, fraction=0.05), Target(0.3, fraction=0.1)),
    )
    bars = [FLAT] * wait + [touch, (100, 130, 70, 100), FLAT]
    result = run(case, bars)
    assert sum(fill[1] for fill in result.fills) == 0
    assert min(result.sizes) == 0
    assert (result.position, result.resting, result.closed) == (0, 0, 1)
    assert all(fill[0] == wait + 1 for fill in result.fills[1:])


@pytest.mark.parametrize("wait", [2, 4])
@pytest.mark.parametrize("touch", [FLAT, (100.0, 120.0, 80.0, 100.0), (96.0, 96.0, 95.5, 96.0)])
def test_a_reversal_while_protected(run: Any, wait: int, touch: tuple[float, ...]) -> None:
    """The old stop must not fire into the new position."""
    case = scripted(script={1: LONG, wait: SHORT}, guard=fixed_stop(0.05), targets=(Target(fraction=0.05),))
    result = run(case, [FLAT] * wait + [touch])
    assert result.position == -100
    assert result.closed == 1
    assert result.fills[1][3] in ("reversal", "stop_loss")
    if wait == 4:
        assert result.fills[1][1:] == (-100, touch[0], "reversal")


def test_a_trailing_stop_never_loosens_and_fires_at_the_open_of_a_gap(run: Any) -> None:
    """L20"""
    case = scripted(guard=trailing_stop(0.1))
    closes = [100, 100, 110, 130, 125, 121, 124]
    bars = [(c, c + 1.0, c - 1.0, float(c)) for c in closes] + [(90, 91, 89, 90), FLAT]
    result = run(case, bars)
    levels = [level for level in result.levels if level is not None]
    assert levels == sorted(levels)
    assert levels[-1] == pytest.approx(117.0)
    assert result.fills[-1] == (8, -100, 90, "trailing_stop")


def test_bars_are_counted_and_extremes_kept(run: Any) -> None:
    case = scripted(guard=fixed_stop(0.5))
    result = run(case, [FLAT, FLAT, (100, 140, 99, 100), FLAT])
    trade = result.states[-1]["trade"]
    assert (trade["bars_held"], trade["high_water"], trade["entry_price"]) == (2, 140, 100)
    assert trade["stop_level"] == 50


def test_a_market_target_without_a_stop_and_a_stop_without_a_target(run: Any) -> None:
    bars = [FLAT, FLAT, (100, 106, 80, 100), FLAT]
    assert run(scripted(targets=(Target(fraction=0.05),)), bars).fills[-1] == (3, -100, 105, "profit_target")
    assert run(scripted(guard=fixed_stop(0.05)), bars).fills[-1] == (3, -100, 95, "stop_loss")


def test_a_target_for_a_part_without_a_stop_is_sent_once(run: Any) -> None:
    orders: list[int] = []

    class Counted(Scripted):
        targets = (Target(0.4, fraction=0.05),)

        def notify_order(self, order: bt.Order) -> None:
            orders.append(order.ref)
            super().notify_order(order)

    result = run(Counted, [FLAT] * 5 + [(100, 106, 80, 100), FLAT])
    assert result.fills == [(2, 100, 100, None), (6, -40, 105, "profit_target")]
    assert (result.resting, result.position, len(set(orders))) == (0, 60, 2)


def test_a_target_the_account_cannot_pay_is_dropped_and_the_stop_kept(run: Any) -> None:
    """Both covering orders of a short are checked against cash; only one of them can be paid."""
    case = scripted(
        script={1: SHORT}, guard=fixed_stop(0.05), targets=(Target(fraction=0.05),), units=500.0, leverage=5.0
    )
    result = run(case, [FLAT] * 6 + [(100, 106, 94, 100), FLAT], cash=20_000.0)
    assert result.refused == ["Margin"]
    assert result.fills == [(2, -500, 100, None), (7, 500, 105, "stop_loss")]
    assert result.resting == 0


def test_a_position_that_cannot_be_protected_is_left(run: Any) -> None:
    """Covering at the stop would cost more than the account holds."""
    case = scripted(script={1: SHORT}, guard=fixed_stop(0.5), units=900.0, leverage=5.0)
    result = run(case, [FLAT] * 7, cash=20_000.0)
    assert result.refused == ["Margin", "Margin"]
    assert result.fills[-1][1:] == (900, 100, "risk")
    assert (result.position, result.resting) == (0, 0)


def test_an_author_may_call_buy_and_close_in_next(run: Any) -> None:
    class Plain(Scripted):
        guard = fixed_stop(0.05)

        def next(self) -> None:
            if len(self) == 1:
                self.buy(size=10)
            elif len(self) == 4:
                self.close()

    result = run(Plain, [FLAT] * 6)
    assert result.fills == [(2, 10, 100, None), (5, -10, 100, "signal")]
    assert result.resting == 0


def test_an_authors_own_sell_reverses_without_leaving_the_stop(run: Any) -> None:
    class Plain(Scripted):
        guard = fixed_stop(0.05)

        def next(self) -> None:
            if len(self) == 1:
                self.buy(size=10)
            elif len(self) in (2, 4):
                self.sell(size=20)

    result = run(Plain, [FLAT, FLAT, (100, 101, 80, 100), FLAT, FLAT])
    assert result.fills[1][1:] == (-10, 95, "stop_loss")
    assert result.fills[2][:2] == (3, -10), "the rest of the reversal"
    assert (result.position, result.resting) == (-30, 1)
    assert result.strategy._trade.covered == 30


def test_reducing_a_protected_position_by_hand_is_refused(run: Any) -> None:
    class Plain(Scripted):
        guard = fixed_stop(0.05)

        def next(self) -> None:
            self.buy(size=10) if len(self) == 1 else self.sell(size=4)

    with pytest.raises(StrategyError, match=r"use exit\(\)"):
        run(Plain, [FLAT] * 6)


class Busy(Strategy):
    """Signals from a seed, with every kind of protection: what the worst author would do."""

    params = (("seed", 0), ("trail", False), ("shares", (0.4, 0.3)))

    def signal(self) -> TradingSignal:
        draw = (len(self) * 7919 + self.p.seed * 104729) % 11
        return {0: LONG, 1: LONG, 2: SHORT, 3: EXIT}.get(draw, HOLD)

    def stop_plan(self, signal: TradingSignal) -> StopPlan:
        return atr_trailing_stop(1.0, self.data.close[0] * 0.02) if self.p.trail else fixed_stop(0.03)

    def target_plan(self, signal: TradingSignal) -> tuple[Target, ...]:
        return tuple(Target(share, reward=1.0 + i) for i, share in enumerate(self.p.shares))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    trail=st.booleans(),
    shares=st.sampled_from([(), (1.0,), (0.4, 0.3), (0.2,) * 3]),
)
def test_no_market_leaves_an_orphan(
    run: Any, market: Any, seed: int, trail: bool, shares: tuple[float, ...]
) -> None:
    """S3, L20, L21: every closing fill has a reason, exits never pass through zero, nothing rests when flat."""
    frame = market(seed, 150)
    result = run(Busy, frame, commission=0.001, seed=seed, trail=trail, shares=shares)
    held = 0.0
    for _, size, _, reason in result.fills:
        if reason is None:
            assert held == 0, "an entry found a position"
        else:
            assert ExitReason(reason)
            assert held * size < 0, "an exit without a position, or in its direction"
            assert abs(size) <= abs(held), "an exit larger than the position"
        held += size
    assert held == result.position
    assert len(result.fills) > 10
    if not result.position:
        entering = result.states[-1]["entry_pending"]
        assert result.resting == int(entering)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000))
def test_state_is_json_and_follows_from_the_run(run: Any, market: Any, seed: int) -> None:
    """Equal runs give equal states, also when orders are notified at once."""
    frame = market(seed, 120)
    first = run(Busy, frame, seed=seed)
    again = run(Busy, frame, seed=seed)
    quick = run(Busy, frame, seed=seed, options={"quicknotify": True})
    streamed = run(Busy, frame, seed=seed, options={"runonce": False, "preload": False})
    assert json.loads(json.dumps(first.states)) == first.states
    assert first.states == again.states == quick.states == streamed.states
    assert first.fills == again.fills == quick.fills == streamed.fills


def test_a_restored_state_protects_at_the_level_it_had(run: Any) -> None:
    """A life that begins with a position and a kept state sends the stop at the kept level."""

    class Resumed(Scripted):
        guard = fixed_stop(0.05)

        def next(self) -> None:
            if len(self) == 4:
                state = self.state()
                state["trade"]["stop_level"] = 98.0
                self.restore(state)
            super().next()

    result = run(Resumed, [FLAT] * 5 + [(100, 101, 99, 100), (100, 100, 97, 97), FLAT])
    assert result.fills[-1] == (7, -100, 98, "stop_loss")
    assert result.resting == 0
    with pytest.raises(StrategyError, match="version"):
        result.strategy.restore({"version": 99})
