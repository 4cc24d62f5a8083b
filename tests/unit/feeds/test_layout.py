"""Whatever the world calls its columns and however it writes its times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from core.errors import DataError, DataQualityError
from feeds.layout import arrange, parse_times, split_symbols

MakeBars = Callable[..., pd.DataFrame]
EXPECTED = pd.DatetimeIndex(["2024-01-31 09:30", "2024-02-01 10:00"], tz="UTC")
SECONDS = [1706693400, 1706781600]


@pytest.mark.parametrize(
    "values",
    [
        ["2024-01-31 09:30:00", "2024-02-01 10:00:00"],
        ["2024-01-31T09:30:00Z", "2024-02-01T10:00:00Z"],
        ["2024-01-31 04:30:00-05:00", "2024-02-01 12:00:00+02:00"],
        ["2024.01.31 09:30", "2024.02.01 10:00"],
        ["31/01/2024 09:30", "01/02/2024 10:00"],
        ["01/31/2024 09:30", "02/01/2024 10:00"],
        ["31.01.2024 09:30", "01.02.2024 10:00"],
        ["31-01-2024 09:30", "01-02-2024 10:00"],
        ["Jan 31, 2024 09:30", "Feb 1, 2024 10:00"],
        SECONDS,
        [s + 0.0 for s in SECONDS],
        [s * 1000 for s in SECONDS],
        [str(s * 1000) for s in SECONDS],
        [s * 10**6 for s in SECONDS],
        [s * 10**9 for s in SECONDS],
    ],
    ids=str,
)
def test_times_are_read_however_they_are_written(values: list[object]) -> None:
    times = parse_times(pd.Series(values))
    aware = times.tz_localize("UTC") if times.tz is None else times
    assert list(aware) == list(EXPECTED)


def test_dates_as_one_number() -> None:
    assert list(parse_times(pd.Series([20240131, 20240201]))) == list(EXPECTED.normalize())


@pytest.mark.parametrize("values", [["01/02/2024", "02/02/2024"], ["13/02/2024", "02/13/2024"]])
def test_dates_that_may_be_day_or_month_first_are_refused(values: list[str]) -> None:
    with pytest.raises(DataQualityError) as refused:
        parse_times(pd.Series(values))
    assert refused.value.check == "time"
    assert "YYYY-MM-DD" in refused.value.hint


@pytest.mark.parametrize("values", [["2024-01-31", "yesterday"], [1, 2], [20240131, 20241301]])
def test_what_is_no_time_is_refused(values: list[object]) -> None:
    with pytest.raises(DataQualityError) as refused:
        parse_times(pd.Series(values))
    assert refused.value.check == "time"


@pytest.mark.parametrize(
    "names",
    [
        ["time", "open", "high", "low", "close", "volume"],
        ["Date", "Open", "High", "Low", "Close", "Volume"],
        ["TIMESTAMP", "OPEN", "HIGH", "LOW", "CLOSE", "VOL"],
        ["datetime", "o", "h", "l", "c", "v"],
        ["<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>"],
        ["Open time", "Open", "High", "Low", "Close", "Volume"],
        ["\ufeffdate", " open ", "high", "low", "Close/Last", "Volume"],
    ],
    ids=lambda names: names[0],
)
def test_columns_are_known_by_any_common_name(make_bars: MakeBars, names: list[str]) -> None:
    bars = make_bars(5, "D")
    table = bars.reset_index()
    table.columns = pd.Index(names)
    arranged = arrange(table)
    pd.testing.assert_frame_equal(arranged.frame, bars, check_freq=False)
    assert arranged.notes == []


def test_date_and_time_in_two_columns(make_bars: MakeBars) -> None:
    bars = make_bars(5)
    table = bars.reset_index(drop=True)
    table.insert(0, "<DATE>", [f"{time:%Y.%m.%d}" for time in bars.index])
    table.insert(1, "<TIME>", [f"{time:%H:%M:%S}" for time in bars.index])
    pd.testing.assert_frame_equal(arrange(table).frame, bars, check_freq=False)


def test_without_volume_it_is_zero_and_noted(make_bars: MakeBars) -> None:
    arranged = arrange(make_bars(5, "D").drop(columns="volume"))
    assert (arranged.frame["volume"] == 0).all()
    assert arranged.notes == ["no volume column: volume is 0"]


def test_times_without_a_zone_are_utc_and_that_is_noted(make_bars: MakeBars) -> None:
    arranged = arrange(make_bars(5, tz=None))
    assert list(arranged.frame.index) == list(make_bars(5).index)
    assert arranged.notes == ["times without a zone are taken as UTC"]
    assert arrange(make_bars(5, "D", tz=None)).notes == []


def test_a_zone_is_converted(make_bars: MakeBars) -> None:
    arranged = arrange(make_bars(5, tz="America/New_York"))
    assert arranged.frame.index[0] == pd.Timestamp("2024-03-04 05:00", tz="UTC")


def test_adjusted_close_is_applied_only_when_asked(make_bars: MakeBars) -> None:
    bars = make_bars(5, "D")
    table = bars.assign(**{"Adj Close": bars["close"] * 0.5})
    plain, adjusted = arrange(table), arrange(table, adjust=True)
    assert plain.frame["close"].tolist() == bars["close"].tolist()
    assert "not adjusted for dividends" in plain.notes[0]
    for name in ("open", "high", "low", "close"):
        assert np.allclose(adjusted.frame[name], bars[name] * 0.5, rtol=1e-15)
    assert adjusted.frame["volume"].tolist() == bars["volume"].tolist()


def test_an_adjusted_close_that_says_nothing_new_is_not_mentioned(make_bars: MakeBars) -> None:
    bars = make_bars(5, "D")
    assert arrange(bars.assign(adj_close=bars["close"])).notes == []


def test_an_unusable_adjusted_close_is_refused(make_bars: MakeBars) -> None:
    bars = make_bars(5, "D")
    table = bars.assign(adj_close=[np.nan, *bars["close"].iloc[1:]])
    with pytest.raises(DataError, match="row 1"):
        arrange(table, adjust=True)


def test_a_row_without_a_time_is_refused(make_bars: MakeBars) -> None:
    table = make_bars(5, "D").reset_index().astype({"time": str})
    table.loc[2, "time"] = ""
    with pytest.raises(DataQualityError, match="row 3 has no time"):
        arrange(table)


def test_no_prices_and_no_times_are_refused_by_name(make_bars: MakeBars) -> None:
    bars = make_bars(5, "D")
    for table in (bars.drop(columns=["open", "low"]), bars.reset_index(drop=True)):
        with pytest.raises(DataQualityError) as refused:
            arrange(table)
        assert refused.value.check == "missing-column"
    with pytest.raises(DataQualityError, match="no column open, low among: high, close, volume"):
        arrange(bars.drop(columns=["open", "low"]))


@pytest.mark.parametrize("symbols_first", [True, False])
def test_two_levels_of_columns_come_apart_whichever_is_first(
    make_bars: MakeBars, symbols_first: bool
) -> None:
    """D9: also when symbols are called like prices; C, LOW and OPEN are listed companies."""
    bars = make_bars(5, "D")
    table = pd.concat({"C": bars, "LOW": bars * 2, "OPEN": bars * 3}, axis=1)
    parts = split_symbols(table if symbols_first else table.swaplevel(axis=1))
    assert parts is not None
    assert list(parts) == ["C", "LOW", "OPEN"]
    assert parts["LOW"]["close"].tolist() == (bars["close"] * 2).tolist()
    assert split_symbols(bars) is None
