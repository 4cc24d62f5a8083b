"""Where a market is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from optimize.windows import LEAST, combinations, parse_length, windows

DAYS = pd.date_range("2004-01-01", periods=1047, freq="B", tz="UTC")


@given(
    bars=st.integers(100, 3000),
    count=st.integers(1, 12),
    anchored=st.booleans(),
    purge=st.integers(0, 5),
    embargo=st.integers(0, 5),
)
def test_a_search_ends_before_its_test_begins(
    bars: int, count: int, anchored: bool, purge: int, embargo: int
) -> None:
    index = pd.date_range("2000-01-01", periods=bars, freq="D", tz="UTC")
    try:
        made = windows(index, count=count, anchored=anchored, purge=purge, embargo=embargo)
    except ConfigError:
        assert bars < LEAST * (count + 4) + 10
        return
    assert len(made) == count
    assert made[-1].test.last == bars
    for window in made:
        assert window.train.last == window.test.first - purge - embargo
        assert window.train.first == 0 or not anchored
        assert len(window.test) >= LEAST
    for one, two in itertools.pairwise(made):
        assert one.test.last == two.test.first


def test_eight_by_default_each_a_quarter_of_what_it_learned_from() -> None:
    made = windows(DAYS)
    assert len(made) == 8
    assert {len(window.test) for window in made} == {87}
    assert [len(window.train) for window in made] == [351] * 8


def test_by_bars() -> None:
    made = windows(DAYS, train=500, test=125)
    assert [(w.train.first, w.train.last, w.test.last) for w in made] == [
        (0, 500, 625),
        (125, 625, 750),
        (250, 750, 875),
        (375, 875, 1000),
    ]
    assert len(windows(DAYS[:1000], train=500, test=150)) == 3, "50 bars are less than half of a test"
    assert len(windows(DAYS[:1040], train=500, test=150)) == 4


def test_by_time() -> None:
    made = windows(DAYS, train="2y", test="6m")
    first = DAYS[made[0].test.first]
    assert (first.year, first.month, first.day) == (2006, 1, 2)
    assert DAYS[made[1].test.first] >= first + pd.DateOffset(months=6)
    assert DAYS[made[1].test.first - 1] < first + pd.DateOffset(months=6)
    assert DAYS[made[1].train.first] >= DAYS[made[1].test.first] - pd.DateOffset(years=2)


def test_anchored_learns_from_ever_more() -> None:
    made = windows(DAYS, train=400, test=100, anchored=True)
    assert [w.train.first for w in made] == [0] * len(made)
    assert [len(w.train) for w in made] == [400, 500, 600, 700, 800, 900]


def test_a_length() -> None:
    assert parse_length("500", "--train") == 500
    assert parse_length("90d", "--train") == pd.DateOffset(days=90)
    assert parse_length("30min", "--test") == pd.DateOffset(minutes=30)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"train": "3x", "test": 10}, "is no length"),
        ({"train": 0, "test": 10}, "--train is 0"),
        ({"train": 2000, "test": 100}, "longer than the data"),
        ({"train": "9y", "test": "1y"}, "longer than the data"),
        ({"train": 500, "test": 3}, "too few to be judged on"),
        ({"test": 100}, "--test needs --train"),
        ({"count": 0}, "--windows is 0"),
        ({"count": 400}, "too few for 400 windows"),
        ({"count": 3, "test": 5}, "not both"),
        ({"purge": -1}, "must not be below zero"),
        ({"purge": 345}, "bars to learn from"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        windows(DAYS, **options)  # type: ignore[arg-type]
    assert words in f"{raised.value} {raised.value.hint}"


class TestCombinations:
    def test_every_choice_and_whole_paths(self) -> None:
        found = combinations(600, groups=6, tests=2)
        assert (len(found.splits), len(found.paths)) == (15, 5)
        for path in found.paths:
            assert all(group in found.splits[split].tests for group, split in enumerate(path))
        seen = [(group, split) for path in found.paths for group, split in enumerate(path)]
        assert len(set(seen)) == 30

    def test_nothing_is_learned_from_what_is_tested_or_near_it(self) -> None:
        found = combinations(600, groups=6, tests=2, purge=3, embargo=7)
        for split in found.splits:
            for group in split.tests:
                first, last = found.bounds[group], found.bounds[group + 1]
                assert not split.train[max(0, first - 3) : last + 10].any()
        assert int(np.sum(found.splits[0].train)) == 400 - 10

    @pytest.mark.parametrize(
        "options", [{"groups": 4, "tests": 4}, {"groups": 60}, {"groups": 2, "tests": 1, "purge": 400}]
    )
    def test_what_does_not_fit_is_said(self, options: dict[str, int]) -> None:
        with pytest.raises(ConfigError):
            combinations(600, **options)
