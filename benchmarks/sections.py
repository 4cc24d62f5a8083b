"""What is measured: one run, the live path, sweeps, cold starts, loops over symbols and over trials."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import rivals
from benchmarks.child import in_child
from benchmarks.markets import market
from benchmarks.measure import Row, difference, measure
from benchmarks.sweeps import grid, ours, stock

CASH, COMMISSION = 100_000.0, 0.001
BASELINE = "stock Cerebro"
WARM_BARS = 2_500
LOOP = 20
"""Symbols of the scan, trials of the trial loop."""
MEGABYTE = 2**20


def stock_run(frame: Any, **params: Any) -> float:
    """The crossover on Backtrader as it is installed, default observers."""
    import backtrader as bt

    from benchmarks.crossover import Crossover

    cerebro = bt.Cerebro()
    cerebro.adddata(bt.feeds.PandasData(dataname=frame.tz_localize(None)))
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=COMMISSION)
    cerebro.addstrategy(Crossover, **params)
    cerebro.run()
    return float(cerebro.broker.getvalue())


def our_run(frame: Any, engine: str, params: dict[str, Any] | None = None) -> float:
    """From a DataFrame to a full RunResult."""
    from benchmarks.crossover import Crossover
    from engine import backtest

    return float(backtest(Crossover, {"X": frame}, params, engine=engine).equity.iloc[-1])


def one_run(bars: int, repeat: int) -> list[Row]:
    """Every engine, and the rivals, over one market."""
    frame = market(bars)
    group = f"one run, {bars:,} bars"
    small = market(min(bars, WARM_BARS))
    engines = {f"{name}, DataFrame to RunResult": name for name in ("cerebro", "lean", "compiled")}
    runs: dict[str, Callable[[], float | None]] = {BASELINE: partial(stock_run, frame)}
    runs |= {label: partial(our_run, frame, name) for label, name in engines.items()}
    rows = measure(
        group,
        BASELINE,
        runs,
        repeat=repeat,
        warm=lambda label: our_run(small, engines[label]) if label in engines else None,
    )
    return rows + list(_rivals(group, bars, repeat, rows[0]))


def _rivals(group: str, bars: int, repeat: int, base: Row) -> Iterator[Row]:
    for module in rivals.MODULES:
        yield _rival(group, base, module, rivals.measured(module, bars, repeat))


def _rival(group: str, base: Row, label: str, found: dict[str, Any] | None) -> Row:
    if found is None:
        return Row(group, label, math.nan, math.nan, note="not installed: pip install -e '.[bench]'")
    if "failed" in found:
        return Row(group, found.get("label", label), math.nan, math.nan, note=f"failed: {found['failed']}")
    ratio = base.seconds / found["seconds"]
    value = found["value"]
    return Row(
        group, found["label"], found["seconds"], ratio, value, difference(value, base.value), theirs=True
    )


def live_path(bars: int, repeat: int) -> list[Row]:
    """The same strategy through risk, journal and venue, bar by bar."""
    import store
    from benchmarks.crossover import Crossover
    from brokers.paper import PaperVenue
    from engine.live_path import LivePath
    from engine.replay import replayed

    frame = market(bars)
    lives = iter(range(10**6))

    def live(folder: Path, durable: bool) -> float:
        home = folder / str(next(lives))
        home.mkdir()
        with store.open_store(f"sqlite:///{home}/journal.db") as database:
            replay = LivePath(
                Crossover,
                {},
                replayed({"X": frame}),
                lambda: PaperVenue(CASH, COMMISSION, state=home / "paper.db" if durable else None),
                database.journal("bench"),
                CASH,
                COMMISSION,
            )
            return float(replay.run().equity.iloc[-1])

    with tempfile.TemporaryDirectory(prefix="tradewright-bench-") as name:
        runs: dict[str, Callable[[], float | None]] = {
            BASELINE: partial(stock_run, frame),
            "live path, venue in memory": partial(live, Path(name), False),
            "live path, venue on disk": partial(live, Path(name), True),
        }
        return measure(f"live path, {bars:,} bars", BASELINE, runs, repeat=repeat)


def sweeps(bars: int, combinations: int, repeat: int) -> list[Row]:
    """Stock's optstrategy on all cores, engine.sweep, vectorbt."""
    frame, pairs = market(bars), grid(combinations)
    group = f"sweep of {combinations}, {bars:,} bars"
    baseline = "stock optstrategy, all cores"
    runs: dict[str, Callable[[], float | None]] = {
        baseline: partial(stock, frame, pairs),
        "engine.sweep": partial(ours, frame, pairs),
    }
    rows = measure(
        group,
        baseline,
        runs,
        repeat=repeat,
        warm=lambda name: ours(frame, pairs) if name == "engine.sweep" else None,
    )
    return [*rows, _rival(group, rows[0], "vectorbt", rivals.measured("vectorbt", bars, repeat, pairs))]


def sweep_growth(bars: int, sizes: Sequence[int]) -> list[Row]:
    """How seconds and memory grow with the number of combinations; each in a fresh process, warm."""
    group = f"growth of a sweep, {bars:,} bars"
    rows = []
    for combinations in sizes:
        found = in_child({"what": "sweep", "bars": bars, "combinations": combinations})
        what = f"{combinations:,} combinations"
        if "failed" in found:
            rows.append(Row(group, what, math.nan, math.nan, note=f"failed: {found['failed']}"))
            continue
        each = 1e6 * found["seconds"] / combinations
        note = f"{each:,.1f} microseconds each; {found['own_bytes'] / MEGABYTE:,.0f} MB of its own"
        rows.append(Row(group, what, found["seconds"], math.nan, note=note))
    return rows


def cold_start(bars: int) -> list[Row]:
    """From the start of a Python process to the first compiled result."""
    group = f"cold start, {bars:,} bars"
    rows = []
    with tempfile.TemporaryDirectory(prefix="tradewright-bench-") as folder:
        for what in ("kernel compiled", "kernel from disk"):
            found = in_child({"what": "first run", "bars": bars}, {"TRADEWRIGHT_KERNELS": folder})
            if "failed" in found:
                rows.append(
                    Row(group, what, found["process_seconds"], math.nan, note=f"failed: {found['failed']}")
                )
                continue
            note = f"imports {found['import_seconds']:.2f} s, to the result beyond them {found['run_seconds']:.2f} s"
            rows.append(Row(group, what, found["process_seconds"], math.nan, found["value"], note=note))
    return rows


def loops(bars: int, repeat: int) -> list[Row]:
    """E10: a scan of many symbols, and a loop of trials, as one writes them without a sweep."""
    frames = [market(bars, seed) for seed in range(LOOP)]
    periods = [{"fast": 5 + i, "slow": 30 + 2 * i} for i in range(LOOP)]

    def scan(run: Callable[[Any], float]) -> float:
        return sum(run(frame) for frame in frames)

    def trials(run: Callable[[Any], float]) -> float:
        return max(run(given) for given in periods)

    first = frames[0]
    scans: dict[str, Callable[[], float | None]] = {
        BASELINE: lambda: scan(stock_run),
        "backtest()": lambda: scan(lambda frame: our_run(frame, "auto")),
        "backtest(), compiled": lambda: scan(lambda frame: our_run(frame, "compiled")),
    }
    tried: dict[str, Callable[[], float | None]] = {
        BASELINE: lambda: trials(lambda given: stock_run(first, **given)),
        "backtest()": lambda: trials(lambda given: our_run(first, "auto", given)),
        "backtest(), compiled": lambda: trials(lambda given: our_run(first, "compiled", given)),
    }

    def warm(name: str) -> None:
        if name != BASELINE:
            our_run(first, "compiled" if "compiled" in name else "auto")

    return [
        *measure(f"scan of {LOOP} symbols, {bars:,} bars", BASELINE, scans, repeat=repeat, warm=warm),
        *measure(f"loop of {LOOP} trials, {bars:,} bars", BASELINE, tried, repeat=repeat, warm=warm),
    ]
