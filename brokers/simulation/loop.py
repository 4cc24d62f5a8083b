"""An event loop without waiting: its clock jumps to the next timer, and everything runs in one order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

ROUNDS_ALLOWED = 100_000
SECONDS_ALLOWED = 86_400.0


class Stuck(Exception):
    """Nothing can happen any more, or things happen without end. Handler: the scenario, which reports the seed."""


class VirtualLoop(asyncio.BaseEventLoop):
    """The same calls run in the same order, whatever the machine does.

    seconds: virtual time since the beginning. on_round: called after every round of callbacks with its number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.rounds = 0
        self._rounds_allowed, self._seconds_allowed = ROUNDS_ALLOWED, SECONDS_ALLOWED
        self.on_round: Callable[[int], None] = lambda number: None
        self.tasks: list[asyncio.Task[Any]] = []
        self._selector = self
        self.set_task_factory(self._keep_task)

    def wind_up(self) -> None:
        """Allow as much again, for whoever clears up."""
        self._rounds_allowed = self.rounds + ROUNDS_ALLOWED
        self._seconds_allowed = self.seconds + SECONDS_ALLOWED

    def time(self) -> float:
        """Virtual time, in seconds."""
        return self.seconds

    def select(self, timeout: float | None) -> list[Any]:
        """Wait for nothing: move the clock to when the next timer is due."""
        if timeout is None:
            raise Stuck("everything waits, and nothing is due")
        self.rounds += 1
        self.seconds += timeout
        if self.rounds > self._rounds_allowed or self.seconds > self._seconds_allowed:
            raise Stuck(f"no end after {self.rounds} rounds and {self.seconds:.0f} s")
        self.on_round(self.rounds)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake."""

    def _keep_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """Tasks in the order they were made: the loop's own set of them has none."""
        task = asyncio.Task(coroutine, loop=loop, **kwargs)
        self.tasks.append(task)
        return task


class LoopClock:
    """`core.clock.Clock` on a loop's time. ahead: seconds the clock is wrong by."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: datetime, ahead: float = 0.0) -> None:
        self._loop = loop
        self._start = start
        self.ahead = ahead

    def now(self) -> datetime:
        """Virtual time, aware, UTC."""
        return self._start + timedelta(seconds=self._loop.time() + self.ahead)
