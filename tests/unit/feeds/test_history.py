"""What is asked of a provider, what comes from the cache, and what the notes say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from purgatory.domain import model as purgatory_model

from core.errors import DataError, DataQualityError, ProviderError, ProviderUnavailable
from feeds.cache import BarCache, Series
from feeds.history import breaker_of, fetch_from_any, fetch_history

MakeBars = Callable[..., pd.DataFrame]
SERIES = Series("fake", "ABC", "1h")


class FakeProvider:
    """Serves `bars`, also the one still open; counts and lists what it is asked for."""

    name = "fake"

    def __init__(self, bars: pd.DataFrame, *, revises: bool = False) -> None:
        self.bars = bars
        self.revises = revises
        self.down = False
        self.asked: list[tuple[str, str]] = []

    def fetch(self, symbol: str, timeframe: str, start: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
        self.asked.append((f"{start.ceil('h'):%m-%d %H}", f"{stop:%m-%d %H}"))
        if self.down:
            raise ProviderError("fake did not answer (refused)")
        return self.bars[(self.bars.index >= start) & (self.bars.index < stop + pd.Timedelta(hours=3))]


@pytest.fixture
def cache(tmp_path: Path) -> BarCache:
    return BarCache(tmp_path / "cache")


@pytest.fixture
def provider(make_bars: MakeBars) -> FakeProvider:
    return FakeProvider(make_bars(240, "h"))


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(f"2024-03-{text}", tz="UTC").as_unit("ns")


def get(
    provider: FakeProvider,
    cache: BarCache,
    now: str,
    start: str | None = "05",
    end: str | None = None,
    *,
    offline: bool = False,
) -> tuple[pd.DataFrame, str]:
    frame, notes = fetch_history(
        provider,
        SERIES,
        cache,
        start=at(start) if start else None,
        end=at(end) if end else None,
        now=at(now),
        offline=offline,
    )
    return frame, "; ".join(notes)


def test_second_run_requests_nothing_and_time_asks_for_the_tail_only(
    provider: FakeProvider, cache: BarCache
) -> None:
    """D6"""
    first, note = get(provider, cache, "06 12:30")
    assert note == "36 bars fetched from fake, 0 from the cache"
    second, note = get(provider, cache, "06 12:59")
    assert note == "all 36 bars from the cache, nothing requested"
    assert provider.asked == [("03-05 00", "03-06 12")]
    pd.testing.assert_frame_equal(first, second, check_freq=False)
    third, note = get(provider, cache, "06 15:10")
    assert note == "3 bars fetched from fake, 36 from the cache"
    assert provider.asked[1:] == [("03-06 12", "03-06 15")]
    pd.testing.assert_frame_equal(third, provider.bars.loc[at("05") : at("06 14:00")], check_freq=False)


def test_the_open_bar_is_dropped_and_never_cached(provider: FakeProvider, cache: BarCache) -> None:
    """D6, D8"""
    frame, _ = get(provider, cache, "06 12:30")
    assert frame.index[-1] == at("06 11:00")
    stored, _ = cache.read(SERIES)
    assert stored is not None
    assert stored.frame.index[-1] == at("06 11:00")
    assert get(provider, cache, "06 13:00")[0].index[-1] == at("06 12:00")


@pytest.mark.parametrize(("timeframe", "freq"), [("1w", "W-MON"), ("1M", "MS")])
def test_a_week_or_month_that_is_not_over_is_dropped(
    make_bars: MakeBars, cache: BarCache, timeframe: str, freq: str
) -> None:
    """D6, D8"""
    provider = FakeProvider(make_bars(20, freq, start="2024-01-01"))
    series = Series("fake", "ABC", timeframe)
    opened = provider.bars.index[10]
    for days, expected in ((5, 10), (32, 11)):
        now = opened + pd.Timedelta(days=min(days, 7) if timeframe == "1w" else days)
        frame, _ = fetch_history(provider, series, cache, start=provider.bars.index[0], end=None, now=now)
        assert len(frame) == expected


def test_an_earlier_start_asks_for_what_lies_before(provider: FakeProvider, cache: BarCache) -> None:
    """D6"""
    get(provider, cache, "06 12:00", start="06")
    frame, _ = get(provider, cache, "06 12:00", start="05")
    assert provider.asked[1:] == [("03-05 00", "03-06 00")]
    assert len(frame) == 36
    assert frame.index.is_monotonic_increasing
    assert frame.index.is_unique


def test_a_period_within_the_cache_is_cut_from_it(provider: FakeProvider, cache: BarCache) -> None:
    """D6"""
    get(provider, cache, "08 00:00")
    frame, _ = get(provider, cache, "09 00:00", start="06", end="06 05:00")
    assert len(provider.asked) == 1
    assert (frame.index[0], frame.index[-1]) == (at("06"), at("06 05:00"))


def test_without_a_start_the_cached_one_is_kept(provider: FakeProvider, cache: BarCache) -> None:
    get(provider, cache, "06 12:00", start="05")
    frame, _ = get(provider, cache, "06 13:00", start=None)
    assert frame.index[0] == at("05")
    assert provider.asked[1:] == [("03-06 12", "03-06 13")]


def test_a_quiet_period_is_not_asked_for_twice(provider: FakeProvider, cache: BarCache) -> None:
    """D6: no bar came for the last hours, and that is known."""
    provider.bars = provider.bars[provider.bars.index < at("06 05:00")]
    get(provider, cache, "06 12:00")
    get(provider, cache, "06 12:30")
    assert len(provider.asked) == 1


def test_a_damaged_cache_is_fetched_again_and_noted(provider: FakeProvider, cache: BarCache) -> None:
    """D6"""
    before, _ = get(provider, cache, "06 12:00")
    cache.path(SERIES).write_bytes(b"broken")
    after, note = get(provider, cache, "06 12:00")
    assert note.startswith("cache file damaged, fetched again; 36 bars fetched")
    pd.testing.assert_frame_equal(before, after, check_freq=False)
    assert get(provider, cache, "06 12:00")[1].startswith("all 36 bars from the cache")


def test_a_provider_that_fails_falls_back_to_the_cache_and_says_up_to_when(
    provider: FakeProvider, cache: BarCache
) -> None:
    """D14"""
    before, _ = get(provider, cache, "06 12:00")
    provider.down = True
    after, note = get(provider, cache, "09 12:00", start="04")
    assert note == (
        "fake did not answer (refused); used cached bars up to 2024-03-06 11:00:00, which begin only at 2024-03-05"
    )
    pd.testing.assert_frame_equal(before, after, check_freq=False)


def test_a_provider_that_fails_without_a_cache_is_an_error_with_a_hint(
    provider: FakeProvider, cache: BarCache
) -> None:
    """D14"""
    provider.down = True
    with pytest.raises(ProviderError, match="did not answer") as failed:
        get(provider, cache, "06 12:00")
    assert "sample:goog" in failed.value.hint


def test_offline_asks_nobody(provider: FakeProvider, cache: BarCache) -> None:
    """D14"""
    with pytest.raises(DataError, match="offline, and nothing is cached for fake:ABC:1h") as refused:
        get(provider, cache, "06 12:00", offline=True)
    assert "sample:goog" in refused.value.hint
    assert not cache.folder.exists()
    get(provider, cache, "06 12:00")
    frame, note = get(provider, cache, "09 12:00", offline=True)
    assert note == "offline; used cached bars up to 2024-03-06 11:00:00"
    assert len(frame) == 36
    assert len(provider.asked) == 1


def test_prices_adjusted_since_are_fetched_again_from_the_start(make_bars: MakeBars, cache: BarCache) -> None:
    """D6: a split halves the whole past; a cached half and a fresh half must not be joined."""
    provider = FakeProvider(make_bars(240, "h"), revises=True)
    get(provider, cache, "06 12:00")
    get(provider, cache, "06 13:00")
    assert provider.asked[1:] == [("03-06 11", "03-06 13")]
    provider.bars = provider.bars.assign(
        **{name: provider.bars[name] / 2 for name in ("open", "high", "low", "close")}
    )
    frame, note = get(provider, cache, "06 15:00")
    assert "fake adjusted past prices: fetched again from the start" in note
    pd.testing.assert_frame_equal(frame, provider.bars.loc[at("05") : at("06 14:00")], check_freq=False)


def test_a_period_without_bars_is_refused(provider: FakeProvider, cache: BarCache) -> None:
    with pytest.raises(DataQualityError, match="fake has no 1h bars in the period") as refused:
        get(provider, cache, "30 00:00", start="28")
    assert refused.value.check == "empty"


def test_a_cache_that_cannot_be_written_is_noted_and_does_without(
    provider: FakeProvider, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    frame, note = get(provider, BarCache(blocked / "cache"), "06 12:00")
    assert len(frame) == 36
    assert "cannot be written" in note


class Clock:
    """In place of the time that the breaker's library reads."""

    seconds = 1_000.0

    def time(self) -> float:
        return self.seconds


class Unwell(FakeProvider):
    """Answers 503 while it is down."""

    def __init__(self, name: str, bars: pd.DataFrame) -> None:
        super().__init__(bars)
        self.name = name

    def fetch(self, symbol: str, timeframe: str, start: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
        self.asked.append((f"{start:%m-%d %H}", f"{stop:%m-%d %H}"))
        if self.down:
            raise ProviderUnavailable(f"{self.name} did not answer (503)")
        return self.bars[(self.bars.index >= start) & (self.bars.index < stop)]


def from_any(providers: list[Unwell], cache: BarCache, now: str) -> tuple[str, str]:
    frame, notes, used = fetch_from_any(providers, "ABC", "1h", cache, start=at("05"), end=None, now=at(now))
    assert frame.index[-1] < at(now)
    return used.name, "; ".join(notes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    fake = Clock()
    monkeypatch.setattr(purgatory_model, "time", fake)
    breaker_of.cache_clear()
    yield fake
    breaker_of.cache_clear()


def test_the_next_provider_serves_until_the_first_has_cooled_down(
    make_bars: MakeBars, cache: BarCache, clock: Clock
) -> None:
    """D15: failures trip the breaker, the next one answers, and after the pause the first is asked again."""
    first, second = (Unwell(name, make_bars(240, "h")) for name in ("first", "second"))
    first.down = True
    for hour in (10, 11, 12):
        used, notes = from_any([first, second], cache, f"06 {hour}:00")
        assert used == "second"
        assert notes.startswith("first did not answer (503); ")
    assert len(first.asked) == 3
    used, notes = from_any([first, second], cache, "06 13:00")
    assert (used, len(first.asked)) == ("second", 3), "an open breaker asks nobody"
    assert notes.startswith("first failed 3 times in a row: not asked for 30 s; ")
    first.down = False
    clock.seconds += 31
    used, notes = from_any([first, second], cache, "06 14:00")
    assert (used, len(first.asked)) == ("first", 4)
    assert breaker_of("first").state == "closed"


def test_where_nobody_answers_the_cache_of_the_first_is_used(
    make_bars: MakeBars, cache: BarCache, clock: Clock
) -> None:
    """D14, D15"""
    first, second = (Unwell(name, make_bars(240, "h")) for name in ("first", "second"))
    from_any([first, second], cache, "06 10:00")
    first.down = second.down = True
    used, notes = from_any([first, second], cache, "06 12:00")
    assert used == "first"
    assert notes == (
        "first did not answer (503); second did not answer (503); offline; used cached bars up to 2024-03-06 09:00:00"
    )
    with pytest.raises(ProviderError, match="first did not answer"):
        fetch_from_any([first, second], "XYZ", "1h", cache, start=at("05"), end=None, now=at("06 12:00"))


def test_a_defect_is_not_taken_for_a_provider_that_fails(
    make_bars: MakeBars, cache: BarCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D15, P17"""
    first, second = (Unwell(name, make_bars(240, "h")) for name in ("first", "second"))

    def broken(*args: object) -> pd.DataFrame:
        raise DataError("bars out of order")

    monkeypatch.setattr(first, "fetch", broken)
    with pytest.raises(DataError, match="out of order"):
        from_any([first, second], cache, "06 10:00")
    assert second.asked == []
