"""The door between Backtrader's thread and the executor's."""

from __future__ import annotations

import signal
import time

import pytest

from brokers.gateway import Gateway
from core.errors import InconsistentState

LONG_SECONDS = 60


def no_executor() -> None:
    raise AssertionError("not needed here")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway(no_executor)  # type: ignore[arg-type]


@pytest.mark.parametrize("attempt", range(20))
def test_a_signal_ends_the_wait(gateway: Gateway, attempt: int) -> None:
    """The handler runs on the waiting thread itself, at any point of the wait."""
    before = signal.signal(signal.SIGALRM, lambda number, frame: gateway.request_stop())
    began = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005 * (attempt + 1))
        gateway.wait(LONG_SECONDS)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert gateway.stop_requested
    assert time.monotonic() - began < LONG_SECONDS / 2


def test_an_executor_that_cannot_start_is_stopped() -> None:
    class Refusing:
        stopped = False

        async def start(self) -> None:
            raise InconsistentState("the journal and the venue disagree")

        async def stop(self) -> None:
            Refusing.stopped = True

    gateway = Gateway(Refusing)  # type: ignore[arg-type]
    with pytest.raises(InconsistentState):
        gateway.start()
    assert Refusing.stopped
    gateway.stop()


def test_nothing_waits_once_a_stop_was_requested(gateway: Gateway) -> None:
    gateway.request_stop()
    began = time.monotonic()
    for _ in range(3):
        gateway.wait(LONG_SECONDS)
    assert time.monotonic() - began < LONG_SECONDS / 2


def test_a_wait_ends_by_itself(gateway: Gateway) -> None:
    gateway.wait(0.01)
    gateway.wait(-1)
    assert not gateway.stop_requested


def test_news_said_before_somebody_woke_is_one_piece_of_news(gateway: Gateway) -> None:
    """E2: an idle session does not look a thousand times because a thousand things were said."""
    for _ in range(1_000):
        gateway.wake()
    gateway.wait(LONG_SECONDS)
    assert not gateway._bell.rung
