"""When a bot is started again, and when that ends."""

from __future__ import annotations

import pytest

from live.restarts import Ended, RestartPolicy, Restarts, how_it_ended

POLICY = RestartPolicy(1.0, 60.0, 0.0, crashes=4, window_seconds=100.0, forget_seconds=50.0)
EVEN = 0.5


@pytest.mark.parametrize(
    ("code", "error", "ended"),
    [
        (0, None, Ended.DONE),
        (130, None, Ended.DONE),
        (2, "config", Ended.REFUSED),
        (2, None, Ended.REFUSED),
        (2, "venue-unreachable", Ended.NOT_YET),
        (2, "already-trading", Ended.NOT_YET),
        (1, "inconsistent-state", Ended.HALTED),
        (1, "store", Ended.CRASHED),
        (1, None, Ended.CRASHED),
        (-9, None, Ended.CRASHED),
    ],
)
def test_what_an_end_means(code: int, error: str | None, ended: Ended) -> None:
    assert how_it_ended(code, error) is ended


def test_pauses_double_up_to_the_longest_and_chance_moves_them() -> None:
    assert [POLICY.pause(number, EVEN) for number in (1, 2, 3, 7, 10_000)] == [1.0, 2.0, 4.0, 60.0, 60.0]
    jittery = RestartPolicy(10.0, 60.0, 0.2)
    assert jittery.pause(1, 0.0) == pytest.approx(8.0)
    assert jittery.pause(1, 0.999) == pytest.approx(12.0, abs=0.01)


def crash(
    restarts: Restarts, now: float, *, lived: float = 0.1, ended: Ended = Ended.CRASHED
) -> float | None:
    return restarts.next_pause(ended, lived=lived, now=now, chance=EVEN)


def test_crashes_in_a_row_end_the_restarts() -> None:
    """L28"""
    restarts = Restarts(POLICY)
    assert [crash(restarts, now) for now in (0, 2, 5, 10)] == [1.0, 2.0, 4.0, None]
    assert restarts.count == 3
    restarts.forgive()
    assert crash(restarts, 11) == 1.0


def test_crashes_long_ago_do_not_count() -> None:
    restarts = Restarts(POLICY)
    assert [crash(restarts, now) for now in (0, 1, 2, 101.5)] == [1.0, 2.0, 4.0, 8.0]


def test_a_long_life_begins_with_short_pauses_again() -> None:
    restarts = Restarts(POLICY)
    assert [crash(restarts, 0), crash(restarts, 1), crash(restarts, 60, lived=50)] == [1.0, 2.0, 1.0]


def test_a_venue_that_is_away_is_waited_for_as_long_as_it_takes() -> None:
    restarts = Restarts(POLICY)
    pauses = [crash(restarts, now, ended=Ended.NOT_YET) for now in range(20)]
    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert pauses[-1] == 60.0
    assert crash(restarts, 20) is not None


@pytest.mark.parametrize("ended", [Ended.DONE, Ended.REFUSED, Ended.HALTED])
def test_what_only_a_person_mends_is_not_started_again(ended: Ended) -> None:
    assert crash(Restarts(POLICY), 0, ended=ended) is None
