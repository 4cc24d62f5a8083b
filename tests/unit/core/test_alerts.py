"""One alert for many errors, and one word when they are over (P18)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from core.alerts import ErrorRate, watching_errors
from core.telemetry import get_logger

START = datetime(2026, 3, 3, tzinfo=UTC)


class Time:
    """A clock that a test moves, with its timers."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self.timers.append((self.seconds + seconds, act))

    def pass_by(self, seconds: float) -> None:
        until = self.seconds + seconds
        while due := sorted((t for t in self.timers if t[0] <= until), key=lambda t: t[0]):
            self.timers.remove(due[0])
            self.seconds = max(self.seconds, due[0][0])
            due[0][1]()
        self.seconds = until


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def rate(time: Time) -> ErrorRate:
    return ErrorRate(
        6, 60.0, time.later, clock=lambda: time.seconds, now=lambda: START + timedelta(seconds=time.seconds)
    )


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.msg["event"] for r in caplog.records if r.name.endswith("core.alerts")]


def test_a_storm_raises_one_alert_and_its_end_is_said_once(
    rate: ErrorRate, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """P18"""
    with caplog.at_level(logging.WARNING):
        for _ in range(500):
            rate.note("feed.lost")
            time.pass_by(1)
        assert said(caplog) == ["alert.errors"]
        time.pass_by(55)
        assert said(caplog) == ["alert.errors"], "more than half are still in the window"
        time.pass_by(600)
        assert said(caplog) == ["alert.errors", "alert.over"]
    assert time.timers == []
    assert [count for _, count in rate.points] == [6.0, 3.0]
    assert rate.points[0][0] == START + timedelta(seconds=5)


def test_a_rate_about_the_threshold_does_not_raise_again_and_again(
    rate: ErrorRate, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """P18: between half and the whole of the threshold, what was said stands."""
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            rate.note("feed.lost")
            time.pass_by(9 if rate.raised else 11)
            rate.note("feed.lost")
            time.pass_by(13)
    assert said(caplog) == ["alert.errors"]


def test_few_errors_are_no_alert(rate: ErrorRate, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    """P18"""
    for _ in range(50):
        rate.note("feed.lost")
        time.pass_by(12.5)
    assert (rate.raised, rate.points, said(caplog)) == (False, [], [])


def test_a_second_storm_is_a_second_alert(
    rate: ErrorRate, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """P18"""
    for _ in range(2):
        for _ in range(20):
            rate.note("feed.lost")
        time.pass_by(120)
    assert said(caplog) == ["alert.errors", "alert.over"] * 2


def test_what_is_logged_is_counted_and_alerts_are_not(
    rate: ErrorRate, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """P18: warnings and errors of this project, whoever logs them; the alert names the most frequent."""
    log = get_logger("feeds.live")
    with watching_errors(rate):
        for _ in range(5):
            log.warning("feed.lost", symbol="A")
            log.info("feed.state", symbol="A")
        logging.getLogger("elsewhere").warning("not ours")
        assert not rate.raised
        log.error("order.lost")
    log.error("feed.lost")
    (alert,) = (r.msg for r in caplog.records if r.name.endswith("core.alerts"))
    assert isinstance(alert, dict)
    assert (alert["count"], alert["most_frequent"]) == (6, {"feed.lost": 5, "order.lost": 1})
