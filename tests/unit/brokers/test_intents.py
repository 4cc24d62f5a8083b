"""From a Backtrader order to an intent: every kind of order by a table, without side effects."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from brokers.intents import Place, client_order_id, intent_of
from core.types import ExitReason, OrderIntent, OrderType, Side

BAR = datetime(2024, 1, 3, tzinfo=UTC)
CLOSE = 102.5
PLACE = Place("bot", "momentum", "GOOG", BAR, 1)
FLOAT_DAYS = timedelta(milliseconds=1)
"""Backtrader keeps times as floats of days."""
SOON = datetime(2024, 1, 9, 12, 30)
Order = bt.Order


class Ordering(bt.Strategy):
    """Makes one order on its third bar."""

    params = (("side", "buy"), ("order", ()))

    def next(self) -> None:
        if len(self) == 3:
            self.made = getattr(self, self.p.side)(**dict(self.p.order))


def made(side: str, order: dict[str, Any]) -> bt.Order:
    """The order a strategy makes, not yet sent."""
    close = np.array([100.0, 101.0, CLOSE])
    index = pd.date_range("2024-01-01", periods=3, freq="1D")
    prices = {"open": close, "high": close, "low": close, "close": close}
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=pd.DataFrame({**prices, "volume": 1.0}, index)))
    cerebro.addstrategy(Ordering, side=side, order=tuple(order.items()))
    return cerebro.run()[0].made


def expected(side: Side, kind: OrderType, size: str, **more: Any) -> OrderIntent:
    """An intent at PLACE."""
    intent = OrderIntent(
        client_id=client_order_id("bot", "momentum", "GOOG", BAR, 1),
        symbol="GOOG",
        side=side,
        type=kind,
        size=Decimal(size),
        reference_price=Decimal("102.5"),
        bar_time=BAR,
        leg=1,
        bot="bot",
        strategy="momentum",
    )
    return replace(intent, **more)


BUY, SELL = Side.BUY, Side.SELL
D = Decimal
TABLE: dict[str, tuple[str, dict[str, Any], OrderIntent]] = {
    "market": ("buy", {"size": 3}, expected(BUY, OrderType.MARKET, "3")),
    "a short": ("sell", {"size": 3}, expected(SELL, OrderType.MARKET, "3")),
    "an exact fraction": ("buy", {"size": 0.1}, expected(BUY, OrderType.MARKET, "0.1")),
    "at the close": (
        "buy",
        {"size": 1, "exectype": Order.Close},
        expected(BUY, OrderType.CLOSE, "1", session_end=datetime(2024, 1, 3, 23, 59, 59, 999989, tzinfo=UTC)),
    ),
    "limit": (
        "buy",
        {"size": 1, "exectype": Order.Limit, "price": 99.9},
        expected(BUY, OrderType.LIMIT, "1", price=D("99.9")),
    ),
    "stop": (
        "sell",
        {"size": 1, "exectype": Order.Stop, "price": 95},
        expected(SELL, OrderType.STOP, "1", price=D(95)),
    ),
    "stop limit": (
        "sell",
        {"size": 1, "exectype": Order.StopLimit, "price": 95.0, "plimit": 94.5},
        expected(SELL, OrderType.STOP_LIMIT, "1", price=D(95), limit=D("94.5")),
    ),
    "a trail by amount": (
        "sell",
        {"size": 1, "exectype": Order.StopTrail, "trailamount": 2.5},
        expected(SELL, OrderType.STOP_TRAIL, "1", trail_amount=D("2.5")),
    ),
    "a trail by percent": (
        "buy",
        {"size": 1, "exectype": Order.StopTrail, "trailpercent": 0.02},
        expected(BUY, OrderType.STOP_TRAIL, "1", trail_percent=D("0.02")),
    ),
    "a trail with a limit": (
        "sell",
        {"size": 1, "exectype": Order.StopTrailLimit, "price": 102.0, "plimit": 101.0, "trailamount": 2.0},
        expected(SELL, OrderType.STOP_TRAIL_LIMIT, "1", price=D(102), limit=D(101), trail_amount=D(2)),
    ),
    "with an end": (
        "buy",
        {"size": 1, "exectype": Order.Limit, "price": 99.0, "valid": SOON},
        expected(BUY, OrderType.LIMIT, "1", price=D(99), expires_at=SOON.replace(tzinfo=UTC)),
    ),
    "with a reason": (
        "sell",
        {"size": 1, "exit_reason": ExitReason.TIME_EXIT},
        expected(SELL, OrderType.MARKET, "1", exit_reason=ExitReason.TIME_EXIT),
    ),
    "held back": (
        "buy",
        {"size": 1, "transmit": False},
        expected(BUY, OrderType.MARKET, "1", transmit=False),
    ),
}


@pytest.mark.parametrize("row", TABLE)
def test_every_kind_of_order(row: str) -> None:
    """L11"""
    side, given, wanted = TABLE[row]
    order = made(side, given)
    before = {
        name: copy(value) for name, value in vars(order).items() if isinstance(value, int | float | str)
    }
    found = intent_of(order, PLACE)
    times = {}
    for name in ("expires_at", "session_end"):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        assert ours is theirs is None or abs(ours - theirs) < FLOAT_DAYS, name
        times[name] = ours
    assert found == replace(wanted, **times)
    assert intent_of(order, PLACE) == found, "the same order is the same intent"
    assert {name: vars(order)[name] for name in before} == before, "the order is not touched"


def test_what_hangs_together_keeps_its_ids() -> None:
    """L11: groups and brackets are of client ids; each place has another."""
    order = made("sell", {"size": 1})
    found = intent_of(order, replace(PLACE, leg=2, oco="tw-other", parent="tw-entry"))
    assert (found.oco, found.parent, found.leg) == ("tw-other", "tw-entry", 2)
    places = [
        PLACE,
        replace(PLACE, bot="b"),
        replace(PLACE, strategy="s"),
        replace(PLACE, symbol="X"),
        replace(PLACE, leg=2),
        replace(PLACE, bar_time=BAR + timedelta(days=1)),
    ]
    ids = [intent_of(order, place).client_id for place in places]
    assert len(set(ids)) == len(places)
    assert all(len(each) == 24 and each.isalnum() for each in ids)
