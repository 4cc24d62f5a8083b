"""Several sources' bars as one a period: who is waited for, who is left out, and what a later run is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError, ProviderError
from core.types import Bar
from feeds.consensus import Agreed
from feeds.live.source import LiveSource
from feeds.merge import HISTORY_SECONDS, MergedBars, kept_until
from feeds.source import Feed

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Market:
    """Sources a, b, c, live unless said otherwise; a clock that stands; and what was merged, as minutes and states."""

    def __init__(
        self, count: int = 3, *, live: bool = True, keep: Path | None = None, quorum: int = 2
    ) -> None:
        self.now = 0.0
        self.sources = {name: LiveSource(f"at {name}") for name in "abcde"[:count]}
        self.merged = MergedBars(
            "X",
            self.sources,
            step=MINUTE,
            quorum=quorum,
            tolerance=0.01,
            grace=5.0,
            keep=keep,
            monotonic=lambda: self.now,
        )
        self.merged.start()
        self.closes: list[float] = []
        if live:
            for name in self.sources:
                self.state(name, Feed.LIVE)
            self.take()

    def bars(self, names: str, *minutes: int, close: float = 100.0, volume: float = 1.0) -> None:
        for name in names:
            for minute in minutes:
                time = NOON + minute * MINUTE
                bar = Bar(self.sources[name].symbol, time, close, close, close, close, volume)
                self.sources[name].put([bar])

    def state(self, names: str, state: Feed) -> None:
        for name in names:
            self.sources[name].put([state])

    def take(self) -> list[Any]:
        found: list[Any] = []
        while (told := self.merged.next()) is not None:
            if isinstance(told, Bar):
                assert told.symbol == "X"
                self.closes.append(told.close)
                found.append(int((told.time - NOON) / MINUTE))
            else:
                found.append(told)
        return found


def test_a_bar_waits_for_all_and_comes_when_the_last_has_spoken() -> None:
    """D16"""
    market = Market()
    assert market.merged.seconds_to_next() > 5
    market.bars("ab", 1)
    assert market.merged.seconds_to_next() == 0
    assert market.take() == []
    assert market.merged.seconds_to_next() == 5
    market.bars("c", 1)
    assert market.take() == [1]
    assert market.merged.feed is Feed.LIVE


def test_who_is_late_is_left_out_said_once_and_counts_again(caplog: pytest.LogCaptureFixture) -> None:
    market = Market()
    for minute in (1, 2, 3):
        market.bars("ab", minute, close=100 + minute)
        waiting = market.take() == []
        assert waiting is (minute == 1), "who has said nothing since is not waited for again"
        market.now += 5
        market.take()
    assert market.closes == [101, 102, 103]
    market.bars("c", 1, 2, 3, close=100)
    assert market.take() == [], "what was settled without it stays as it was"
    market.bars("abc", 4, close=104)
    assert market.take() == [4]
    assert market.closes == [101, 102, 103, 104]
    logged = caplog.text
    assert logged.count("merge.left_out") == 1
    assert logged.count("merge.counts_again") == 1


@pytest.mark.parametrize(
    ("count", "quorum", "closes", "expected"),
    [
        (3, 2, (100, 100, 100), [1]),
        (3, 2, (100, 100, 150), [1]),
        (3, 3, (100, 100, 150), [Feed.DISCONNECTED]),
        (3, 2, (100, 120, 150), [Feed.DISCONNECTED]),
        (2, 2, (100, 150), [Feed.DISCONNECTED]),
        (2, 2, (100, float("nan")), [Feed.DISCONNECTED]),
        (5, 2, (100, 100, 120, 140, 150), [Feed.DISCONNECTED]),
    ],
)
def test_an_outlier_is_left_out_and_without_a_quorum_there_is_no_bar(
    count: int, quorum: int, closes: tuple[float, ...], expected: list[Any]
) -> None:
    """D16, D17: the next bar they agree on is live again."""
    market = Market(count, quorum=quorum)
    for name, close in zip(market.sources, closes, strict=True):
        market.bars(name, 1, close=close)
    assert market.take() == expected
    assert set(market.closes) <= {100}
    market.bars("".join(market.sources), 2)
    assert market.take() == ([2] if expected == [1] else [Feed.LIVE, 2])


def test_what_is_missing_while_too_few_answer_comes_late_in_order_and_is_not_live(
    caplog: pytest.LogCaptureFixture,
) -> None:
    market = Market()
    market.state("bc", Feed.DISCONNECTED)
    market.bars("a", 1)
    assert market.take() == [Feed.DISCONNECTED]
    market.now += 5
    assert market.take() == []
    market.bars("a", 2, 3)
    assert market.take() == []
    assert market.merged.seconds_to_next() > 5, "it sleeps until there is news"
    market.bars("b", 1, 2, 3)
    market.state("b", Feed.LIVE)
    assert market.take() == [1, 2, 3, Feed.LIVE]
    logged = caplog.text
    assert logged.count("merge.gap") == 1


def test_a_hole_that_one_source_has_alone_ends_nothing() -> None:
    market = Market()
    market.bars("a", 1)
    market.bars("b", 2)
    market.bars("a", 2)
    assert market.take() == []
    market.now += 5
    assert market.take() == [Feed.DISCONNECTED, Feed.LIVE, 2]


def test_a_clock_that_runs_ahead_holds_nobody_up() -> None:
    market = Market()
    market.bars("abc", 1)
    market.bars("c", 60)
    assert market.take() == [1]
    market.now += 100
    assert market.take() == []
    market.bars("ab", 2)
    assert market.take() == [2]


def test_history_is_waited_for_longer() -> None:
    market = Market(live=False)
    for name in "ab":
        market.bars(name, 1, 2, 3)
        market.state(name, Feed.LIVE)
    assert market.take() == []
    assert market.merged.seconds_to_next() == HISTORY_SECONDS
    market.bars("c", 1, 2, 3)
    assert market.take() == [1, 2, 3, Feed.LIVE]


def test_who_cannot_be_reached_is_left_out_until_too_few_are_left() -> None:
    market = Market(live=False)
    market.sources["c"].fail(ProviderError("c does not answer", provider="c"))
    market.sources["c"].end()
    for name in "ab":
        market.bars(name, 1)
        market.state(name, Feed.LIVE)
    assert market.take() == [1, Feed.LIVE]
    assert not market.merged.ended
    assert market.merged.seconds_to_next() > 5
    market.sources["b"].end()
    assert market.merged.next() is Feed.DISCONNECTED
    with pytest.raises(ProviderError, match="c does not answer"):
        market.merged.next()
    assert market.merged.ended


def test_a_later_run_is_shown_what_was_merged_and_nothing_before_it_anew(tmp_path: Path) -> None:
    keep = tmp_path / "merged.txt"
    first = Market(keep=keep)
    first.bars("ab", 1, 2, close=100.1)
    first.take()
    first.now += 5
    assert first.take() == [1, 2]
    with keep.open("a") as writing:
        writing.write('["2026-11-20T12:03')
    again = Market(live=False, keep=keep)
    for name in "abc":
        again.bars(name, 1, 2, 3, close=100.9)
        again.state(name, Feed.LIVE)
    assert again.take() == [1, 2, 3, Feed.LIVE]
    assert again.closes == [*first.closes, 100.9]
    keep.write_text("nonsense\n")
    with pytest.raises(ConfigError, match="does not hold the bars that were merged"):
        Market(keep=keep)


@pytest.mark.parametrize("wrong", [{"quorum": 4}, {"quorum": 0}, {"tolerance": 1.0}, {"grace": 60.0}])
def test_settings_without_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        MergedBars("X", {name: LiveSource("X") for name in "abc"}, step=MINUTE, **wrong)


def test_what_it_agrees_on_and_who_does_not_count() -> None:
    """D17: what a guard of orders asks."""
    market = Market()
    market.bars("abc", 1)
    market.take()
    assert market.merged.agreed() == Agreed(100.0, ("a", "b", "c"))
    market.bars("ab", 2, close=101)
    market.bars("c", 2, close=150)
    market.take()
    assert market.merged.agreed() == Agreed(101.0, ("a", "b"), {"c": "+48.51% from the median"})
    market.state("b", Feed.DISCONNECTED)
    market.take()
    agreed = market.merged.agreed()
    assert (agreed.sources, agreed.left_out["b"]) == (("a",), "disconnected")
    market.state("c", Feed.DISCONNECTED)
    assert market.take() == [Feed.DISCONNECTED]
    assert market.merged.agreed().price is None


def test_bars_that_are_kept_are_not_asked_for_again(tmp_path: Path) -> None:
    """D16: some exchanges have no more than a few hundred."""
    file = tmp_path / "bars.txt"
    assert kept_until(file) is None
    market = Market(keep=file)
    market.bars("abc", 1, 2)
    market.take()
    assert kept_until(file) == NOON + 2 * MINUTE
    with file.open("a") as cut_short:
        cut_short.write('["2026-11-20T12:03')
    assert kept_until(file) == NOON + 2 * MINUTE
