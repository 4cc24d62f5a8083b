from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.margin import (
    Books,
    Margin,
    affords,
    initial_requirement,
    maintenance_requirement,
    margin_call,
    may_open,
    to_liquidate,
)
from core.errors import ConfigError

US = Margin()
"""Half to open, 25% of longs and 30% of shorts to hold."""


def test_requirements_by_hand() -> None:
    """B15: longs of 1,000, shorts of 400."""
    assert initial_requirement([1_000.0, -400.0], US) == 700.0
    assert maintenance_requirement([1_000.0, -400.0], US) == 370.0


@pytest.mark.parametrize(
    ("cash", "values", "enough"),
    [
        (-1_000.0, [2_000.0], True),  # equity 1,000, half of 2,000
        (-1_000.1, [2_000.0], False),
        (3_000.0, [-2_000.0], True),  # the proceeds of the short are no equity
        (2_999.0, [-2_000.0], False),
        (0.0, [], True),
    ],
)
def test_what_may_be_opened(cash: float, values: list[float], enough: bool) -> None:
    """B15"""
    assert may_open(cash, values, US) is enough


class TestOrders:
    def test_a_short_beyond_margin_is_not_covered(self) -> None:
        """B15: 1,000 of cash cover a short of 2,000, and none of 2,010."""
        before = Books(1_000.0, {})
        for size, covered in ((-200.0, True), (-201.0, False)):
            after = before.after("A", size, 10.0, 0.0)
            assert affords(before, after, "A", 10.0, {}, US) is covered

    def test_commission_counts(self) -> None:
        before = Books(1_000.0, {})
        assert not affords(before, before.after("A", -200.0, 10.0, 2.0), "A", 10.0, {}, US)

    def test_what_else_is_held_counts_at_its_mark(self) -> None:
        before = Books(0.0, {"B": 100.0})
        after = before.after("A", 100.0, 10.0, 0.0)  # cash -1,000
        assert affords(before, after, "A", 10.0, {"B": 10.0}, US)  # equity 1,000 for 2,000
        assert not affords(before, after, "A", 10.0, {"B": 9.99}, US)

    def test_what_makes_a_position_smaller_passes_whatever_the_equity(self) -> None:
        broke = Books(-5_000.0, {"A": 100.0})
        assert affords(broke, broke.after("A", -40.0, 10.0, 0.0), "A", 10.0, {}, US)
        assert affords(broke, broke.after("A", -100.0, 10.0, 0.0), "A", 10.0, {}, US)
        assert not affords(broke, broke.after("A", -101.0, 10.0, 0.0), "A", 10.0, {}, US)


class TestCalls:
    def test_no_call_at_the_requirement(self) -> None:
        """B15: equity 500 = 25% of 2,000."""
        assert margin_call(Books(-1_500.0, {"A": 200.0}), {"A": 10.0}, (), US) is None

    def test_the_largest_goes_first_until_the_rest_is_covered(self) -> None:
        """B15: values 3,000, -2,000 and 1,000; equity 800; 1,600 needed. Without the 3,000: 850. Without both: 250."""
        held = {"A": 300.0, "B": -200.0, "C": 100.0}
        marks = dict.fromkeys(held, 10.0)
        call = margin_call(Books(-1_200.0, held), marks, (), US)
        assert call is not None
        assert call.symbols == ("A", "B")
        assert call.lacking == pytest.approx(800.0)

    def test_what_is_being_closed_already_does_not_count(self) -> None:
        held = {"A": 300.0, "C": 100.0}
        marks = dict.fromkeys(held, 10.0)
        assert margin_call(Books(-3_400.0, held), marks, ("A",), US) is None  # 600 of equity for C's 250
        call = margin_call(Books(-3_900.0, held), marks, ("A",), US)
        assert call is not None
        assert call.symbols == ("C",)

    def test_equals_go_by_name_and_a_ruin_takes_all(self) -> None:
        assert to_liquidate(-3_000.0, {"B": 1_000.0, "A": 1_000.0}, US) == ("A", "B")

    @given(
        cash=st.floats(-1e6, 1e6),
        values=st.dictionaries(st.sampled_from("ABCDE"), st.floats(-1e6, 1e6), max_size=5),
    )
    def test_what_is_left_is_covered_and_nothing_too_much_is_closed(
        self, cash: float, values: dict[str, float]
    ) -> None:
        """B15"""
        chosen = to_liquidate(cash, values, US)
        equity = cash + sum(values.values())
        rest = [value for symbol, value in values.items() if symbol not in chosen]
        room = 1e-6
        assert equity >= maintenance_requirement(rest, US) - room or set(chosen) == {
            symbol for symbol, value in values.items() if value
        }
        if chosen:
            assert equity < maintenance_requirement([*rest, values[chosen[-1]]], US) + room


@pytest.mark.parametrize(
    "wrong", [{"initial": 0.0}, {"initial": 0.2}, {"short_maintenance": 0.6}, {"maintenance": -0.1}]
)
def test_fractions_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="margin"):
        Margin(**wrong)
