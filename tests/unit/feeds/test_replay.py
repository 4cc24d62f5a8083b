"""History handed over bar by bar, paced or not."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from feeds.replay import Pacer, Replay


class Stopwatch:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def frame() -> pd.DataFrame:
    index = pd.date_range("2024-01-08 09:30", periods=3, freq="1min", tz="UTC", name="time")
    prices = {name: [1.0, 2.0, 3.0] for name in ("open", "high", "low", "close")}
    return pd.DataFrame({**prices, "volume": [10.0, 20.0, 30.0]}, index=index)


def test_without_a_pace_every_bar_is_due(frame: pd.DataFrame) -> None:
    source = Replay("X", frame)
    bars = [source.next() for _ in range(3)]
    assert [bar.close for bar in bars if bar] == [1.0, 2.0, 3.0]
    assert bars[0] is not None
    assert bars[0].time == datetime(2024, 1, 8, 9, 30, tzinfo=UTC)
    assert source.ended
    assert source.next() is None


def test_speed_60_is_a_minute_a_second(frame: pd.DataFrame) -> None:
    clock = Stopwatch()
    source = Replay("X", frame, pacer=Pacer(60.0, monotonic=clock))
    assert source.next() is not None
    assert source.next() is None
    assert source.seconds_to_next() == pytest.approx(1.0)
    clock.now += 0.999
    assert source.next() is None
    clock.now += 0.001
    bar = source.next()
    assert bar is not None
    assert bar.close == 2.0


def test_bars_seen_before_a_restart_do_not_wait(frame: pd.DataFrame) -> None:
    clock = Stopwatch()
    recovering = [True]
    source = Replay("X", frame, pacer=Pacer(1.0, hurry=lambda: recovering[0], monotonic=clock))
    assert source.next() is not None
    assert source.next() is not None
    recovering[0] = False
    assert source.next() is not None, "the pace starts here"
