"""What a report takes, in every format, beside the QuantStats tearsheet that is a part of its page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.crossover import Crossover
from benchmarks.markets import market
from benchmarks.measure import Row, measure

BASELINE = "QuantStats tearsheet alone"
FORMATS = {"page and data": ("html", "json"), "PDF": ("pdf",), "workbook": ("xlsx",)}
PARTS = "figures, intervals, diagnosis, tables"


def reports(bars: int, repeat: int, *, daily: bool) -> list[Row]:
    """R8 to R12: one run's report, its figures worked out anew for each format. daily: bars are days, not minutes."""
    result = _run(bars, daily)
    with tempfile.TemporaryDirectory(prefix="tradewright-bench-") as name:
        runs: dict[str, Callable[[], float | None]] = {BASELINE: partial(_quantstats, result)}
        runs[PARTS] = partial(_figures, result)
        runs |= {what: partial(_write, result, Path(name), formats) for what, formats in FORMATS.items()}
        kind = "days" if daily else "minutes"
        return measure(
            f"report, {bars:,} {kind}", BASELINE, runs, repeat=repeat, warm=lambda what: _warm(runs[what])
        )


def _run(bars: int, daily: bool) -> Any:
    import pandas as pd

    from engine import backtest

    frame = market(bars)
    if daily:
        frame = frame.set_axis(pd.bdate_range("2014-01-01", periods=bars, tz="UTC", name="time"))
    return backtest(Crossover, {"X": frame})


def _quantstats(result: Any) -> None:
    from reports.document import first_symbol
    from reports.quantstats_page import quantstats_part

    quantstats_part(result.equity, first_symbol(result), name="crossover")


def _figures(result: Any) -> None:
    from reports.document import make_report

    report = make_report(result)
    _ = report.rows
    for part in (
        "months",
        "drawdowns",
        "trades",
        "exit_reasons",
        "regimes",
        "outcomes",
        "rolling",
        "distribution",
    ):
        getattr(report, part)


def _write(result: Any, folder: Path, formats: tuple[str, ...]) -> None:
    from reports.artefacts import write_report
    from reports.document import make_report

    write_report(make_report(result), folder, formats)


def _warm(run: Callable[[], float | None]) -> None:
    """Once, so that libraries are loaded and kernels compiled."""
    run()
