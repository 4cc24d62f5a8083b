"""What wakes a session that sleeps."""

from __future__ import annotations

import signal
import threading

import pytest

from brokers.bell import ROOM, Bell

LONG_SECONDS = 60


def test_rung_before_and_while_it_is_waited_for() -> None:
    bell = Bell()
    bell.ring()
    bell.wait(LONG_SECONDS)
    assert not bell.rung
    thread = threading.Timer(0.01, bell.ring)
    thread.start()
    bell.wait(LONG_SECONDS)
    thread.join()
    assert not bell.rung


def test_rung_more_often_than_there_is_room_it_is_quiet_after_one_wait() -> None:
    bell = Bell()
    for _ in range(2 * ROOM):
        bell.ring()
    bell.wait(LONG_SECONDS)
    assert not bell.rung


def test_a_signal_that_no_handler_has_seen_yet_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It arrives after Python last looked for signals and before the sleep: only the pipe knows of it."""
    bell = Bell()
    seen: list[bool] = []

    class JustBefore:
        def poll(self, milliseconds: int) -> None:
            signal.raise_signal(signal.SIGALRM)
            seen.append(bell.rung)

    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    try:
        rung, bell._poll = bell._poll, JustBefore()  # type: ignore[assignment]
        monkeypatch.setattr(Bell, "rung", property(lambda self: bool(rung.poll(0))))
        bell.wait(LONG_SECONDS)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen == [True]
    assert signal.set_wakeup_fd(-1) == -1
