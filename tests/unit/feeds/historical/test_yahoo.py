"""Frames in the shapes yfinance gives them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import feeds
from core.clock import SimulatedClock
from core.config import DataSettings
from core.errors import ProviderError, UnknownNameError
from feeds import market as market_module
from feeds.historical.yahoo import YahooProvider, to_frame

MakeBars = Callable[..., pd.DataFrame]


def download_shape(bars: pd.DataFrame, ticker: str = "AAPL", group_by: str = "column") -> pd.DataFrame:
    """As `yfinance.download` builds it: frames by ticker joined side by side, then price above ticker."""
    single = bars.rename(columns=str.title).assign(**{"Adj Close": bars["close"] * 0.9})
    single.index = pd.DatetimeIndex(single.index).tz_localize(None).rename("Date")
    table = pd.concat([single], axis=1, sort=True, keys=[ticker], names=["Ticker", "Price"])
    if group_by == "column":
        table.columns = table.columns.swaplevel(0, 1)
        table = table.sort_index(level=0, axis=1)
    return table


@pytest.mark.parametrize("group_by", ["column", "ticker"])
def test_default_two_level_frame_is_accepted(make_bars: MakeBars, group_by: str) -> None:
    """D9"""
    bars = make_bars(30, "B")
    frame = to_frame(download_shape(bars, group_by=group_by))
    assert list(frame.columns) == ["open", "high", "low", "close", "adj_close", "volume"]
    pd.testing.assert_frame_equal(frame.drop(columns="adj_close"), bars, check_freq=False)


@pytest.mark.parametrize("group_by", ["column", "ticker"])
def test_load_takes_the_frame_of_a_download_as_it_is(make_bars: MakeBars, group_by: str) -> None:
    """D9"""
    bars = make_bars(30, "B")
    market = feeds.load(download_shape(bars, group_by=group_by))
    assert list(market.frames) == ["AAPL"]
    pd.testing.assert_frame_equal(market.frames["AAPL"], bars, check_freq=False)


def test_daily_bars_keep_their_date_and_intraday_bars_their_moment(make_bars: MakeBars) -> None:
    bars = make_bars(5, "B")
    bars.index = pd.DatetimeIndex(bars.index).tz_localize(None).tz_localize("Asia/Tokyo")
    assert to_frame(bars).index[0].isoformat() == "2024-03-04T00:00:00+00:00"
    assert to_frame(bars, intraday=True).index[0].isoformat() == "2024-03-03T15:00:00+00:00"


def test_an_empty_frame_is_a_failure_with_the_reason_from_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    """D9"""

    def refused(*args: object, **options: object) -> pd.DataFrame:
        logging.getLogger("yfinance").error("['AAPL']: possibly delisted;\n no price data found")
        return pd.DataFrame()

    start = pd.Timestamp("2024-03-04", tz="UTC")
    with pytest.raises(ProviderError, match="possibly delisted; no price data found"):
        YahooProvider(refused).fetch("AAPL", "1d", start, start + pd.Timedelta(days=9))
    assert "delisted" not in "".join(capfd.readouterr())
    with pytest.raises(ProviderError, match="an empty answer"):
        YahooProvider(lambda *args, **options: None).fetch("AAPL", "1d", start, start + pd.Timedelta(days=9))


def test_a_timeframe_yahoo_lacks_is_refused() -> None:
    start = pd.Timestamp("2024-03-04", tz="UTC")
    with pytest.raises(UnknownNameError, match="known: 1m, 2m"):
        YahooProvider().fetch("AAPL", "7m", start, start)


def test_load_asks_yahoo_through_the_cache(
    make_bars: MakeBars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6, D9: also unadjusted and without its own actions; the second load asks nothing."""
    bars = make_bars(60, "B")
    asked: list[dict[str, object]] = []

    def download(ticker: str, **options: object) -> pd.DataFrame:
        asked.append({"ticker": ticker, **options})
        return download_shape(bars, ticker)

    monkeypatch.setattr(market_module, "provider_for", lambda reference, options: YahooProvider(download))
    settings = DataSettings.model_validate({"cache_dir": str(tmp_path / "cache")})
    now = SimulatedClock(bars.index[40].to_pydatetime(warn=False))
    for _ in range(2):
        market = feeds.load("yahoo:aapl", settings=settings, start="2024-03-04", clock=now)
    assert len(asked) == 1
    assert asked[0]["ticker"] == "AAPL"
    assert asked[0]["auto_adjust"] is False
    assert asked[0]["interval"] == "1d"
    assert market.info.source == "yahoo:AAPL:1d"
    assert market.info.notes[0] == "all 40 bars from the cache, nothing requested"
    pd.testing.assert_frame_equal(market.frames["AAPL"], bars.iloc[:40], check_freq=False)
    adjusted = feeds.load(
        "yahoo:AAPL:1d?adjust=1", settings=settings, start="2024-03-04", clock=now, offline=True
    )
    assert adjusted.frames["AAPL"]["close"].iloc[0] == pytest.approx(bars["close"].iloc[0] * 0.9, rel=1e-12)
    assert adjusted.info.notes[0].startswith("offline; used cached bars up to")
