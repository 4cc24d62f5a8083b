"""The short way through loading gives what the long way gives, or leaves the bars to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from feeds.accept import accept
from feeds.clean import clean
from feeds.layout import arrange

LIMIT = 5


def bars(index: pd.DatetimeIndex, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, len(index))))
    opening = close * np.exp(random.normal(0.0, 0.01, len(index)))
    return pd.DataFrame(
        {
            "open": opening,
            "high": np.maximum(opening, close) * 1.001,
            "low": np.minimum(opening, close) * 0.999,
            "close": close,
            "volume": np.floor(random.uniform(0.0, 50.0, len(index))),
        },
        index=index,
    )


def long_way(frame: pd.DataFrame) -> tuple[pd.DataFrame, Any, tuple[str, ...]] | None:
    try:
        arranged = arrange(frame)
        cleaned, report = clean(arranged.frame, max_gap_bars=LIMIT)
    except DataError:
        return None
    return cleaned, report, (*arranged.notes, *report.notes)


def assert_same(frame: pd.DataFrame) -> bool:
    """Whether the short way was taken; if so, with the outcome of the long one."""
    before = frame.copy()
    found, expected = accept(frame, LIMIT), long_way(frame)
    pd.testing.assert_frame_equal(frame, before, check_freq=False)
    if found is None:
        return False
    assert expected is not None
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True, check_freq=False)
    report = found[1]
    assert report.notes == expected[2]
    for name in (
        "rows",
        "bars",
        "zero_prices",
        "filled_values",
        "missing_volumes",
        "inserted_bars",
        "closures",
    ):
        assert getattr(report, name) == getattr(expected[1], name), name
    assert (report.cells, report.filled_times) == (expected[1].cells, expected[1].filled_times)
    return True


@pytest.mark.parametrize("frequency", ["1min", "1h", "1D", "B", "W", "MS", "QS", "30s"])
@pytest.mark.parametrize("zone", ["UTC", None, "America/New_York"])
def test_a_clean_frame_is_taken_as_it_is(frequency: str, zone: str | None) -> None:
    index = pd.date_range("2021-01-04", periods=300 if frequency != "QS" else 60, freq=frequency, tz=zone)
    assert assert_same(bars(index)) or zone == "America/New_York"


def test_the_columns_may_stand_in_any_order_and_case() -> None:
    frame = bars(pd.date_range("2021-01-04", periods=50, freq="1h", tz="UTC"))
    assert assert_same(
        frame[["Volume".lower(), "close", "high", "low", "open"]].rename(columns=str.capitalize)
    )


def test_the_bars_are_a_copy() -> None:
    frame = bars(pd.date_range("2021-01-04", periods=50, freq="1h", tz="UTC"))
    found = accept(frame, LIMIT)
    assert found is not None
    frame.iloc[3, 0] = 1.0
    assert found[0].iloc[3, 0] != 1.0


def spoil(frame: pd.DataFrame, how: str, row: int) -> pd.DataFrame:
    frame = frame.copy()
    place = {name: number for number, name in enumerate(frame.columns)}
    if how in ("nan", "zero", "negative", "infinite"):
        value = {"nan": np.nan, "zero": 0.0, "negative": -1.0, "infinite": np.inf}[how]
        frame.iloc[row, row % 5] = value
    elif how == "shape":
        frame.iloc[row, place["high"]] = frame.iloc[row, place["low"]] * 0.9
    elif how == "low":
        frame.iloc[row, place["low"]] = frame.iloc[row, place["high"]] * 1.1
    elif how == "missing":
        frame = frame.drop(frame.index[row])
    elif how == "twice":
        frame = pd.concat([frame, frame.iloc[[row]]]).sort_index()
    elif how == "unsorted":
        frame = frame.iloc[::-1]
    elif how == "whole":
        frame = frame.assign(volume=frame["volume"].astype("int64"))
    elif how == "text":
        frame = frame.assign(close=frame["close"].astype(str))
    elif how == "more":
        frame = frame.assign(trades=1.0)
    elif how == "no volume":
        frame = frame.drop(columns="volume")
    elif how == "rounded":
        frame.iloc[row, place["high"]] = max(
            frame.iloc[row, place["open"]], frame.iloc[row, place["close"]]
        ) * (1 - 5e-10)
    return frame


SPOILT = ("nan", "zero", "negative", "infinite", "shape", "low", "missing", "twice", "unsorted", "whole", "text",
          "more", "no volume", "rounded", "nothing")  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(
    how=st.sampled_from(SPOILT),
    frequency=st.sampled_from(["1min", "4h", "1D", "B", "W", "MS"]),
    start=st.sampled_from(["2021-01-04", "2021-03-05 09:30", "2020-02-29 23:59:30"]),
    zone=st.sampled_from(["UTC", None, "Asia/Tokyo"]),
    rows=st.integers(1, 60),
    row=st.integers(0, 59),
    seed=st.integers(0, 5),
)
def test_whatever_is_wrong_is_left_to_the_long_way(
    how: str, frequency: str, start: str, zone: str | None, rows: int, row: int, seed: int
) -> None:
    frame = bars(pd.date_range(start, periods=rows, freq=frequency, tz=zone), seed)
    assert_same(spoil(frame, how, row % rows))


@pytest.mark.parametrize("how", sorted(set(SPOILT) - {"rounded", "nothing", "whole", "nan", "zero"}))
def test_these_are_never_taken(how: str) -> None:
    frame = bars(pd.date_range("2021-01-04", periods=60, freq="1h", tz="UTC"))
    assert not assert_same(spoil(frame, how, 20))
