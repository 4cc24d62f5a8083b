"""What is lost data, and what is a night, a weekend or a holiday."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from core.errors import DataError
from feeds import spacing

MakeBars = Callable[..., pd.DataFrame]


def breaks(index: pd.DatetimeIndex, limit: int = 5) -> tuple[list[int], int]:
    """Lengths of the gaps, and the number of closures."""
    found = spacing.find_breaks(index, spacing.infer_step(index.as_unit("ns").asi8), limit)
    return [each.bars for each in found if not each.closure], sum(each.closure for each in found)


def sessions(days: pd.DatetimeIndex, first: str, last: str, freq: str) -> pd.DatetimeIndex:
    """Bars from `first` to `last` of each day, New York time, in UTC."""
    parts = [
        pd.date_range(f"{day:%Y-%m-%d} {first}", f"{day:%Y-%m-%d} {last}", freq=freq, tz="America/New_York")
        for day in days
    ]
    return pd.DatetimeIndex(
        np.concatenate([part.tz_convert("UTC").tz_localize(None) for part in parts]), tz="UTC"
    )


@pytest.mark.parametrize(
    ("freq", "name"),
    [
        ("min", "1m"),
        ("5min", "5m"),
        ("h", "1h"),
        ("4h", "4h"),
        ("D", "1d"),
        ("B", "1d"),
        ("W", "1w"),
        ("MS", "1M"),
    ],
)
def test_the_timeframe_is_the_commonest_distance(freq: str, name: str) -> None:
    index = pd.date_range("2020-01-01", periods=60, freq=freq, tz="UTC").as_unit("ns")
    assert spacing.name_timeframe(spacing.infer_step(index.asi8)) == name
    assert spacing.name_timeframe(spacing.parse_timeframe(name)) == name
    assert breaks(index) == ([], 0)


@pytest.mark.parametrize("text", ["", "h", "0h", "1x", "-1d", "1.5h", "1 h"])
def test_a_timeframe_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        spacing.parse_timeframe(text)


def test_ticks_have_no_timeframe() -> None:
    seconds = np.cumsum(np.random.default_rng(1).exponential(3.7, 500) * 1e9).astype("int64")
    assert spacing.infer_step(np.unique(seconds)) == 0


def test_holidays_of_a_daily_market_are_closures_and_a_fortnight_is_a_gap() -> None:
    days = pd.bdate_range("2001-01-01", "2001-12-31", tz="UTC")
    closed = pd.to_datetime(["2001-07-04", "2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14"], utc=True)
    assert breaks(days.difference(closed), limit=2) == ([], 2)
    fortnight = (days >= "2001-03-05") & (days < "2001-03-17")
    assert breaks(days[~fortnight]) == ([10], 0)


def test_daily_bars_of_a_market_that_never_closes_have_no_holidays() -> None:
    days = pd.date_range("2024-01-01", periods=120, freq="D", tz="UTC")
    assert breaks(days.delete([50, 51])) == ([2], 0)


def test_a_single_saturday_session_does_not_open_all_saturdays() -> None:
    days = pd.bdate_range("2024-01-01", "2024-06-28", tz="UTC")
    assert breaks(days.union(pd.to_datetime(["2024-01-20"], utc=True))) == ([], 0)


def test_nights_weekends_early_closes_and_holidays_of_a_stock_session_are_closures() -> None:
    days = pd.bdate_range("2024-06-17", "2024-07-12").difference(pd.to_datetime(["2024-06-19", "2024-07-04"]))
    index = sessions(days, "09:30", "15:59", "min")
    early = (index >= "2024-07-03 17:00") & (index < "2024-07-04")
    assert breaks(index[~early]) == ([], len(days) - 1)


def test_clock_change_does_not_make_gaps() -> None:
    days = pd.bdate_range("2024-02-19", "2024-03-29")
    assert breaks(sessions(days, "09:30", "15:30", "h")) == ([], len(days) - 1)


@pytest.mark.parametrize("zone", ["Europe/London", "Europe/Berlin", "America/New_York", "Asia/Tokyo"])
def test_daily_bars_at_local_midnight_have_no_gap_at_a_clock_change(zone: str) -> None:
    index = pd.date_range("2023-12-01", "2024-12-31", freq="D", tz=zone).tz_convert("UTC")
    assert breaks(index) == ([], 0)
    assert breaks(index.delete([150, 151])) == ([2], 0)


def test_lunch_break_is_a_closure() -> None:
    days = pd.bdate_range("2024-06-03", "2024-06-14")
    morning, afternoon = sessions(days, "09:00", "11:29", "min"), sessions(days, "12:30", "14:59", "min")
    assert breaks(morning.union(afternoon)) == ([], 2 * len(days) - 1)


def test_a_hole_inside_a_session_is_a_gap() -> None:
    days = pd.bdate_range("2024-06-03", "2024-06-14")
    index = sessions(days, "09:30", "15:59", "min")
    hole = (index >= "2024-06-06 15:00") & (index < "2024-06-06 15:40")
    gaps, closures = breaks(index[~hole])
    assert gaps == [40]
    assert closures == len(days) - 1


def test_two_sessions_are_enough_to_know_the_night() -> None:
    index = sessions(pd.DatetimeIndex(["2024-06-04", "2024-06-05"]), "09:30", "15:59", "min")
    assert breaks(index) == ([], 1)


def test_a_week_without_data_is_a_gap_in_an_intraday_market() -> None:
    days = pd.bdate_range("2024-06-03", "2024-07-26")
    lost = (days >= "2024-06-24") & (days <= "2024-07-01")
    gaps, _ = breaks(sessions(days[~lost], "09:30", "15:00", "30min"))
    assert len(gaps) == 1


def test_currency_weekend_and_christmas_are_closures_and_an_hour_is_a_gap() -> None:
    index = pd.date_range("2024-12-01 22:00", "2024-12-30 21:59", freq="min", tz="UTC")
    weekday, hour = index.day_of_week, index.hour
    shut = (weekday == 5) | ((weekday == 4) & (hour >= 22)) | ((weekday == 6) & (hour < 22))
    christmas = (index >= "2024-12-24 22:00") & (index < "2024-12-25 23:00")
    index = index[~(shut | christmas)]
    assert breaks(index) == ([], 5)
    hour_lost = (index >= "2024-12-11 03:00") & (index < "2024-12-11 04:00")
    assert breaks(index[~hour_lost]) == ([60], 5)


def test_a_single_currency_weekend_is_a_closure() -> None:
    """Too little to learn from, but Friday evening to Sunday evening is known well enough."""
    week = pd.date_range("2012-02-01", "2012-02-03 21:59", freq="1min", tz="UTC")
    sunday = pd.date_range("2012-02-05 22:01", "2012-02-05 23:59", freq="1min", tz="UTC")
    assert breaks(week.append(sunday)) == ([], 1)
    saturday = pd.date_range("2012-02-04 12:00", "2012-02-04 12:30", freq="1min", tz="UTC")
    assert len(breaks(week.append(saturday).append(sunday))[0]) == 2, "bars on a Saturday: it never closes"
    hole = pd.date_range("2012-02-01", "2012-02-02 03:59", freq="1min", tz="UTC")
    assert breaks(hole.append(week[week >= "2012-02-02 06:00"])) == ([120], 0)


def test_an_outage_of_a_market_that_never_closes_is_a_gap_however_long() -> None:
    index = pd.date_range("2024-03-01", periods=24 * 30, freq="h", tz="UTC")
    outage = (index >= "2024-03-12 05:00") & (index < "2024-03-13 01:00")
    assert breaks(index[~outage]) == ([20], 0)


def test_no_bar_where_nothing_was_traded_is_no_outage() -> None:
    """A thin market: three in ten minutes are empty. An outage in it still shows."""
    random = np.random.default_rng(7)
    whole = pd.date_range("2024-03-01", periods=3000, freq="min", tz="UTC")
    traded = random.random(len(whole)) > 0.3
    traded[1000:1008] = False
    traded[[0, 999, 1008, 2000, 2040]] = True
    gaps, closures = breaks(whole[traded])
    assert max(gaps) <= 5
    assert closures >= 1
    traded[2001:2040] = False
    assert max(breaks(whole[traded])[0]) == 39


def test_months_of_any_length_are_one_step() -> None:
    index = pd.date_range("2020-01-31", periods=36, freq="ME", tz="UTC")
    assert breaks(index) == ([], 0)
    assert breaks(index.delete(range(10, 20))) == ([10], 0)
