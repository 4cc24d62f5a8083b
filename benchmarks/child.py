"""What has to happen in a fresh process: the first compiled run, and the memory a sweep takes at its most.

python -m benchmarks.child '{"what": "first run", "bars": 2500}'
"""

from __future__ import annotations

import time

BORN = time.perf_counter()

import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from typing import Any  # noqa: E402

SECONDS = 900.0
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


def first_run(bars: int) -> dict[str, Any]:
    """Seconds the imports took, and from then to the result."""
    import importlib

    from benchmarks.crossover import Crossover
    from benchmarks.markets import market
    from engine.backtest import backtest

    for module in ("feeds.market", "engine.once", *(f"engine.compiled.{name}" for name in PARTS)):
        importlib.import_module(module)
    imported = time.perf_counter()
    result = backtest(Crossover, {"X": market(bars)}, engine="compiled")
    value = float(result.equity.iloc[-1])
    return {"import_seconds": imported - BORN, "run_seconds": time.perf_counter() - imported, "value": value}


def sweep_memory(bars: int, combinations: int) -> dict[str, Any]:
    """Seconds of a sweep, warm, and by how much the process's peak memory rose in it (bytes)."""
    from benchmarks.markets import market
    from benchmarks.sweeps import grid, ours

    frame = market(bars)
    ours(frame, grid(10))
    before = peak_memory()
    ours(frame, grid(combinations))
    own = peak_memory() - before
    started = time.perf_counter()
    value = ours(frame, grid(combinations))
    return {"seconds": time.perf_counter() - started, "own_bytes": own, "value": value}


def peak_memory() -> int:
    """The most memory this process ever held, in bytes."""
    # Kilobytes on Linux, bytes on a Mac.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    work = {"first run": first_run, "sweep": sweep_memory}[given.pop("what")]
    print(json.dumps(work(**given)))
