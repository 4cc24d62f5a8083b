"""The broker that charges costs: with none switched on stock Backtrader's answer, with any the paper venue's.

To the last bit both times, over random order flows on random markets.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

import backtrader as bt
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from brokers.actions import Action
from brokers.costs import Costs
from brokers.slippage import PerUnit, SquareRoot, Volatility, VolumeShare
from engine.realistic import RealisticBroker
from tests.parity.test_paper_stock import START, Flow, Outcome, Rows, Scripted, flows, paper, stock


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
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
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


def actions() -> st.SearchStrategy[list[Action]]:
    """Splits, also into fractions, and dividends, at and between the times of bars."""
    times = st.integers(1, 40).map(lambda hours: (START + timedelta(hours=3 * hours)).replace(tzinfo=UTC))
    split = st.builds(Action, times, ratio=st.sampled_from([2.0, 0.5, 3.0]))
    dividend = st.builds(Action, times, amount=st.sampled_from([0.05, 0.5]))
    return st.lists(st.one_of(split, dividend), max_size=3)


costs = st.builds(
    Costs,
    spread=st.sampled_from([0.0, 0.01, 0.1]),
    slippage=st.sampled_from(
        [0.0, 0.0, 0.02, PerUnit(0.3), VolumeShare(0.1), SquareRoot(0.5, 3), Volatility(0.2, 2)]
    ),
    volume_share=st.sampled_from([None, None, 0.5, 1.0]),
    latency=st.sampled_from([0, 0, 1, 2]),
    latency_seconds=st.sampled_from([0.0, 0.0, 1.0, 6 * 3600.0 + 1]),
    beyond_bar=st.booleans(),
    borrow=st.sampled_from([0.0, 0.5]),
    funding=st.sampled_from([0.0, 0.01, -0.01]),
    actions=st.one_of(st.just({}), st.builds(lambda first: {"S0": first}, actions())),
    dividends=st.sampled_from(["cash", "reinvest"]),
)


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(flow=flows(), charged_with=costs)
def test_the_paper_venue_charges_the_same_bit_for_bit(flow: Flow, charged_with: Costs) -> None:
    """B14, B16, B17"""
    try:
        expected = charged(flow, charged_with)
    except IndexError:
        event("stock broker crashed")
        assume(False)
    got = asyncio.run(paper(flow, charged_with))
    for name in charged_with.changed():
        event(name)
    assert got.notes == expected.notes
    assert got.cash == expected.cash
    assert got.positions == expected.positions
    assert got.triggers == expected.triggers
