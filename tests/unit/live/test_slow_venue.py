"""Bars and a venue that takes its time (L4), and a session that has nothing to do (E2)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import backtrader as bt

from benchmarks.live_latency import CASH, LiveSession, OnEveryBar
from brokers.paper import PaperVenue
from core.types import OrderIntent

SYMBOLS = [f"S{number}" for number in range(10)]
SECONDS = 30.0


class SlowVenue(PaperVenue):
    """Answers no order before it is told to."""

    def __init__(self) -> None:
        super().__init__(CASH, 0.0)
        self.asked, self.may_answer = threading.Event(), asyncio.Event()

    async def submit(self, intent: OrderIntent) -> None:
        self.asked.set()
        await self.may_answer.wait()
        await super().submit(intent)


class Once(OnEveryBar):
    """One order; every bar is written down."""

    sent = False

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, list[float]] = {name: [] for name in SYMBOLS}

    def next(self) -> None:
        for data in self.datas:
            times = self.times[data._name]
            if len(data) > len(times):
                times.append(data.datetime[0])
        if not self.sent:
            self.sent = True
            self.buy(size=1)


def test_a_slow_venue_holds_up_no_bar_and_no_question(tmp_path: Path) -> None:
    """L4: while an order waits for its answer, bars of ten feeds are taken in, the venue is asked other things and
    answers; then the strategy sees every bar, in order."""
    seen: list[Once] = []

    class Seen(Once):
        def stop(self) -> None:
            seen.append(self)

    session = LiveSession(SYMBOLS, tmp_path, Seen, SlowVenue)
    venue: Any = session.venue
    with session:
        session.bars(*SYMBOLS)
        assert venue.asked.wait(SECONDS)
        for _ in range(5):
            session.bars(*SYMBOLS)
        waiting = {symbol: len(source._told) for symbol, source in session.sources.items()}
        assert waiting == dict.fromkeys(SYMBOLS, 5), "nobody who brings bars waits for the venue"
        assert session.path.gateway.ask(venue.order("nobody's")) is None
        session.path.gateway._loop.call_soon_threadsafe(venue.may_answer.set)
        while not all(source.seconds_to_next() for source in session.sources.values()):
            assert session.idle.wait(SECONDS)
            session.idle.clear()
    (strategy,) = seen
    assert all(times == sorted(times) and len(times) == 6 for times in strategy.times.values())
    assert strategy.position.size == 1


def test_an_idle_session_does_nothing_until_there_is_news(tmp_path: Path) -> None:
    """E2: ten feeds without bars are one wait, which a bar ends at once, and not again and again."""
    waits: list[float] = []

    class Waiting(LiveSession):
        def _note_wait(self, seconds: float, *, stopping: bool = False) -> None:
            waits.append(seconds)
            super()._note_wait(seconds, stopping=stopping)

    class Watching(bt.Strategy):
        def next(self) -> None: ...

    with Waiting(SYMBOLS, tmp_path, Watching, lambda: PaperVenue(CASH, 0.0)) as session:
        for _ in range(3):
            assert session.idle.wait(SECONDS)
            session.bars(*SYMBOLS)
            assert session.idle.wait(SECONDS)
    assert min(waits) == max(waits) == 3600.0, "every wait is for news, none for a moment to look again"
