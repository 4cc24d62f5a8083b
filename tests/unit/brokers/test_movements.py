from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from brokers.actions import Action, actions_of
from brokers.costs import Costs, funding_of
from brokers.movements import Movement, events, movements, notes, totals
from core.errors import ConfigError

FRIDAY = datetime(2024, 1, 5, tzinfo=UTC)
MONDAY = datetime(2024, 1, 8, tzinfo=UTC)
LAST_BITS = 1e-12
"""Room for the rounding of a few products."""


def moved(
    costs: Costs, size: float, mark: float, after: datetime = FRIDAY, until: datetime = MONDAY
) -> list[Movement]:
    return movements(costs, funding_of(costs, "A"), "A", size, mark, after, until)


class TestBorrow:
    def test_shorts_pay_for_the_time_that_passes(self) -> None:
        """B15: 100 units at 50 over three days at 7.3% a year: 5,000 x 0.073 x 3 / 365 = 3."""
        (fee,) = moved(Costs(borrow=0.073), -100.0, 50.0)
        assert (fee.kind, fee.time) == ("borrow", MONDAY)
        assert fee.amount == pytest.approx(3.0, rel=LAST_BITS)
        assert fee.cash == -fee.amount

    def test_longs_and_other_symbols_pay_nothing(self) -> None:
        assert moved(Costs(borrow=0.073), 100.0, 50.0) == []
        assert moved(Costs(borrow={"B": 0.073}), -100.0, 50.0) == []

    def test_an_hour_is_an_hour(self) -> None:
        (fee,) = moved(Costs(borrow=0.073), -100.0, 50.0, FRIDAY, FRIDAY + timedelta(hours=1))
        assert fee.amount == pytest.approx(1 / 24, rel=LAST_BITS)


class TestFunding:
    def test_longs_pay_shorts_at_each_time(self) -> None:
        """B16: 2 units at 40,000 and a rate of 0.01%: 8 each, at 08:00, 16:00 and 00:00."""
        costs = Costs(funding=0.0001)
        until = FRIDAY + timedelta(days=1)
        paid = moved(costs, 2.0, 40_000.0, FRIDAY, until)
        assert [(m.time.hour, m.amount) for m in paid] == [(8, 8.0), (16, 8.0), (0, 8.0)]
        assert sum(m.cash for m in paid) == -24.0
        assert sum(m.cash for m in moved(costs, -2.0, 40_000.0, FRIDAY, until)) == 24.0
        assert moved(costs, 0.0, 40_000.0, FRIDAY, until) == []

    def test_rates_of_a_series_at_their_own_times(self) -> None:
        """B16: a negative rate pays the longs; what falls due at the earlier bar was paid there."""
        times = [FRIDAY, FRIDAY + timedelta(hours=8), FRIDAY + timedelta(hours=16)]
        costs = Costs(funding={"A": pd.Series([0.01, -0.0002, 0.0001], times)})
        paid = moved(costs, 10.0, 100.0, FRIDAY, FRIDAY + timedelta(hours=16))
        assert [m.cash for m in paid] == [pytest.approx(0.2), pytest.approx(-0.1)]

    def test_every_four_hours(self) -> None:
        costs = Costs(funding=0.0001, funding_hours=4.0)
        assert len(moved(costs, 1.0, 1.0, FRIDAY, FRIDAY + timedelta(hours=12))) == 3


class TestActions:
    def test_a_split(self) -> None:
        """B17"""
        costs = Costs(actions={"A": [Action(MONDAY, ratio=4.0)]})
        assert moved(costs, 10.0, 400.0) == [Movement("split", "A", MONDAY, ratio=4.0)]
        assert moved(costs, 10.0, 400.0, MONDAY, MONDAY + timedelta(days=1)) == []

    def test_a_dividend_in_cash(self) -> None:
        """B17: 10 units of 0.5; a short pays them."""
        costs = Costs(actions={"A": [Action(MONDAY, amount=0.5)]})
        (paid,) = moved(costs, 10.0, 50.0)
        assert (paid.cash, paid.amount, paid.lowered, paid.ratio) == (5.0, 5.0, 0.5, 1.0)
        assert moved(costs, -10.0, 50.0)[0].cash == -5.0

    def test_a_dividend_put_back(self) -> None:
        """B17: at a close of 50 less 2, 10 units become 10 x 50 / 48."""
        costs = Costs(actions={"A": [Action(MONDAY, amount=2.0)]}, dividends="reinvest")
        (paid,) = moved(costs, 10.0, 50.0)
        assert (paid.cash, paid.amount) == (0.0, 20.0)
        assert paid.ratio == 50.0 / 48.0

    def test_a_split_comes_before_the_dividend_of_its_day_and_changes_what_follows(self) -> None:
        """Twenty units of 0.5, then funding on 20 x (200 / 2 - 0.5) at the same time of the next day."""
        day = MONDAY + timedelta(days=1)
        costs = Costs(
            actions={"A": [Action(MONDAY, ratio=2.0, amount=0.5)]}, funding=pd.Series([0.01], [day])
        )
        split, dividend, funding = moved(costs, 10.0, 200.0, FRIDAY, day)
        assert (split.ratio, dividend.cash) == (2.0, 10.0)
        assert funding.amount == pytest.approx(20 * 99.5 * 0.01, rel=LAST_BITS)

    def test_a_dividend_above_the_price_is_refused(self) -> None:
        costs = Costs(actions={"A": [Action(MONDAY, amount=51.0)]}, dividends="reinvest")
        with pytest.raises(ConfigError, match="a dividend of 51 a share at a price of 50"):
            moved(costs, 10.0, 50.0)

    def test_actions_out_of_a_frame(self) -> None:
        frame = pd.DataFrame({"Dividends": [0.0, 0.2], "Stock Splits": [4.0, 0.0]}, [FRIDAY, MONDAY])
        assert actions_of(frame, "A") == (Action(FRIDAY, ratio=4.0), Action(MONDAY, amount=0.2))
        by_name = pd.DataFrame({"amount": [0.2, None]}, [MONDAY, FRIDAY])
        assert actions_of(by_name, "A") == (Action(MONDAY, amount=0.2),)
        with pytest.raises(ConfigError, match="no column ratio or amount"):
            actions_of(frame[[]], "A")
        with pytest.raises(ConfigError, match="not `Action`s"):
            actions_of([2.0], "A")

    @pytest.mark.parametrize("wrong", [{"ratio": 0.0}, {"ratio": -2.0}, {"amount": -1.0}])
    def test_actions_without_sense_are_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ConfigError, match="2024-01-08"):
            Action(MONDAY, **wrong)


def test_sums_events_and_notes() -> None:
    told = [
        Movement("slippage", "A", FRIDAY, amount=2.0),
        Movement("part", "A", FRIDAY, units=3.0),
        Movement("borrow", "A", MONDAY, cash=-1.0, amount=1.0),
        Movement("funding", "A", MONDAY, cash=0.5, amount=-0.5),
        Movement("dividend", "A", MONDAY, cash=4.0, amount=4.0),
        Movement("margin_call", "A", MONDAY, amount=100.0),
        Movement("liquidation", "A", MONDAY, units=-10.0),
    ]
    assert totals(told) == {
        "slippage_paid": 2.0,
        "borrow_paid": 1.0,
        "funding_paid": -0.5,
        "dividends_received": 4.0,
    }
    assert [event["kind"] for event in events(told)] == ["dividend", "margin_call", "liquidation"]
    assert notes(told) == (
        "1 margin call, 1 position closed by the broker at the next open",
        "1 fill took only a part of what was left, for want of volume in the bar",
    )
    assert notes([]) == ()
