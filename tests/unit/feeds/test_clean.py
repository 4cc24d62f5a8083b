"""Cleaning mends what it may, lists it, and refuses the rest by name."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from core.errors import DataGapError, DataQualityError
from feeds.clean import clean, validate

MakeBars = Callable[..., pd.DataFrame]


def test_text_decimal_and_none_become_float64_over_utc(make_bars: MakeBars) -> None:
    """D1"""
    bars = make_bars(20, "D", tz=None).astype(object)
    bars["open"] = [str(value) for value in bars["open"]]
    bars["close"] = [Decimal(str(value)) for value in bars["close"]]
    bars.iloc[3, bars.columns.get_loc("high")] = None
    bars.iloc[5, bars.columns.get_loc("volume")] = None
    cleaned, report = clean(bars)
    assert set(cleaned.dtypes.astype(str)) == {"float64"}
    assert str(pd.DatetimeIndex(cleaned.index).tz) == "UTC"
    assert cleaned["close"].tolist() == make_bars(20, "D")["close"].tolist()
    assert report.cells == ()
    assert report.filled_values == 1
    assert report.missing_volumes == 1
    assert cleaned["volume"].iloc[5] == 0


def test_pandas_na_counts_as_missing(make_bars: MakeBars) -> None:
    """D1"""
    bars = make_bars(20, "D").astype("Float64")
    bars.iloc[4, bars.columns.get_loc("close")] = pd.NA
    cleaned, report = clean(bars)
    assert report.filled_values == 1
    assert cleaned["close"].notna().all()


def test_unreadable_cells_are_listed_with_row_and_column(make_bars: MakeBars) -> None:
    """D1"""
    bars = make_bars(20, "D").astype(object)
    bars.iloc[7, bars.columns.get_loc("low")] = "n/a?"
    bars.iloc[2, bars.columns.get_loc("volume")] = "lots"
    _, report = clean(bars, symbol="ABC")
    found = {(cell.symbol, cell.row, cell.column, cell.value) for cell in report.cells}
    assert found == {("ABC", 8, "low", "n/a?"), ("ABC", 3, "volume", "lots")}
    assert report.as_dict()["unreadable_cells"] == 2
    assert "2 cells not a number" in report.summary()


@pytest.mark.parametrize("length", [1, 5])
def test_gap_up_to_the_limit_is_filled_and_flagged(make_bars: MakeBars, length: int) -> None:
    """D2"""
    bars = make_bars(100)
    lost = bars.index[40 : 40 + length]
    cleaned, report = clean(bars.drop(lost), max_gap_bars=5)
    assert list(report.filled_times) == [time.to_pydatetime() for time in lost]
    assert report.inserted_bars == length
    assert len(cleaned) == 100
    assert (cleaned.loc[lost, ["open", "high", "low", "close"]] == bars["close"].iloc[39]).all(axis=None)
    pd.testing.assert_frame_equal(cleaned.drop(lost), bars.drop(lost), check_freq=False)


def test_gap_longer_than_limit_is_refused(make_bars: MakeBars) -> None:
    """D2"""
    bars = make_bars(100)
    with pytest.raises(DataGapError) as refused:
        clean(bars.drop(bars.index[40:46]), symbol="ABC", max_gap_bars=5)
    assert refused.value.check == "gap"
    assert refused.value.message == (
        "ABC: 6 bars are missing between 2024-03-04 00:39:00 and 2024-03-04 00:46:00, limit 5"
    )
    assert "max_gap_bars=6" in refused.value.hint


def test_runs_without_trades_are_left_open_and_noted(make_bars: MakeBars) -> None:
    """D2: in a thin market, three of ten minutes without a bar, a run of seven is chance and not lost data."""
    bars = make_bars(1000)
    traded = np.random.default_rng(3).random(1000) > 0.3
    traded[490:510] = [True] * 5 + [False] * 7 + [True] * 8
    cleaned, report = clean(bars[traded])
    assert report.closures >= 1
    assert "left open: this source sends no bar without trades" in report.notes[0]
    assert bars.index[497] not in cleaned.index
    assert report.inserted_bars > 100


def test_volume_is_never_carried_forward(make_bars: MakeBars) -> None:
    """D2"""
    bars = make_bars(100)
    lost = bars.index[[40, 41, 60]]
    holed = bars.drop(lost[:2])
    holed.loc[lost[2]] = np.nan
    cleaned, report = clean(holed)
    assert (cleaned.loc[lost, "volume"] == 0).all()
    assert report.missing_volumes == 1


def test_missing_values_up_to_the_limit_are_filled_and_longer_runs_refused(make_bars: MakeBars) -> None:
    """D2"""
    bars = make_bars(100)
    bars.iloc[10:15, :4] = np.nan
    cleaned, report = clean(bars, max_gap_bars=5)
    assert (cleaned["close"].iloc[10:15] == bars["close"].iloc[9]).all()
    assert len(report.filled_times) == 5
    with pytest.raises(DataGapError, match="5 bars in a row"):
        clean(bars, max_gap_bars=4)


def test_a_filled_price_stays_within_what_its_bar_tells(make_bars: MakeBars) -> None:
    """D2: the close before may lie outside the bar; known cells are never changed."""
    bars = make_bars(20, "D")
    bars.iloc[10] = [np.nan, 120.0, 110.0, 115.0, 7.0]
    bars.iloc[11] = [112.0, np.nan, np.nan, 118.0, 7.0]
    cleaned, _ = clean(bars)
    assert cleaned.iloc[10].tolist() == [110.0, 120.0, 110.0, 115.0, 7.0]
    assert cleaned.iloc[11].tolist() == [112.0, 118.0, 112.0, 118.0, 7.0]


def test_missing_prices_in_the_first_row_have_nothing_to_be_filled_from(make_bars: MakeBars) -> None:
    """D4"""
    bars = make_bars(20, "D")
    bars.iloc[0, 0] = np.nan
    with pytest.raises(DataQualityError) as refused:
        clean(bars)
    assert refused.value.check == "nan"


def test_zero_prices_are_filled_and_counted_and_zero_volume_is_kept(make_bars: MakeBars) -> None:
    """D3"""
    bars = make_bars(20, "D")
    bars.iloc[6, :4] = 0.0
    bars.iloc[9, bars.columns.get_loc("low")] = 0.0
    bars.iloc[12, bars.columns.get_loc("volume")] = 0.0
    cleaned, report = clean(bars)
    assert report.zero_prices == 5
    assert len(report.filled_times) == 2
    assert cleaned["close"].iloc[6] == bars["close"].iloc[5]
    assert cleaned["volume"].iloc[6] == bars["volume"].iloc[6]
    assert cleaned["volume"].iloc[12] == 0
    assert report.missing_volumes == 0


def spoil(bars: pd.DataFrame, row: int, column: str, value: float) -> pd.DataFrame:
    bars.iloc[row, bars.columns.get_loc(column)] = value
    return bars


SPOILED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "empty": lambda bars: bars.iloc[:0],
    "missing-column": lambda bars: bars.drop(columns="low"),
    "high-low": lambda bars: spoil(bars, 5, "high", 1.0),
    "high-below-body": lambda bars: spoil(
        bars, 5, "high", float(bars[["open", "close"]].iloc[5].max()) - 0.01
    ),
    "low-above-body": lambda bars: spoil(bars, 5, "low", float(bars[["open", "close"]].iloc[5].min()) + 0.01),
    "negative-price": lambda bars: spoil(bars, 5, "low", -1.0),
    "negative-volume": lambda bars: spoil(bars, 5, "volume", -1.0),
    "infinite": lambda bars: spoil(bars, 5, "high", np.inf),
    "duplicate-time": lambda bars: bars.iloc[[0, 1, 2, 2, 3]],
    "unsorted-time": lambda bars: bars.iloc[[0, 1, 3, 2, 4]],
}


@pytest.mark.parametrize("check", SPOILED)
def test_each_check_refuses_by_its_name(make_bars: MakeBars, check: str) -> None:
    """D4"""
    bars = SPOILED[check](make_bars(30, "D"))
    for function in (clean, validate):
        with pytest.raises(DataQualityError) as refused:
            function(bars, symbol="ABC")
        assert refused.value.check == check
        assert refused.value.exit_code == 2
        assert refused.value.hint
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("check", "value"), [("nan", np.nan), ("zero-price", 0.0)])
def test_validation_alone_fills_nothing(make_bars: MakeBars, check: str, value: float) -> None:
    """D4"""
    bars = spoil(make_bars(30, "D"), 5, "close", value)
    with pytest.raises(DataQualityError) as refused:
        validate(bars)
    assert refused.value.check == check


def test_a_refusal_says_what_where_and_how_often(make_bars: MakeBars) -> None:
    """D4"""
    bars = make_bars(30, "D")
    bars.iloc[5:8, bars.columns.get_loc("low")] = -2.0
    with pytest.raises(
        DataQualityError, match=r"ABC: low is negative in 3 rows, first in row 6 at 2024-03-09"
    ):
        clean(bars, symbol="ABC")


def test_rounding_of_a_vendor_is_no_error(make_bars: MakeBars) -> None:
    bars = make_bars(30, "D")
    bars.iloc[5, bars.columns.get_loc("high")] = bars[["open", "close"]].iloc[5].max() * (1 - 1e-12)
    cleaned, _ = clean(bars)
    pd.testing.assert_frame_equal(cleaned, bars, check_freq=False)


def test_a_timeframe_longer_than_the_bars_is_refused(make_bars: MakeBars) -> None:
    with pytest.raises(DataQualityError, match="the bars are 1m apart, not 1h"):
        clean(make_bars(30), timeframe="1h")


def test_the_frame_passed_in_is_left_alone(make_bars: MakeBars) -> None:
    bars = make_bars(30, "D")
    bars.iloc[3, :4] = 0.0
    before = bars.copy()
    clean(bars)
    pd.testing.assert_frame_equal(bars, before)
