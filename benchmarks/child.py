"""What has to happen in a fresh process: the first compiled run, what a sweep takes of memory, a live day.

python -m benchmarks.child '{"what": "first run", "bars": 2500}'
"""

from __future__ import annotations

import time

BORN = time.perf_counter()

import _frozen_importlib as import_system  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from typing import Any  # noqa: E402

SECONDS = 900.0
ENOUGH_SECONDS, REPEAT = 2.0, 15
"""A sweep is repeated for so long, or so many times."""
PARTS = ("kernel", "running", "recording", "translate", "broker", "broker_setup")
"""Modules of the compiled engine, which imports them when it needs them."""


def in_child(task: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Do a task in a fresh process; adds `process_seconds`, from its start to its end, Python's own included."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", json.dumps(task)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **(environment or {})},
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"failed": last[0], "process_seconds": seconds}
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "process_seconds": seconds}


class Imports:
    """Seconds spent in imports, also in those that happen in the middle of the work: numba makes most of its own so."""

    def __init__(self) -> None:
        self.seconds, self._within = time.perf_counter() - BORN, False
        self._find = import_system._find_and_load
        import_system._find_and_load = self._timed

    def _timed(self, *arguments: Any) -> Any:
        if self._within:
            return self._find(*arguments)
        started, self._within = time.perf_counter(), True
        try:
            return self._find(*arguments)
        finally:
            self.seconds, self._within = self.seconds + time.perf_counter() - started, False


def first_run(bars: int) -> dict[str, Any]:
    """Seconds all imports took, and the rest of the way to the result."""
    import importlib

    imports = Imports()
    from benchmarks.crossover import Crossover
    from benchmarks.markets import market
    from engine.backtest import backtest

    for module in ("feeds.market", "engine.once", *(f"engine.compiled.{name}" for name in PARTS)):
        importlib.import_module(module)
    frame = market(bars)
    started, imported = time.perf_counter(), imports.seconds
    result = backtest(Crossover, {"X": frame}, engine="compiled")
    value = float(result.equity.iloc[-1])
    seconds = time.perf_counter() - started - (imports.seconds - imported)
    return {"import_seconds": imports.seconds, "run_seconds": seconds, "value": value}


def sweep_memory(bars: int, combinations: int) -> dict[str, Any]:
    """Median seconds of a sweep, warm, and by how much the process's peak memory rose in the first (bytes)."""
    from benchmarks.markets import market
    from benchmarks.sweeps import grid, ours

    frame = market(bars)
    ours(frame, grid(10))
    before = peak_memory()
    ours(frame, grid(combinations))
    own = peak_memory() - before
    taken: list[float] = []
    while sum(taken) < ENOUGH_SECONDS and len(taken) < REPEAT:
        started = time.perf_counter()
        value = ours(frame, grid(combinations))
        taken.append(time.perf_counter() - started)
    return {"seconds": statistics.median(taken), "own_bytes": own, "value": value}


def live_day(venue: str, bars: int, speed: float) -> dict[str, Any]:
    """See `benchmarks.day`."""
    from benchmarks import day

    return day.live_day(venue, bars, speed)


def peak_memory() -> int:
    """The most memory this process ever held, in bytes."""
    # Kilobytes on Linux, bytes on a Mac.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    work = {"first run": first_run, "sweep": sweep_memory, "day": live_day}[given.pop("what")]
    print(json.dumps(work(**given)))
