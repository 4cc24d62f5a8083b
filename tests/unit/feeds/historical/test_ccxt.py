"""Paging, without an exchange; the real library over a real socket is in tests/integration."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.connect import ccxt_session
from core.errors import UnknownNameError
from feeds.historical.ccxt import Row, paginate, to_frame

STEP = 60_000


class Pages:
    """Bars at `times`; serves at most `cap` a call."""

    def __init__(self, times: list[int], cap: int) -> None:
        self.times, self.cap, self.calls = times, cap, 0

    def __call__(self, since: int, count: int) -> list[Row]:
        self.calls += 1
        return [(time, 1.0, 1.0, 1.0, 1.0, 0.0) for time in self.times if time >= since][
            : min(count, self.cap)
        ]


@given(st.integers(1, 5000), st.sampled_from([100, 300, 1000]))
def test_n_pages_take_ceil_n_calls(bars: int, limit: int) -> None:
    """D7"""
    pages = Pages([i * STEP for i in range(6000)], limit)
    found = list(paginate(pages, start=0, stop=bars * STEP, step=STEP, limit=limit))
    assert [row[0] for page in found for row in page] == [i * STEP for i in range(bars)]
    assert pages.calls == math.ceil(bars / limit)


@given(st.sets(st.integers(0, 999), max_size=200), st.integers(1, 50))
def test_holes_and_short_pages_lose_and_double_nothing(minutes: set[int], cap: int) -> None:
    """D7, D8"""
    times = [minute * STEP for minute in sorted(minutes)]
    found = list(paginate(Pages(times, cap), start=0, stop=1000 * STEP, step=STEP, limit=50))
    assert [row[0] for page in found for row in page] == times


def test_rows_become_float_columns_over_utc() -> None:
    """D8"""
    frame = to_frame([[1499040000000, 1, 3, 0.5, 2, 7]])
    assert frame.index[0].isoformat() == "2017-07-03T00:00:00+00:00"
    assert frame.iloc[0].tolist() == [1.0, 3.0, 0.5, 2.0, 7.0]
    assert len(to_frame([])) == 0


def test_a_session_keeps_the_rate_limit_and_repeats_nothing_by_default() -> None:
    """D7"""
    session = ccxt_session("binance")
    assert session.enableRateLimit
    assert session.options["maxRetriesOnFailure"] == 0
    with pytest.raises(UnknownNameError, match="did you mean binance"):
        ccxt_session("binanse")
