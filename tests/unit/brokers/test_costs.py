from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from brokers.actions import Action
from brokers.costs import Commission, Costs
from brokers.schedule import Every, Schedule
from brokers.slippage import PerUnit
from core.errors import ConfigError


@pytest.mark.parametrize(
    ("size", "price", "amount"), [(10.0, 20.0, 0.2), (-10.0, 20.0, 0.2), (0.0, 20.0, 0.0)]
)
def test_commission_is_a_fraction_of_the_value_traded(size: float, price: float, amount: float) -> None:
    assert Commission(0.001).amount(size, price) == amount


def test_the_products_are_taken_in_the_reference_order() -> None:
    size, rate, price = 3.3, 0.0123, 17.37
    assert size * rate * price != size * price * rate
    assert Commission(rate).amount(size, price) == size * rate * price


class TestCosts:
    def test_everything_is_off_by_default(self) -> None:
        costs = Costs()
        assert not costs.active
        assert costs.figures() == {}
        assert costs.text() == "no costs beside the commission"

    def test_what_is_on_is_said(self) -> None:
        costs = Costs(spread=0.0005, slippage=PerUnit(0.02), volume_share=0.1, latency=1, borrow=0.03)
        assert costs.active
        assert costs.figures() == {"spread": 0.0005, "volume_share": 0.1, "latency": 1.0, "borrow": 0.03}
        assert costs.text() == (
            "slippage of 0.02 a unit; half of a spread of 0.0500%; at most 0.1 of a bar's volume; "
            "orders 1 bar on their way; shorts borrowed at 3.00% a year"
        )

    def test_one_can_be_replaced(self) -> None:
        costs = replace(Costs(spread=0.0005), latency=2)
        assert (costs.spread, costs.latency) == (0.0005, 2)

    def test_lists_by_symbol_and_by_time_count_as_on(self) -> None:
        rates = pd.Series([0.0001], [pd.Timestamp("2024-01-01 08:00", tz="UTC")])
        assert Costs(funding=rates).active
        assert Costs(funding={"BTC": rates}).symbols() == {"BTC"}
        assert Costs(actions={"A": [Action(datetime(2024, 1, 2, tzinfo=UTC), ratio=2.0)]}).symbols() == {"A"}
        assert not Costs(actions={}).active

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"spread": -0.1}, "spread is -0.1"),
            ({"spread": 1.0}, "spread is 1"),
            ({"spread": math.nan}, "spread is nan"),
            ({"spread": "bars"}, "spread is 'bars'"),
            ({"spread": {"A": -1.0}}, "spread of A is -1"),
            ({"slippage": -0.1}, "slippage has rate -0.1"),
            ({"volume_share": 0.0}, "volume_share is 0"),
            ({"volume_share": 1.5}, "volume_share is 1.5"),
            ({"latency": 0.5}, "latency is 0.5"),
            ({"latency": -1}, "latency is -1"),
            ({"latency_seconds": -1.0}, "latency_seconds is -1"),
            ({"borrow": -0.01}, "borrow is -0.01"),
            ({"funding": 2.0}, "funding is 2"),
            ({"funding": pd.Series([math.nan], [datetime(2024, 1, 1)])}, "funding has nan"),
            ({"funding_hours": 0.0}, "funding_hours is 0"),
            ({"dividends": "shares"}, "dividends is 'shares'"),
        ],
    )
    def test_what_cannot_be_is_refused_with_what_to_do(self, wrong: dict[str, Any], named: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Costs(**wrong)
        assert caught.value.message.startswith(named)
        assert caught.value.hint


class TestTimes:
    def test_a_series_by_time(self) -> None:
        day = datetime(2024, 1, 1, tzinfo=UTC)
        given = Schedule.of({day + timedelta(hours=h): float(h) for h in (16, 0, 8)}, "rates")
        assert given.between(day, day + timedelta(hours=16)) == [
            (day + timedelta(hours=8), 8.0),
            (day + timedelta(hours=16), 16.0),
        ]
        assert given.at(day + timedelta(hours=9)) == 8.0
        assert given.at(day - timedelta(hours=9)) == 0.0

    def test_every_eight_hours(self) -> None:
        day = datetime(2024, 1, 1, tzinfo=UTC)
        due = Every(0.0001, 8.0).between(day, day + timedelta(days=1))
        assert [time.hour for time, _ in due] == [8, 16, 0]
        assert Every(0.0001, 8.0).between(day, day + timedelta(hours=7)) == []

    def test_a_time_twice_is_refused(self) -> None:
        day = datetime(2024, 1, 1)
        with pytest.raises(ConfigError, match="a time twice"):
            Schedule.of(pd.Series([1.0, 2.0], [day, day.replace(tzinfo=UTC)]), "rates")
