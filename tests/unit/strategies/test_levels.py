"""S2: levels come from completed sessions only, in the market's own time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import StrategyError
from strategies.levels import SessionCalendar, SessionLevels

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize("first", [date(2024, 3, 8), date(2024, 11, 1)])
def test_sessions_follow_the_market_s_clock_over_a_change_of_clocks(first: date) -> None:
    """S2: half-hour bars, sessions rolling at 18:00 New York; in UTC that is 23:00, then 22:00 (or back)."""
    calendar = SessionCalendar("America/New_York", time(18, 0))
    levels = SessionLevels(calendar, 1)
    moment = datetime.combine(first, time(18, 0), NEW_YORK).astimezone(UTC)
    seen: dict[date, list[datetime]] = {}
    for _ in range(48 * 5):
        day = calendar.session(moment)
        seen.setdefault(day, []).append(moment)
        ordinal = float(day.toordinal())
        levels.add(moment, ordinal + 1, ordinal - 1, ordinal)
        known = levels.levels()
        if known is not None:
            assert known.previous_day_high == (day - timedelta(days=1)).toordinal() + 1
        moment += timedelta(minutes=30)
    days = sorted(seen)[:-1]
    assert [seen[day][0].astimezone(NEW_YORK).time() for day in days] == [time(18, 0)] * len(days)
    assert len({seen[day][0].time() for day in days}) == 2, "the change of clocks is not in the test"
    assert {len(seen[day]) for day in days} == {48, 46 if first.month == 3 else 50}


def test_the_session_under_way_never_enters_a_level() -> None:
    """S2"""
    levels = SessionLevels(SessionCalendar(), 2)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for hour, high in enumerate([10, 12, 11, 20, 21, 19, 30, 99]):
        levels.add(start + timedelta(hours=8 * hour), high, high - 5, high - 1)
    known = levels.levels()
    assert known is not None
    assert (known.previous_day_high, known.previous_day_low, known.previous_day_close) == (21, 14, 18)
    assert (known.resistance, known.support) == (21, 5)
    assert known.pivot == pytest.approx((21 + 14 + 18) / 3)


@given(
    bars=st.lists(st.tuples(st.floats(1, 9), st.floats(1, 9)), min_size=4, max_size=40),
    cut=st.integers(3, 40),
)
def test_cutting_off_the_future_never_changes_a_level(bars: list[tuple[float, float]], cut: int) -> None:
    """S2: and the bar itself is future until its session is complete."""

    def last(rows: list[tuple[float, float]]) -> object:
        levels = SessionLevels(SessionCalendar(), 3)
        for number, (a, b) in enumerate(rows):
            levels.add(datetime(2024, 1, 1) + timedelta(days=number), max(a, b), min(a, b), a)
        return levels.levels()

    head = bars[:cut]
    changed = [*head[:-1], (head[-1][0] + 50, head[-1][1])]
    assert last(head) == last(changed)


def test_on_daily_bars_the_previous_day_is_the_previous_bar() -> None:
    levels = SessionLevels(SessionCalendar(), 1)
    for number, high in enumerate([10.0, 20.0, 30.0]):
        levels.add(datetime(2024, 1, 1) + timedelta(days=number), high, 1, 2)
    known = levels.levels()
    assert known is not None
    assert known.previous_day_high == 20


def test_a_session_that_begins_in_the_morning_bears_its_own_date() -> None:
    calendar = SessionCalendar("UTC", time(4, 0))
    assert calendar.session(datetime(2024, 1, 2, 3, 59)) == date(2024, 1, 1)
    assert calendar.session(datetime(2024, 1, 2, 4, 0)) == date(2024, 1, 2)


def test_a_wrong_zone_or_lookback_is_refused() -> None:
    with pytest.raises(StrategyError, match="time zone"):
        SessionCalendar("America/New_Yrok")
    with pytest.raises(StrategyError):
        SessionLevels(SessionCalendar(), 0)
