"""Silences block entries, are said once, and end when something is heard."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import StaleData, VenueTransient
from core.recovery import Policy
from feeds.source import Feed
from live.watch import GRACE_SECONDS, VENUE, Watch

SATURDAY = datetime(2026, 3, 7, 12, tzinfo=UTC)
TUESDAY = datetime(2026, 3, 3, 15, tzinfo=UTC)


class Time:
    """A clock that a test moves, with its timers."""

    def __init__(self, start: datetime = TUESDAY) -> None:
        self.start, self.seconds = start, 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self.timers.append((self.seconds + seconds, act))

    def pass_by(self, seconds: float) -> None:
        until = self.seconds + seconds
        while due := [timer for timer in self.timers if timer[0] <= until]:
            first = min(due, key=lambda timer: timer[0])
            self.timers.remove(first)
            self.seconds = max(self.seconds, first[0])
            first[1]()
        self.seconds = until

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)


@pytest.fixture
def time() -> Time:
    return Time()


def watching(time: Time, calendar: str | None = None, policy: Policy | None = None) -> Watch:
    return Watch(
        90.0, time.later, policy=policy, calendar=calendar, seconds=lambda: time.seconds, now=time.now
    )


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.msg["event"] for record in caplog.records if isinstance(record.msg, dict)]


def test_a_bar_that_does_not_come_blocks_its_symbol_and_is_said_once(
    time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watching(time)
    with caplog.at_level(logging.WARNING):
        for symbol in ("A", "B"):
            watch.on_state(symbol, Feed.LIVE)
        for _ in range(10):
            time.pass_by(60)
            watch.on_bar("A")
        assert (watch.blocked("A"), watch.blocked("B")) == ("", "no bar of B for 90 s: no new entries")
        assert said(caplog) == ["watch.silent"]
        watch.on_bar("B")
        assert watch.blocked("B") == ""
        assert said(caplog) == ["watch.silent", "watch.heard"]
    assert len(time.timers) == 2, "one timer a symbol, however many bars came"


def test_it_is_blocked_even_before_the_timer_runs(time: Time) -> None:
    watch = watching(time)
    watch.on_state("A", Feed.LIVE)
    time.seconds += 91
    assert "no bar of A" in watch.blocked("A")


def test_history_and_lost_feeds_owe_no_bar(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    watch = watching(time)
    watch.on_state("A", Feed.DELAYED)
    watch.on_bar("A")
    time.pass_by(1_000)
    watch.on_state("A", Feed.LIVE)
    time.pass_by(60)
    assert watch.blocked("A") == ""
    watch.on_state("A", Feed.DISCONNECTED)
    time.pass_by(1_000)
    assert said(caplog) == []


def test_after_a_gap_nothing_is_entered_before_a_bar_of_now(time: Time) -> None:
    """Not even from a notification, which may come before any bar does."""
    watch = watching(time)
    watch.on_state("A", Feed.LIVE)
    watch.on_bar("A")
    watch.on_state("A", Feed.DISCONNECTED)
    assert "the bars of A were interrupted" in watch.blocked("A")
    assert watch.blocked("B") == ""
    watch.on_bar("A")
    watch.on_state("A", Feed.LIVE)
    assert "interrupted" in watch.blocked("A"), "that bar was of the gap"
    watch.on_bar("A")
    assert watch.blocked("A") == ""


def test_a_closed_market_owes_no_bar_until_it_has_opened(caplog: pytest.LogCaptureFixture) -> None:
    time = Time(SATURDAY)
    watch = watching(time, calendar="XNYS")
    watch.on_state("A", Feed.LIVE)
    opening = datetime(2026, 3, 9, 13, 30, tzinfo=UTC)
    time.pass_by((opening - SATURDAY).total_seconds() + 60)
    assert watch.blocked("A") == ""
    time.pass_by(91)
    assert "no bar of A" in watch.blocked("A")


def test_a_lost_stream_of_events_blocks_every_symbol_until_it_stands(
    time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    watch = watching(time)
    watch.on_stream(False)
    time.pass_by(GRACE_SECONDS / 2)
    watch.on_stream(True)
    time.pass_by(GRACE_SECONDS * 2)
    assert watch.blocked("A") == "", "a moment without it is nothing"
    for _ in range(3):
        watch.on_stream(False)
        time.pass_by(GRACE_SECONDS)
    assert watch.blocked("A") == watch.blocked("B") == "the venue's stream of events is lost: no new entries"
    watch.on_stream(True)
    assert watch.blocked("A") == ""
    assert said(caplog) == ["watch.silent", "watch.heard"]


@pytest.mark.parametrize(
    ("overrides", "lost", "failure"),
    [
        ({"stale-data": "halt"}, "A", StaleData),
        ({"venue-transient": "restart"}, VENUE, VenueTransient),
        ({"stale-data": "restart"}, VENUE, None),
        ({}, "A", None),
    ],
)
def test_configuration_may_end_the_session_instead(
    time: Time, overrides: dict[str, str], lost: str, failure: type[Exception] | None
) -> None:
    """P17"""
    ended: list[float] = []
    watch = Watch(
        90.0,
        time.later,
        policy=Policy(overrides),
        end=lambda: ended.append(time.seconds),
        seconds=lambda: time.seconds,
    )
    if lost == VENUE:
        watch.on_stream(False)
    else:
        watch.on_state(lost, Feed.LIVE)
    time.pass_by(100)
    assert type(watch.failure) is (failure or type(None))
    assert len(ended) == (failure is not None)
