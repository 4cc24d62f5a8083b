"""What holds for any market."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import DataQualityError
from feeds.clean import clean, validate

LIMIT = 5


@st.composite
def markets(draw: st.DrawFn, min_size: int = 12, max_size: int = 60) -> pd.DataFrame:
    """Valid one-minute bars of a random walk around 100."""
    size = draw(st.integers(min_size, max_size))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, size)))
    open_ = np.concatenate(([100.0], close[:-1])) * np.exp(random.normal(0, 0.002, size))
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * (1 + np.abs(random.normal(0, 0.003, size))),
            "low": np.minimum(open_, close) * (1 - np.abs(random.normal(0, 0.003, size))),
            "close": close,
            "volume": random.integers(0, 1000, size).astype("float64"),
        },
        index=pd.date_range("2024-03-04", periods=size, freq="min", tz="UTC", name="time").as_unit("ns"),
    )


@st.composite
def holed_markets(draw: st.DrawFn) -> pd.DataFrame:
    """Markets with missing rows, missing cells and zero prices, none of them in a run over the limit."""
    bars = draw(markets(min_size=30))
    kinds = draw(st.lists(st.sampled_from("..........rnz"), min_size=len(bars), max_size=len(bars)))
    run = 0
    keep = []
    for i, kind in enumerate(kinds):
        run = 0 if kind == "." else run + 1
        if i in {0, len(bars) - 1} or run > LIMIT:
            run = 0
            keep.append(i)
            continue
        if kind == "r":
            continue
        keep.append(i)
        if kind == "n":
            bars.iloc[i, draw(st.integers(0, 4))] = np.nan
        elif kind == "z":
            bars.iloc[i, draw(st.integers(0, 3))] = 0.0
    return bars.iloc[keep]


@given(markets())
def test_cleaning_never_changes_valid_bars(bars: pd.DataFrame) -> None:
    """D1 to D4"""
    cleaned, report = clean(bars)
    pd.testing.assert_frame_equal(cleaned, bars, check_freq=False, check_exact=True)
    assert report.untouched
    assert report.bars == report.rows == len(bars)


@given(holed_markets())
def test_what_was_cleaned_is_valid_and_stays_so(bars: pd.DataFrame) -> None:
    """D1 to D4: the result passes validation, has no hole, and cleaning it again does nothing."""
    cleaned, report = clean(bars, max_gap_bars=LIMIT, timeframe="1m")
    validate(cleaned)
    assert (np.diff(cleaned.index.asi8) == 60 * 10**9).all()
    assert len(cleaned) == len(bars) + report.inserted_bars
    again, second = clean(cleaned, max_gap_bars=LIMIT, timeframe="1m")
    pd.testing.assert_frame_equal(again, cleaned, check_exact=True)
    assert second.untouched


@given(holed_markets(), st.data())
def test_cutting_the_future_off_never_changes_the_past(bars: pd.DataFrame, data: st.DataObject) -> None:
    """D2"""
    rows = data.draw(st.integers(3, len(bars)))
    whole, _ = clean(bars, max_gap_bars=LIMIT, timeframe="1m")
    past, _ = clean(bars.iloc[:rows], max_gap_bars=LIMIT, timeframe="1m")
    pd.testing.assert_frame_equal(past, whole.iloc[: len(past)], check_exact=True)


@given(markets(), st.data())
def test_any_other_order_of_rows_is_refused(bars: pd.DataFrame, data: st.DataObject) -> None:
    """D4"""
    order = data.draw(st.permutations(range(len(bars))))
    assume(order != list(range(len(bars))))
    with pytest.raises(DataQualityError) as refused:
        clean(bars.iloc[order])
    assert refused.value.check == "unsorted-time"


@given(markets(), st.data())
def test_any_repeated_row_is_refused(bars: pd.DataFrame, data: st.DataObject) -> None:
    """D4"""
    row = data.draw(st.integers(0, len(bars) - 1))
    order = sorted([*range(len(bars)), row])
    with pytest.raises(DataQualityError) as refused:
        clean(bars.iloc[order])
    assert refused.value.check == "duplicate-time"


@given(markets(min_size=30), st.integers(1, 10), st.data())
def test_a_gap_is_filled_up_to_the_limit_and_refused_beyond(
    bars: pd.DataFrame, length: int, data: st.DataObject
) -> None:
    """D2"""
    first = data.draw(st.integers(1, len(bars) - length - 1))
    holed = bars.drop(bars.index[first : first + length])
    if length > LIMIT:
        with pytest.raises(DataQualityError) as refused:
            clean(holed, max_gap_bars=LIMIT)
        assert refused.value.check == "gap"
    else:
        cleaned, report = clean(holed, max_gap_bars=LIMIT)
        assert len(cleaned) == len(bars)
        assert report.inserted_bars == length
