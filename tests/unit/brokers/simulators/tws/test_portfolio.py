"""Average cost and realised gains, commissions included."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.simulators.tws.portfolio import Held

D = Decimal
TRADES = st.lists(
    st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 200), st.integers(0, 3)),
    min_size=1,
    max_size=20,
)


def test_commissions_are_part_of_the_cost_and_of_the_gain() -> None:
    held = Held()
    assert held.take(D(10), D(100), D(1)) is None
    assert (held.size, held.average) == (D(10), D("100.1"))
    assert held.take(D(-4), D(110), D(2)) == D("37.6")
    assert (held.size, held.average) == (D(6), D("100.1"))


def test_a_trade_through_zero_closes_and_opens() -> None:
    held = Held()
    held.take(D(5), D(100), D(0))
    assert held.take(D(-8), D(90), D(8)) == D(-55)
    assert (held.size, held.cost) == (D(-3), D(-270) + D(3))


@given(TRADES)
def test_cost_less_what_was_realised_is_the_money_spent(trades: list[tuple[int, int, int]]) -> None:
    held = Held()
    spent = D(0)
    for size, price, fee in trades:
        held.take(D(size), D(price), D(fee))
        spent += D(size) * price + fee
    assert held.size == sum(size for size, _, _ in trades)
    assert abs(held.cost - held.realised - spent) < D("1e-20")
