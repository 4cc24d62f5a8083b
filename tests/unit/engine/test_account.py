from __future__ import annotations

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from core.errors import UserError
from engine import backtest
from engine.account import copied, costs_of


def configured() -> bt.brokers.BackBroker:
    broker = bt.brokers.BackBroker(slip_perc=0.001, coc=True, shortcash=False)
    broker.setcash(20_000.0)
    broker.setcommission(commission=0.002)
    broker.setcommission(commission=3.0, margin=500.0, mult=10.0, name="F")
    return broker


def test_a_copy_has_the_same_parameters_and_schemes_and_nothing_of_the_original() -> None:
    broker = configured()
    copy = copied(broker)
    assert copy is not broker
    assert dict(copy.p._getkwargs()) == dict(broker.p._getkwargs())
    assert copy.getcash() == 20_000.0
    assert set(copy.comminfo) == {None, "F"}
    for name, scheme in copy.comminfo.items():
        assert scheme is not broker.comminfo[name]
        assert dict(scheme.p._getkwargs()) == dict(broker.comminfo[name].p._getkwargs())
    copy.setcash(1.0)
    assert broker.getcash() == 20_000.0


def test_a_broker_of_a_run_gives_a_fresh_account() -> None:
    broker = configured()
    broker.add_cash(-5_000.0)
    broker.cash = 3.0
    assert copied(broker).getcash() == 20_000.0


def test_another_broker_is_refused() -> None:
    with pytest.raises(UserError, match="cannot simulate with a object"):
        copied(object())


def test_a_history_of_orders_is_refused() -> None:
    broker = configured()
    broker.add_order_history([["2020-01-01", 1, 10.0]])
    with pytest.raises(UserError, match="history"):
        copied(broker)


def test_costs_name_what_is_charged() -> None:
    assert costs_of(configured()) == {"cash": 20_000.0, "commission": 0.002, "slippage": 0.001}
    assert costs_of(bt.brokers.BackBroker()) == {"cash": 10_000.0, "commission": 0.0}


class OneTrade(bt.Strategy):
    def next(self) -> None:
        if len(self) == 2:
            self.buy()
        elif len(self) == 5:
            self.close()


def rising(bars: int = 8) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=bars, freq="1D", tz="UTC", name="time")
    price = np.arange(100.0, 100.0 + bars)
    return pd.DataFrame(
        {"open": price, "high": price + 1.0, "low": price - 1.0, "close": price, "volume": 1.0}, index=index
    )


@pytest.mark.parametrize("engine", ["auto", "cerebro"])
def test_a_run_uses_the_broker_and_the_sizer_it_is_given(engine: str) -> None:
    """Bought at 102 and sold at 105, 1% worse each, 10 at a time, 1 a unit."""
    broker = bt.brokers.BackBroker(slip_perc=0.01, slip_open=True, slip_out=True)
    broker.setcash(5_000.0)
    broker.setcommission(commission=1.0, commtype=bt.CommInfoBase.COMM_FIXED, stocklike=True)
    for _ in range(2):  # it is not used up
        result = backtest(
            OneTrade, rising(), broker=broker, sizer=(bt.sizers.FixedSize, {"stake": 10}), engine=engine
        )
        assert result.fills["size"].tolist() == [10.0, -10.0]
        assert result.fills["price"].tolist() == pytest.approx([102 * 1.01, 105 * 0.99], rel=1e-12)
        assert result.fills["commission"].tolist() == [10.0, 10.0]
        assert result.costs == {"cash": 5_000.0, "commission": 1.0, "slippage": 0.01}


class AtTheOpen(bt.Strategy):
    def next_open(self) -> None:
        if len(self) == 2:
            self.buy()


@pytest.mark.parametrize("engine", ["auto", "cerebro"])
def test_orders_at_the_open_are_filled_on_their_own_bar(engine: str) -> None:
    result = backtest(AtTheOpen, rising(), cheat_on_open=True, engine=engine)
    (fill,) = result.fills.to_dict("records")
    assert (fill["price"], fill["time"].day) == (102.0, 3)
