"""A process that was started for some work: waited for, told to stop, and ended with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def end(process: subprocess.Popen[bytes], grace: float, hurry: Callable[[], bool] = lambda: False) -> None:
    """SIGINT, and SIGKILL for what has not ended by then: to the process that was started, and its own group."""
    if process.poll() is None and grace:
        process.send_signal(signal.SIGINT)
    until = time.monotonic() + grace
    while process.poll() is None and time.monotonic() < until and not hurry():
        time.sleep(0.02)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(process: subprocess.Popen[bytes], seconds: float) -> None:
    """So long, or until it has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


@contextmanager
def told_to_stop(tell: Callable[[int], None]) -> Iterator[None]:
    """SIGINT and SIGTERM ask for an end: `tell` gets their numbers."""

    def told(number: int, frame: FrameType | None) -> None:
        tell(number)

    before = {which: signal.signal(which, told) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


__all__ = ["end", "told_to_stop", "wait_for"]
