"""Bars of several symbols, moment by moment: who waits for whom, and that a later run is told the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.types import Bar
from feeds.together import Together

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Data:
    """One symbol; `told` are minutes that have come."""

    def __init__(self, *told: int, heard: bool = True) -> None:
        self.told, self.heard, self.ended = list(told), heard, False
        self.ahead: Bar | None = None

    def look_ahead(self) -> None:
        if self.ahead is None and self.told:
            time = NOON + timedelta(minutes=self.told.pop(0))
            self.ahead = Bar("X", time, 1.0, 1.0, 1.0, 1.0, 1.0)


class Market:
    """Several datas that keep together, and a clock that stands."""

    def __init__(self, file: Path, *datas: Data) -> None:
        self.datas, self.now = datas, 0.0
        self.together = Together(file, grace=5.0, monotonic=lambda: self.now)
        for data in datas:
            self.together.join(data)

    def round(self, *, busy: bool = False) -> list[int | None]:
        """What each hands over when all are asked once: minutes."""
        found: list[int | None] = []
        for data in self.datas:
            if self.together.may_hand_out(data, lambda: busy) and data.ahead is not None:
                found.append(int((data.ahead.time - NOON).total_seconds() // 60))
                data.ahead = None
            else:
                found.append(None)
        return found


def test_the_first_waits_for_the_others(tmp_path: Path) -> None:
    a, b = Data(1), Data()
    market = Market(tmp_path / "t", a, b)
    assert market.round() == [None, None]
    assert market.together.seconds_to_next() == 5.0
    b.told.append(1)
    assert market.round(busy=True) == [None, None], "while something else is told nothing begins"
    assert market.round() == [1, 1]


def test_but_not_for_ever(tmp_path: Path) -> None:
    a, b = Data(1), Data()
    market = Market(tmp_path / "t", a, b)
    assert market.round() == [None, None]
    market.now = 5.0
    assert market.round() == [1, None]
    a.told, b.told = [2], [1, 2]
    assert market.round() == [None, 1], "late, and by itself"
    assert market.round() == [2, 2]


def test_a_history_that_is_being_read_is_waited_for(tmp_path: Path) -> None:
    a, b = Data(1, 2), Data(heard=False)
    market = Market(tmp_path / "t", a, b)
    for market.now in (0.0, 100.0):
        assert market.round() == [None, None]
    b.told = [2]
    assert market.round() == [1, None]
    assert market.round() == [2, 2]


def test_one_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    a, b = Data(1), Data()
    b.ended = True
    assert Market(tmp_path / "t", a, b).round() == [1, None]


def test_a_later_run_is_told_the_same(tmp_path: Path) -> None:
    """L25: what came late comes late again, though all of it is there at once."""
    file = tmp_path / "t"
    a, b = Data(1), Data()
    first = Market(file, a, b)
    told = [first.round()]
    first.now = 5.0
    told.append(first.round())
    a.told, first.now = [2], 6.0
    told.append(first.round())
    first.now = 11.0
    told.append(first.round())
    a.told, b.told = [3], [1, 2]
    told += [first.round(), first.round()]
    with file.open("a") as cut_short:
        cut_short.write("0 ")
    again = Market(file, Data(1, 2, 3), Data(1, 2, 3))
    handed_over = [each for each in told if each != [None, None]]
    assert handed_over == [[1, None], [2, None], [None, 1], [None, 2]]
    assert [again.round() for _ in handed_over] == handed_over
    assert again.round() == [3, 3]
    assert file.read_text().splitlines() == ["0", "0", "1", "1", "0 1"]


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("some words\n")
    with pytest.raises(ConfigError, match="does not say which bars came together"):
        Together(tmp_path / "t")
