"""Errors are counted, and too many in a while raise one alert, not one each; another word is said once it has passed.

with watching_errors(ErrorRate(10, 60.0, gateway.later)) as rate:
    ...
"""

from __future__ import annotations

import logging
import threading
import time as wall
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from core.instruments import SYSTEM
from core.telemetry import ROOT, get_logger

NAME = "core.alerts"

log = get_logger(NAME)


class ErrorRate:
    """Raises an alert at `most` errors within `seconds`, and takes it back when half of that is left.

    later: calls something after so many seconds. now: the time that points bear. points: when an alert was raised or
    taken back, and how many errors the window held then. Usable from any thread.
    """

    def __init__(
        self,
        most: int,
        seconds: float,
        later: Callable[[float, Callable[[], None]], None],
        *,
        clock: Callable[[], float] = wall.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.points: list[tuple[datetime, float]] = []
        self.raised = False
        self._most, self._window = most, seconds
        self._later, self._clock, self._now = later, clock, now
        self._seen: deque[tuple[float, str]] = deque()
        self._lock = threading.RLock()

    def note(self, what: str) -> None:
        """An error has happened; the alert names the most frequent."""
        with self._lock:
            self._forget()
            self._seen.append((self._clock(), what))
            if self.raised or len(self._seen) < self._most:
                return
            self.raised = True
            self._point()
            often = Counter(what for _, what in self._seen).most_common(3)
            log.error("alert.errors", count=len(self._seen), seconds=self._window, most_frequent=dict(often))
            self._look_again()

    def _look_again(self) -> None:
        """When enough of those in the window will be too old, unless more come."""
        if len(self._seen) <= self._most // 2:
            self.raised = False
            self._point()
            log.warning("alert.over", count=len(self._seen), seconds=self._window)
            return
        oldest = self._seen[len(self._seen) - self._most // 2 - 1][0]
        self._later(max(oldest + self._window - self._clock(), 0.0), self._wake)

    def _wake(self) -> None:
        with self._lock:
            self._forget()
            self._look_again()

    def _forget(self) -> None:
        while self._seen and self._clock() - self._seen[0][0] >= self._window:
            self._seen.popleft()

    def _point(self) -> None:
        self.points.append((self._now(), float(len(self._seen))))


class _Counting(logging.Handler):
    def __init__(self, rate: ErrorRate) -> None:
        super().__init__(logging.WARNING)
        self._rate = rate

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != f"{ROOT}.{NAME}":
            SYSTEM.counter("log_warnings", "warnings and worse", "level").labels(
                record.levelname.lower()
            ).inc()
            told = record.msg
            self._rate.note(str(told.get("event")) if isinstance(told, dict) else record.getMessage()[:80])


@contextmanager
def watching_errors(rate: ErrorRate) -> Iterator[ErrorRate]:
    """Everything this project logs as a warning or worse is noted by `rate`."""
    handler, logger = _Counting(rate), logging.getLogger(ROOT)
    logger.addHandler(handler)
    try:
        yield rate
    finally:
        logger.removeHandler(handler)
