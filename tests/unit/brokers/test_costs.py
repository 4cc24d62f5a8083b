from __future__ import annotations

import pytest

from brokers.costs import Commission


@pytest.mark.parametrize(
    ("size", "price", "amount"), [(10.0, 20.0, 0.2), (-10.0, 20.0, 0.2), (0.0, 20.0, 0.0)]
)
def test_commission_is_a_fraction_of_the_value_traded(size: float, price: float, amount: float) -> None:
    assert Commission(0.001).amount(size, price) == amount


def test_the_products_are_taken_in_the_reference_order() -> None:
    size, rate, price = 3.3, 0.0123, 17.37
    assert size * rate * price != size * price * rate
    assert Commission(rate).amount(size, price) == size * rate * price
