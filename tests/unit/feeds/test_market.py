"""`feeds.load`: one way in for frames, files, samples and providers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

import feeds
from core.config import DataSettings
from core.errors import ConfigError, DataError, DataGapError, DataQualityError, UnknownNameError

MakeBars = Callable[..., pd.DataFrame]


def test_sample_market_is_whole_and_needs_no_repair() -> None:
    market = feeds.load("sample:goog")
    frame = market.frames["GOOG"]
    assert len(frame) == market.info.bars == 1047
    assert market.report.untouched
    assert market.report.summary() == "1,047 bars; nothing had to be repaired"
    assert market.info.timeframe == "1d"
    assert market.info.symbols == ("GOOG",)
    assert market.info.source == "sample:goog (matplotlib goog.npz, GOOG daily)"
    assert market.info.start == datetime(2004, 8, 19, tzinfo=UTC)
    assert market.info.end == datetime(2008, 10, 14, tzinfo=UTC)
    assert frame.iloc[0].tolist() == [100.0, 104.06, 95.96, 100.34, 22351900.0]


def test_offline_the_sample_loads_as_ever() -> None:
    """D14"""
    assert feeds.load("sample:goog", offline=True).info == feeds.load("sample:goog").info


def test_a_frame_and_a_mapping_of_frames(make_bars: MakeBars) -> None:
    bars = make_bars(30, "D")
    assert list(feeds.load(bars).frames) == ["DATA"]
    assert list(feeds.load(bars, name="ABC").frames) == ["ABC"]
    market = feeds.load({"A": bars, "B": bars.iloc[:20]})
    assert [len(frame) for frame in market.frames.values()] == [30, 20]
    assert market.info.symbols == ("A", "B")
    assert market.info.bars == 50


def test_several_references_are_several_symbols(tmp_path: Path, make_bars: MakeBars) -> None:
    path = tmp_path / "abc.csv"
    make_bars(30, "D").to_csv(path)
    for ref in (f"sample:goog,csv:{path}", ["sample:goog", path]):
        market = feeds.load(ref)
        assert list(market.frames) == ["GOOG", "ABC"]
    with pytest.raises(DataError, match="two sources are called ABC"):
        feeds.load([path, path])
    with pytest.raises(ConfigError, match="one name for 2 symbols"):
        feeds.load(["sample:goog", path], name="X")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2008-10-10", "2008-10-13"),
        (date(2008, 10, 10), date(2008, 10, 13)),
        (datetime(2008, 10, 10, tzinfo=UTC), datetime(2008, 10, 13, tzinfo=UTC)),
    ],
)
def test_start_and_end_are_included(start: str, end: str) -> None:
    frame = feeds.load("sample:goog", start=start, end=end).frames["GOOG"]
    assert [f"{time:%m-%d}" for time in frame.index] == ["10-10", "10-13"]


def test_a_date_as_end_includes_its_whole_day_and_a_time_does_not(make_bars: MakeBars) -> None:
    bars = make_bars(48, "h")
    assert len(feeds.load(bars, end="2024-03-04").frames["DATA"]) == 24
    assert len(feeds.load(bars, end="2024-03-04 00:00").frames["DATA"]) == 1


def test_rows_are_counted_from_the_start_of_the_file(make_bars: MakeBars) -> None:
    """D1"""
    bars = make_bars(30, "D").astype(object)
    bars.iloc[20, 0] = "x"
    assert feeds.load(bars, start="2024-03-10").report.cells[0].row == 21


def test_settings_give_the_period_and_the_limit(make_bars: MakeBars) -> None:
    settings = DataSettings.model_validate({"start": "2008-10-10", "end": "2008-10-13", "max_gap_bars": 1})
    assert feeds.load("sample:goog", settings=settings).info.bars == 2
    bars = make_bars(60, start="2008-10-10")
    with pytest.raises(DataGapError):
        feeds.load(bars.drop(bars.index[5:7]), settings=settings)


@pytest.mark.parametrize(
    ("start", "end", "error"),
    [
        ("2030-01-01", None, DataQualityError),
        ("2008-01-02", "2008-01-01", ConfigError),
        ("someday", None, ConfigError),
    ],
)
def test_an_impossible_period_is_refused(start: str, end: str | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        feeds.load("sample:goog", start=start, end=end)


def test_adjusting_is_asked_for_in_the_reference_or_the_call(tmp_path: Path, make_bars: MakeBars) -> None:
    bars = make_bars(30, "D")
    path = tmp_path / "abc.csv"
    bars.assign(**{"Adj Close": bars["close"] / 2}).to_csv(path)
    halves = (bars["close"] / 2).tolist()
    assert feeds.load(f"csv:{path}").frames["ABC"]["close"].tolist() == bars["close"].tolist()
    for market in (feeds.load(f"csv:{path}?adjust=1"), feeds.load(path, adjust=True)):
        assert market.frames["ABC"]["close"].tolist() == pytest.approx(halves, rel=1e-12)
        assert "prices scaled by adjusted close / close" in market.info.notes


def test_refusals_name_the_symbol(make_bars: MakeBars) -> None:
    bars = make_bars(30, "D")
    for bad in (bars.drop(columns="close"), bars.iloc[::-1], bars.iloc[:0]):
        with pytest.raises(DataQualityError, match=r"^ABC: "):
            feeds.load({"ABC": bad})


def test_what_cannot_be_loaded_is_refused() -> None:
    with pytest.raises(DataError, match="cannot load data from int"):
        feeds.load(7)  # type: ignore[arg-type]
    with pytest.raises(DataQualityError, match="no symbols"):
        feeds.load({})
    with pytest.raises(UnknownNameError):
        feeds.load("nowhere:ABC")
    with pytest.raises(AttributeError):
        feeds.nothing  # noqa: B018
