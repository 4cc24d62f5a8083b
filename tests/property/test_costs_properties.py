"""Whatever is ordered and charged: money is accounted for, limits hold, and no bar gives more than its share."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import Any

import backtrader as bt
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from brokers.costs import Costs
from brokers.margin import Margin
from engine.realistic import RealisticBroker
from tests.parity.test_costs_stock import costs
from tests.parity.test_paper_stock import Flow, Rows, Scripted, flows

SUMS = 1e-9
"""Room for sums of up to some hundred products, relative to the money that moved."""
LIMITS = (bt.Order.Limit, bt.Order.StopLimit, bt.Order.StopTrailLimit)

margins = st.sampled_from([None, None, Margin(), Margin(1.0, 0.9, 1.0, 0.9), Margin(0.1, 0.05, 0.1, 0.05)])


class Witness(Scripted):
    """Writes down every execution with the bar and the limit it met, and the account after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.fills: list[tuple[bt.Order, float, float, float]] = []
        self.account: list[tuple[float, float, float]] = []

    def notify_order(self, order: bt.Order) -> None:
        for bit in order.executed.iterpending():
            if bit is not None:
                self.fills.append((order, bit.dt, bit.size, bit.price))
        if order.info.get("exit_reason") is None:
            super().notify_order(order)

    def next(self) -> None:
        held = math.fsum(self.broker.getposition(d).size * d.close[0] for d in self.datas if len(d))
        self.account.append((self.broker.getvalue(), self.broker.getcash(), held))
        super().next()


def witnessed(flow: Flow, charged: Costs) -> Witness:
    cerebro = bt.Cerebro(stdstats=False)
    for index in range(len(flow.markets)):
        cerebro.adddata(Rows(flow=flow, index=index, sessionend=flow.session_end), name=f"S{index}")
    cerebro.setbroker(RealisticBroker(costs=charged))
    cerebro.broker.setcash(flow.cash)
    cerebro.broker.setcommission(commission=flow.commission)
    cerebro.addstrategy(Witness, flow=flow)
    try:
        ran: Witness = cerebro.run()[0]
    except IndexError:
        # A bracket transmitted twice and cancelled in between makes the stock broker pop an empty queue.
        assume(False)
    return ran


@st.composite
def charged_flows(draw: st.DrawFn) -> tuple[Flow, Costs]:
    return draw(flows()), replace(draw(costs), margin=draw(margins))


many = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@many
@given(charged_flows())
def test_equity_is_cash_and_positions_and_every_cent_is_accounted_for(case: tuple[Flow, Costs]) -> None:
    """B14 to B17"""
    flow, charged = case
    ran = witnessed(flow, charged)
    scale = flow.cash + sum(abs(size * price) for _, _, size, price in ran.fills)
    for value, cash, held in ran.account:
        assert math.isclose(value, cash + held, rel_tol=SUMS, abs_tol=SUMS * scale)
    paid = math.fsum(size * price + abs(size) * flow.commission * price for _, _, size, price in ran.fills)
    moved = math.fsum(movement.cash for movement in ran.broker.movements)
    assert math.isclose(ran.broker.getcash(), flow.cash - paid + moved, rel_tol=SUMS, abs_tol=SUMS * scale)


@many
@given(charged_flows())
def test_no_bar_fills_more_than_its_share_of_its_volume(case: tuple[Flow, Costs]) -> None:
    """B14"""
    flow, charged = case
    assume(charged.volume_share is not None)
    ran = witnessed(flow, charged)
    filled: dict[tuple[Any, float], float] = defaultdict(float)
    for order, time, size, _ in ran.fills:
        filled[order.data, time] += abs(size)
    for (data, time), size in filled.items():
        volume = bars_of(data)[time][4]
        assert size <= volume * (charged.volume_share or 0.0) + SUMS


@many
@given(charged_flows())
def test_fills_stay_inside_their_bar_and_limits_hold(case: tuple[Flow, Costs]) -> None:
    """B14"""
    flow, charged = case
    assume(not charged.actions)  # a limit that a split has moved is another one by the end
    for order, time, _, price in witnessed(flow, charged).fills:
        _, high, low, *_ = bars_of(order.data)[time]
        if not charged.beyond_bar:
            assert low <= price <= high
        if order.exectype in LIMITS and order.exectype != bt.Order.StopTrailLimit:
            limit = order.created.price if order.exectype == bt.Order.Limit else order.created.pricelimit
            assert price <= limit if order.isbuy() else price >= limit


def bars_of(data: Any) -> dict[float, tuple[float, ...]]:
    """Open, high, low, close and volume by Backtrader's date."""
    lines = (data.open, data.high, data.low, data.close, data.volume)
    count = len(data.datetime.array)
    return {data.datetime.array[n]: tuple(line.array[n] for line in lines) for n in range(count)}
