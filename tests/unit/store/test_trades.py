"""The arithmetic of trades."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from core.types import Side, to_decimal
from store.models import TradeStatus
from store.orders import EXACT
from store.trades import TradeRecord

TIME = datetime(2024, 1, 2, tzinfo=UTC)
price = st.floats(0.01, 1e6).map(to_decimal)
size = st.floats(1e-6, 1e5).map(to_decimal)


@settings(max_examples=100, deadline=None)
@given(
    side=st.sampled_from(Side),
    entries=st.lists(st.tuples(size, price), min_size=1, max_size=5),
    exits=st.lists(st.tuples(st.floats(0.01, 0.9), price), max_size=4),
    last=price,
)
def test_profit_of_a_closed_trade_is_exactly_the_cash_it_made(
    side: Side,
    entries: list[tuple[Decimal, Decimal]],
    exits: list[tuple[float, Decimal]],
    last: Decimal,
) -> None:
    """P2: to the last digit, whatever was added and taken off on the way."""
    (first_size, first_price), *more = entries
    cost = EXACT.multiply(first_size, first_price)
    trade = TradeRecord(1, "X", side, first_size, cost, TIME, Decimal(1))
    for added, at in more:
        trade = trade.added(added, at, Decimal(1))
        cost = EXACT.add(cost, EXACT.multiply(added, at))
    proceeds = Decimal(0)
    for part, at in exits:
        taken = to_decimal(float(trade.remaining) * part)
        trade = trade.reduced(taken, at, TIME)
        assert trade.status is TradeStatus.PARTIAL
        proceeds = EXACT.add(proceeds, EXACT.multiply(taken, at))
    proceeds = EXACT.add(proceeds, EXACT.multiply(trade.remaining, last))
    closed = trade.closed(last, TIME)
    assert closed.pnl == EXACT.multiply(EXACT.subtract(proceeds, cost), Decimal(side.sign))
    assert closed.pnl_net == EXACT.subtract(closed.pnl, Decimal(len(entries)))
    assert closed.remaining == 0


def test_profit_of_a_partly_closed_trade_is_at_mean_cost() -> None:
    trade = TradeRecord(1, "X", Side.SELL, Decimal(3), Decimal(30), TIME).added(Decimal(1), Decimal(14))
    assert trade.exit_price is None
    assert trade.pnl == 0
    part = trade.reduced(Decimal(2), Decimal(9), TIME)
    assert (part.entry_price, part.exit_price, part.pnl) == (Decimal(11), Decimal(9), Decimal(4))
