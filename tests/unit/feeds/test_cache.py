"""The cache gives back what was put in, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from feeds.cache import BarCache, CachedBars, Series

MakeBars = Callable[..., pd.DataFrame]
SERIES = Series("binance", "BTC/USDT", "1m")


def cached(bars: pd.DataFrame) -> CachedBars:
    return CachedBars(bars, bars.index[0], bars.index[-1] + pd.Timedelta(minutes=1))


def test_bars_and_the_period_asked_for_come_back(tmp_path: Path, make_bars: MakeBars) -> None:
    """D6"""
    cache, bars = BarCache(tmp_path / "cache"), make_bars(30)
    assert cache.read(SERIES) == (None, "")
    cache.write(SERIES, cached(bars))
    found, complaint = cache.read(SERIES)
    assert found is not None
    assert complaint == ""
    pd.testing.assert_frame_equal(found.frame, bars, check_freq=False, check_exact=True)
    assert (found.start, found.until) == (cached(bars).start, cached(bars).until)
    assert [path.name for path in cache.path(SERIES).parent.iterdir()] == ["1m.parquet"]


def test_symbols_and_timeframes_never_share_a_file(tmp_path: Path) -> None:
    cache = BarCache(tmp_path)
    series = [
        Series(provider, symbol, timeframe)
        for provider in ("binance", "kraken")
        for symbol in ("BTC/USDT", "BTC_USDT", "BTC/USDT:USDT", "../BTC", "BTCUSDT")
        for timeframe in ("1m", "1M", "1d")
    ]
    paths = {str(cache.path(each)).lower() for each in series}
    assert len(paths) == len(series)
    assert all(cache.path(each).resolve().is_relative_to(tmp_path.resolve()) for each in series)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b"not parquet"),
        lambda path: pd.DataFrame({"a": [1]}).to_parquet(path),
    ],
    ids=["empty", "cut off", "text", "foreign"],
)
def test_a_damaged_file_is_told_not_raised(
    tmp_path: Path, make_bars: MakeBars, spoil: Callable[[Path], object]
) -> None:
    """D6"""
    cache = BarCache(tmp_path)
    cache.write(SERIES, cached(make_bars(30)))
    spoil(cache.path(SERIES))
    found, complaint = cache.read(SERIES)
    assert found is None
    assert complaint == "cache file damaged, fetched again"


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6"""
    cache, bars = BarCache(tmp_path), make_bars(30)
    cache.write(SERIES, cached(bars.iloc[:10]))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cache.write(SERIES, cached(bars))
    found, _ = cache.read(SERIES)
    assert found is not None
    assert len(found.frame) == 10
    assert [path.name for path in cache.path(SERIES).parent.iterdir()] == ["1m.parquet"]
