from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.slippage import (
    ROUNDING,
    Fraction,
    PerUnit,
    SquareRoot,
    Volatility,
    VolumeShare,
    bounded,
    check_slippage,
    fillable,
    quoted_spreads,
    share_of,
    worse,
)
from core.errors import ConfigError

LAST_BITS = 1e-12
"""Room for the rounding of a few products."""


@pytest.mark.parametrize(
    ("model", "offset"),
    [
        (Fraction(0.002), 0.1),  # 50 x 0.002
        (PerUnit(0.03), 0.03),
        (VolumeShare(0.1), 0.2),  # 50 x 0.1 x 0.2 ** 2
        (SquareRoot(0.5), 0.5 * 2.0 * 0.4472135954999579),  # 0.5 x 2 x sqrt(0.2)
        (Volatility(0.1), 0.2),  # 0.1 x 2
    ],
)
def test_each_model_by_hand(model: Fraction, offset: float) -> None:
    """B14: a price of 50, a fifth of the bar's volume, a true range of 2."""
    assert model.offset(50.0, 0.2, 2.0) == pytest.approx(offset, rel=LAST_BITS)


def test_slippage_goes_against_the_order_and_never_below_nothing() -> None:
    assert worse(True, 10.0, 0.5) == 10.5
    assert worse(False, 10.0, 0.5) == 9.5
    assert worse(False, 10.0, 12.0) == 0.0


@pytest.mark.parametrize(
    ("buy", "price", "limit", "beyond", "expected"),
    [
        (True, 10.4, None, False, 10.4),
        (True, 11.7, None, False, 11.0),  # the high
        (True, 11.7, None, True, 11.7),
        (True, 11.7, 10.2, False, 10.2),
        (True, 11.7, 10.2, True, 10.2),  # a limit holds even beyond the bar
        (False, 9.6, None, False, 9.6),
        (False, 8.0, None, False, 9.0),  # the low
        (False, 8.0, 9.9, True, 9.9),
    ],
)
def test_bounds(buy: bool, price: float, limit: float | None, beyond: bool, expected: float) -> None:
    """B14: a bar from 9 to 11, at 10 without slippage."""
    assert bounded(buy, price, 10.0, low=9.0, high=11.0, limit=limit, beyond=beyond) == expected


def test_a_price_that_a_bar_of_bad_data_does_not_hold_is_not_made_better() -> None:
    assert bounded(True, 10.5, 10.0, low=8.0, high=9.0, limit=None, beyond=False) == 10.0
    assert bounded(False, 9.5, 10.0, low=11.0, high=12.0, limit=None, beyond=False) == 10.0


@pytest.mark.parametrize(
    ("wanted", "volume", "share", "used", "filled"),
    [
        (300.0, 1000.0, 0.1, 0.0, 100.0),
        (-300.0, 1000.0, 0.1, 0.0, -100.0),
        (300.0, 1000.0, 0.1, 60.0, 40.0),
        (300.0, 1000.0, 0.1, 100.0, 0.0),
        (30.0, 1000.0, 0.1, 0.0, 30.0),
        (300.0, 1009.0, 0.1, 0.0, 100.0),  # whole units: 100.9 are 100
        (300.5, 1009.0, 0.1, 0.0, 100.9),
        (50.0, 100.0, 0.29, 0.0, 29.0),  # 100 x 0.29 is 28.999999999999996
        (50.0, 5.0, 0.1, 0.0, 0.0),  # half a unit is none
        (50.0, 0.0, 0.1, 0.0, 0.0),
        (50.0, math.nan, 0.1, 0.0, 0.0),
        (50.0, math.nan, None, 0.0, 50.0),
    ],
)
def test_what_a_bar_takes(
    wanted: float, volume: float, share: float | None, used: float, filled: float
) -> None:
    """B14"""
    assert fillable(wanted, volume, share, used) == pytest.approx(filled, rel=LAST_BITS)


def test_the_share_counts_what_filled_before_in_the_bar() -> None:
    assert share_of(-50.0, 1000.0, 150.0) == 0.2
    assert share_of(2000.0, 1000.0, 0.0) == 1.0
    assert share_of(1.0, 0.0, 0.0) == 1.0


sizes = st.one_of(st.integers(-5000, 5000).map(float), st.floats(-5000, 5000)).filter(bool)


@given(wanted=st.lists(sizes, min_size=1, max_size=8), volume=st.floats(0, 1e5), share=st.floats(0.001, 1.0))
def test_fills_of_a_bar_are_never_beyond_the_share(wanted: list[float], volume: float, share: float) -> None:
    """B14"""
    used = 0.0
    for size in wanted:
        filled = fillable(size, volume, share, used)
        assert abs(filled) <= abs(size)
        assert filled * size >= 0
        if size.is_integer():
            assert filled.is_integer()
        used += abs(filled)
    assert used <= volume * share + ROUNDING * (1 + volume)


prices = st.floats(0.01, 1e5)


@given(
    buy=st.booleans(),
    ideal=prices,
    better=st.floats(0, 1e4),
    offset=st.floats(0, 1e4),
    reach=st.floats(0, 100),
    beyond=st.booleans(),
)
def test_a_limit_order_is_never_filled_worse_than_its_limit(
    buy: bool, ideal: float, better: float, offset: float, reach: float, beyond: bool
) -> None:
    """B14"""
    limit = ideal + better if buy else max(ideal - better, 0.0)
    price = bounded(
        buy,
        worse(buy, ideal, offset),
        ideal,
        low=ideal - reach,
        high=ideal + reach,
        limit=limit,
        beyond=beyond,
    )
    assert price <= limit if buy else price >= limit
    assert price >= ideal if buy else price <= ideal
    if not beyond:
        assert ideal - reach <= price <= ideal + reach


def test_spreads_out_of_bids_and_asks() -> None:
    times = pd.date_range("2024-01-01", periods=3, tz="UTC")
    frame = pd.DataFrame({"bid": [99.0, 10.0, None], "ask": [101.0, 10.0, 11.0]}, times)
    spreads = quoted_spreads(frame)
    assert list(spreads) == [0.02, 0.0]  # 2 of a middle of 100
    with pytest.raises(ConfigError, match="no bid and ask"):
        quoted_spreads(frame[["bid"]])
    with pytest.raises(ConfigError, match="below the bid"):
        quoted_spreads(frame.rename(columns={"bid": "ask", "ask": "bid"}))


@pytest.mark.parametrize(
    "model", [Fraction(-0.1), Fraction(1.0), Fraction(math.nan), PerUnit(-1.0), Volatility(1.0, bars=0)]
)
def test_numbers_without_sense_are_refused(model: Fraction) -> None:
    with pytest.raises(ConfigError, match="slippage"):
        check_slippage(model)
