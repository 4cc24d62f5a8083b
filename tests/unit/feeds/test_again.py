"""A frame that is given again gives the same market, and never an older one."""

import numpy as np
import pandas as pd
import pytest

from core.errors import DataError
from feeds import again
from feeds.again import load_again
from feeds.market import load


@pytest.fixture
def frame():
    index = pd.date_range("2024-01-01", periods=60, freq="D", tz="UTC")
    close = 100.0 + np.arange(60.0)
    columns = {"open": close, "high": close + 1.0, "low": close - 1.0, "close": close, "volume": 1.0}
    return pd.DataFrame(columns, index=index)


@pytest.fixture
def loads(monkeypatch):
    """How often a market was really loaded."""
    done = []
    monkeypatch.setattr(again, "_known", [])
    monkeypatch.setattr(again, "load", lambda *args, **named: done.append(args) or load(*args, **named))
    return done


def same(found, frame):
    wanted = load(frame)
    assert (found.info, found.report) == (wanted.info, wanted.report)
    for symbol, bars in wanted.frames.items():
        pd.testing.assert_frame_equal(found.frames[symbol], bars)


def test_the_same_frame_is_loaded_once(frame, loads):
    for _ in range(3):
        same(load_again(frame), frame)
    assert len(loads) == 1
    same(load_again({"A": frame, "B": frame}), {"A": frame, "B": frame})
    same(load_again({"B": frame, "A": frame}), {"B": frame, "A": frame})
    assert len(loads) == 3


def test_whoever_changes_what_was_loaded_changes_nothing_for_the_next(frame, loads):
    for _ in range(2):
        found = load_again(frame)
        found.frames["DATA"].iloc[3, 0] = 7.0
        found.info.quality["rows"] = 0
    same(load_again(frame), frame)
    assert len(loads) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.iloc.__setitem__((5, 3), 104.5),
        lambda frame: frame.iloc.__setitem__((5, 4), -0.0),
        lambda frame: setattr(frame, "index", frame.index + pd.Timedelta(days=1)),
        lambda frame: setattr(frame, "columns", ["open", "low", "high", "close", "volume"]),
        lambda frame: frame.__setitem__("volume", frame["volume"] * 2),
        lambda frame: frame.insert(0, "adj close", frame["close"]),
    ],
)
def test_a_change_is_seen(frame, loads, change):
    load_again(frame)
    change(frame)
    try:
        wanted = load(frame)
    except DataError:
        with pytest.raises(DataError):
            load_again(frame)
    else:
        found = load_again(frame)
        assert found.info == wanted.info
        for symbol, bars in wanted.frames.items():
            pd.testing.assert_frame_equal(found.frames[symbol], bars)
    assert len(loads) == 2


def test_frames_that_are_gone_are_not_mistaken_for_new_ones(frame, loads):
    for number in range(20):
        other = frame + number
        same(load_again(other), other)
    assert len(loads) == 20
    assert len(again._known) == again.MOST


def test_all_else_is_loaded_as_ever(frame, loads):
    texts = frame.astype({"volume": object})
    for _ in range(2):
        same(load_again(texts), texts)
    assert len(loads) == 2
