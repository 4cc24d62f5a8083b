"""types, space and clock: the values packages exchange."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import types
from core.clock import SimulatedClock, WallClock, as_utc
from core.space import Choice, Float, Int
from core.types import OrderIntent, OrderStatus, OrderType, Side, to_decimal

NOON = datetime(2020, 1, 31, 12, tzinfo=UTC)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_the_way_to_decimal_and_back(value: float) -> None:
    assert float(to_decimal(value)) == value
    assert float(to_decimal(np.float64(value))) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (3, "3"),
        ("1.50", "1.50"),
        (Decimal("2.0"), "2.0"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
    ],
)
def test_to_decimal_takes_every_number_there_is(value: Any, text: str) -> None:
    assert str(to_decimal(value)) == text


def test_a_buy_is_plus_and_a_sell_is_minus() -> None:
    sell = OrderIntent("id", "X", Side.SELL, OrderType.MARKET, Decimal(3), Decimal(10), NOON, 0)
    assert (Side.BUY.sign, Side.SELL.sign, sell.signed_size) == (1, -1, Decimal(-3))


def test_terminal_statuses_are_those_after_which_nothing_happens() -> None:
    alive = {status for status in OrderStatus if not status.terminal}
    assert alive == {OrderStatus.INTENT, OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.PARTIAL}


def test_values_are_frozen_and_without_a_dict() -> None:
    for cls in vars(types).values():
        if isinstance(cls, type) and dataclasses.is_dataclass(cls):
            assert cls.__dataclass_params__.frozen, cls  # type: ignore[attr-defined]
            assert "__slots__" in vars(cls), cls


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, True), (15, True), (20, False), (10, True), (6, False), (4, False), (5.0, False), (True, False),
     ("5", False), (np.int64(10), True)],
)  # fmt: skip
def test_int_contains_its_grid(value: Any, expected: bool) -> None:
    assert Int(5, 19, step=5).contains(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.1, True), (1, True), (1.01, False), (float("nan"), False), (True, False), ("0.5", False),
     (np.float32(0.5), True), (None, False)],
)  # fmt: skip
def test_float_contains_its_range(value: Any, expected: bool) -> None:
    assert Float(0.1, 1.0).contains(value) is expected


def test_choice_and_the_words_of_each() -> None:
    assert Choice(("sma", "ema")).contains("ema")
    assert not Choice(("sma", "ema")).contains("wma")
    assert Choice(("sma", "ema")).describe() == "one of sma, ema"
    assert Int(5, 50).describe() == "a whole number from 5 to 50"
    assert Int(5, 50, 5).describe() == "a whole number from 5 to 50 in steps of 5"
    assert Float(0.1, 2).describe() == "a number from 0.1 to 2"


@pytest.mark.parametrize(
    "wrong",
    [lambda: Int(5, 4), lambda: Int(1, 2, step=0), lambda: Float(2, 1), lambda: Float(float("nan"), 1),
     lambda: Float(0, 1, log=True), lambda: Choice(())],
)  # fmt: skip
def test_an_empty_dimension_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"need|above zero"):
        wrong()


def test_a_simulated_clock_never_goes_back() -> None:
    clock = SimulatedClock(NOON.replace(tzinfo=None))
    assert clock.now() == NOON
    clock.advance_to(NOON + timedelta(hours=1))
    clock.advance_to(NOON)
    assert clock.now() == NOON + timedelta(hours=1)


def test_times_are_aware_and_utc() -> None:
    east = timezone(timedelta(hours=5))
    assert WallClock().now().tzinfo is UTC
    assert as_utc(NOON.astimezone(east)) == NOON
    assert as_utc(NOON.astimezone(east)).tzinfo is UTC


def test_the_vocabulary_loads_nothing_heavy() -> None:
    """`import core` and its light modules: under half a second, no pandas, no Backtrader, no pydantic."""
    code = (
        "import sys, core, core.types, core.results, core.space, core.clock, core.errors, core.cli;"
        "print([m for m in ('pandas', 'numpy', 'backtrader', 'pydantic', 'structlog', 'rich') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
