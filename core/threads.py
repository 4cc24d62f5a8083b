"""Threads for work that leaves Python's lock alone: made once, used again by whoever asks for as many."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def in_threads(jobs: int, work: Callable[[int], None]) -> None:
    """Call `work` with 0 to jobs - 1, the first in this thread; returns, or raises, when all are through."""
    others = [_pool(os.getpid(), jobs).submit(work, number) for number in range(1, jobs)]
    try:
        work(0)
    finally:
        failures = [other.exception() for other in others]
    for failure in failures:
        if failure is not None:
            raise failure


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """A forked process has none of its parent's threads, so that each process has its own pool."""
    return ThreadPoolExecutor(threads - 1, "tradewright")
