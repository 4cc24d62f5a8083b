"""When timers call a lean run's strategy, against stock Backtrader: times, offsets, repeats, sessions, carried days."""

from __future__ import annotations

import datetime
from typing import Any

import backtrader as bt
import pytest

from tests.parity.engines import Case, difference, on_fast, on_stock, traces_differ
from tests.parity.markets import frames


def odd_days(day: datetime.date) -> bool:
    """Whether a timer may call on that day."""
    return day.day % 2 == 1


class Timed(bt.Strategy):
    """Writes down every call, and buys and sells on some."""

    params: Any = (("timer", {}),)

    def __init__(self) -> None:
        self.add_timer(**self.p.timer)
        self.calls: list[Any] = []

    def notify_timer(self, timer: Any, when: Any, *args: Any, **kwargs: Any) -> None:
        self.calls += [len(self), when]
        if len(self.calls) % 6 == 0:
            self.close() if self.position else self.buy(size=3)


TIMERS: list[tuple[str, dict[str, Any]]] = [
    ("trend", {"when": bt.timer.SESSION_START, "weekdays": [1, 4], "weekcarry": True}),
    ("trend", {"when": bt.timer.SESSION_START, "monthdays": [3, 17], "monthcarry": True, "cheat": True}),
    ("minute", {"when": bt.timer.SESSION_START, "offset": datetime.timedelta(hours=11), "cheat": True}),
    ("minute", {"when": datetime.time(11, 30), "repeat": datetime.timedelta(minutes=95)}),
    ("minute", {"when": bt.timer.SESSION_START, "repeat": datetime.timedelta(hours=5), "allow": odd_days}),
]


@pytest.mark.parametrize(("kind", "timer"), TIMERS, ids=range(len(TIMERS)))
def test_timers_call_as_in_stock(kind: str, timer: dict[str, Any]) -> None:
    """The same calls with the same times."""
    case = Case(Timed, {"timer": timer}, frames(kind, seed=5, bars=120, starts=(0, 4)))
    stock, lean = on_stock(case), on_fast("lean", case)
    assert difference(stock, lean) is None
    assert traces_differ(stock, lean) is None
    assert lean.recording is not None
    calls = getattr(lean.recording.strategy, "calls", [])
    assert len(calls) > 6
