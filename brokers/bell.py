"""What one thread sleeps on, and any other thread, or a signal, wakes it by."""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ROOM = 1 << 16


class Bell:
    """A pipe: a signal that comes just before the sleep begins writes into it, too, and so is not slept through.

    A lock, or a queue, would be waited for to its end then: Python runs its handlers between two instructions, and
    the operating system interrupts only what sleeps already.
    """

    def __init__(self) -> None:
        self._ear, self._rope = os.pipe()
        for end in (self._ear, self._rope):
            os.set_blocking(end, False)
        self._poll = select.poll()
        self._poll.register(self._ear, select.POLLIN)
        self._closing = weakref.finalize(self, _close, self._ear, self._rope)

    @property
    def rung(self) -> bool:
        """Whether the next `wait` ends at once."""
        return bool(self._poll.poll(0))

    def ring(self) -> None:
        """End the wait that is, or else the next one; may be called by any thread, and in a handler of signals."""
        with suppress(BlockingIOError):  # full: rung often enough
            os.write(self._rope, b"\0")

    def wait(self, seconds: float) -> None:
        """Sleep until it is rung, a signal arrives, or `seconds` have passed; what was rung until then is over."""
        with self._rung_by_signals():
            self._poll.poll(math.ceil(1000 * seconds))
        with suppress(BlockingIOError):
            while len(os.read(self._ear, ROOM)) == ROOM:
                pass

    @contextmanager
    def _rung_by_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # Python's handlers run in the main thread, which wakes this one if it is to be woken
            return
        before = signal.set_wakeup_fd(self._rope, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)


def _close(*ends: int) -> None:
    for end in ends:
        os.close(end)
