"""The broker that charges costs, with none switched on: stock Backtrader's answer, to the last bit."""

from __future__ import annotations

import backtrader as bt
from hypothesis import HealthCheck, assume, event, given, settings

from brokers.costs import Costs
from engine.realistic import RealisticBroker
from tests.parity.test_paper_stock import Flow, Outcome, Rows, Scripted, flows, stock


def charged(flow: Flow, costs: Costs) -> Outcome:
    """The flow on the broker that charges `costs`."""
    cerebro = bt.Cerebro(stdstats=False)
    for index in range(len(flow.markets)):
        cerebro.adddata(Rows(flow=flow, index=index, sessionend=flow.session_end), name=f"S{index}")
    cerebro.setbroker(RealisticBroker(costs=costs))
    cerebro.broker.setcash(flow.cash)
    cerebro.broker.setcommission(commission=flow.commission)
    cerebro.addstrategy(Scripted, flow=flow)
    return cerebro.run()[0].outcome


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(flows())
def test_no_costs_are_the_stock_broker_bit_for_bit(flow: Flow) -> None:
    """B14"""
    try:
        expected = stock(flow)
    except IndexError:
        # A bracket transmitted twice and cancelled in between makes the stock broker pop an empty queue.
        event("stock broker crashed")
        assume(False)
    got = charged(flow, Costs())
    assert got.notes == expected.notes
    assert got.cash == expected.cash
    assert got.positions == expected.positions
    assert got.triggers == expected.triggers
