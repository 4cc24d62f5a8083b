"""Whatever the account and the order, risk never lets a position grow beyond its limit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.risk import Account, Limits, check_order
from core.errors import OrderRejected
from core.types import OrderIntent, OrderType, Side

amounts = st.decimals("-500", "500", places=3)
sizes = st.decimals("0.001", "1000", places=3)
prices = st.decimals("0.01", "500", places=2)
limits = st.decimals("1", "400", places=2)


@given(
    held=amounts,
    entering=st.decimals("0", "500", places=3),
    resting_side=st.sampled_from(Side),
    size=sizes,
    price=prices,
    max_size=st.none() | limits,
    max_value=st.none() | limits,
    clip=st.booleans(),
    side=st.sampled_from(Side),
)
def test_over_limit_orders_never_pass(
    held: Decimal,
    entering: Decimal,
    resting_side: Side,
    size: Decimal,
    price: Decimal,
    max_size: Decimal | None,
    max_value: Decimal | None,
    clip: bool,
    side: Side,
) -> None:
    """L16"""
    account = Account(Decimal(0), {"X": held}, {("X", resting_side): entering}, {"X": price})
    intent = OrderIntent(
        client_id="tw1",
        symbol="X",
        side=side,
        type=OrderType.MARKET,
        size=size,
        reference_price=price,
        bar_time=datetime(2024, 1, 8, tzinfo=UTC),
        leg=1,
    )
    rules = Limits(
        max_position_size=max_size, max_position_value=max_value, oversize="clip" if clip else "reject"
    )
    try:
        sent = check_order(intent, account, rules)
    except OrderRejected:
        return
    assert 0 < sent.size <= size
    after = held + sent.size * side.sign
    if abs(after) <= abs(held) and held * side.sign < 0:
        return  # it only made the position smaller
    waiting = entering if resting_side is side else Decimal(0)
    exposure = held * side.sign + waiting + sent.size
    if max_size is not None:
        assert exposure <= max_size
    if max_value is not None:
        assert exposure * price <= max_value * (1 + Decimal("1e-20"))
