"""Time this project's engines against stock Backtrader and others, on the same data: `make bench`.

Ratios are within this run, on this machine: how many times faster than stock at the same work. `--check 30` fails
when one of them fell by more than 30% against `benchmarks/baseline.json`, which `--store` writes.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, run_command

if TYPE_CHECKING:
    from benchmarks.measure import Row

BASELINE_FILE = Path(__file__).with_name("baseline.json")
SECTIONS = (
    "run",
    "loops",
    "sweep",
    "cold",
    "live",
    "montecarlo",
    "reports",
    "optimise",
    "corpus",
    "long",
    "day",
)


def sections(args: argparse.Namespace) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    """What is measured, by name, the quickest first."""
    from benchmarks import day, live_latency, optimisation, reporting, resampling
    from benchmarks import sections as measured
    from benchmarks.corpus import corpus

    short, repeat = args.bars, args.repeat
    yield "run", lambda: measured.one_run(short, repeat)
    yield "loops", lambda: measured.loops(short, repeat)
    yield "sweep", lambda: measured.sweeps(short, args.combinations, repeat)
    if not args.quick:
        yield "sweep", lambda: measured.sweep_growth(short, (200, 2_000, 10_000))
    yield "cold", lambda: measured.cold_start(short)
    yield "live", lambda: measured.live_path(args.live_bars, repeat)
    yield "live", lambda: live_latency.latency(300, 5.0)
    yield "montecarlo", lambda: resampling.paths(10_000, 2_520, repeat)
    yield "reports", lambda: reporting.reports(short, repeat, daily=True)
    if not args.quick:
        yield "reports", lambda: reporting.reports(args.long_bars, 1, daily=False)
    yield "optimise", lambda: optimisation.workers(4_000, 96)
    yield "optimise", lambda: optimisation.overhead((100, 1_000) if args.quick else (100, 1_000, 10_000))
    yield "optimise", lambda: optimisation.walk(10, 1_000)
    if not args.quick:
        yield "day", day.days
        yield "corpus", lambda: corpus(short, repeat)
        yield "long", lambda: measured.one_run(args.long_bars, repeat)


def regressions(rows: Sequence[Row], stored: Mapping[str, float], percent: float) -> list[str]:
    """Ratios that fell by more than so many percent, in words. What was not measured now, or then, is no matter."""
    found = []
    for row in rows:
        before = stored.get(row.key)
        if before is not None and not math.isnan(row.ratio) and row.ratio < before * (1 - percent / 100):
            found.append(f"{row.key}: {row.ratio:.4g} times the baseline, {before:.4g} when it was stored")
    return found


def stored_ratios() -> dict[str, float]:
    """The ratios of `baseline.json`; none when there is no such file."""
    if not BASELINE_FILE.exists():
        return {}
    ratios: dict[str, float] = json.loads(BASELINE_FILE.read_text())["ratios"]
    return ratios


def store(rows: Sequence[Row]) -> None:
    """Write the ratios of these rows down, beside those of sections that were not measured."""
    fresh = {
        row.key: float(f"{row.ratio:.4g}") for row in rows if not math.isnan(row.ratio) and row.ratio != 1
    }
    document = {
        "what": "times faster than the baseline of each group; written by python -m benchmarks --store",
        "python": platform.python_version(),
        "ratios": stored_ratios() | fresh,
    }
    BASELINE_FILE.write_text(json.dumps(document, indent=2) + "\n")


def main(args: argparse.Namespace) -> int:
    """Print a table as it is measured, or JSON; exit code 1 when a ratio regressed."""
    rows: list[Row] = []
    for name, measure in sections(args):
        if args.only and name not in args.only:
            continue
        more = measure()
        rows.extend(more)
        if not args.json:
            print_rows(more)
    if args.store:
        store(rows)
    fallen = regressions(rows, stored_ratios(), args.check) if args.check is not None else []
    if args.json:
        print_json({"rows": [as_dict(row) for row in rows], "regressions": fallen})
    for line in fallen if not args.json else ():
        print(f"regression: {line}")
    return 1 if fallen else 0


def as_dict(row: Row) -> dict[str, Any]:
    """A row for `--json`."""
    return {
        name: getattr(row, name)
        for name in ("group", "what", "seconds", "ratio", "value", "difference", "note", "best")
    }


def print_rows(rows: Sequence[Row]) -> None:
    """One group after the other, under its name."""
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            print(f"\n{group:44}{'seconds':>11}{'times':>10}  final value")
        times = (
            "" if math.isnan(row.ratio) else f"{row.ratio:,.2f}" if row.ratio < 100 else f"{row.ratio:,.0f}"
        )
        seconds = "" if math.isnan(row.seconds) else f"{row.seconds:.4g}"
        best = "" if math.isnan(row.best) else f"best {row.best:.4g}"
        value = "" if row.value is None else f"{row.value:,.6f} {row.difference}"
        print(
            f"  {row.what:42}{seconds:>11}{times:>10}  {'; '.join(filter(None, (value, best, row.note)))}",
            flush=True,
        )


def parser() -> CommandParser:
    """The command line of `python -m benchmarks`."""
    command = CommandParser(
        prog="python -m benchmarks",
        description="Time this project's engines against stock Backtrader and others on the same data.",
        example="python -m benchmarks --quick --check 30",
    )
    number = {"type": int, "metavar": "N"}
    command.add_argument("--bars", default=2_500, help="bars of a short run (default: 2500)", **number)
    command.add_argument(
        "--long-bars", default=500_000, help="bars of a long run (default: 500000)", **number
    )
    command.add_argument(
        "--live-bars", default=10_000, help="bars of the live path (default: 10000)", **number
    )
    command.add_argument(
        "--combinations", default=200, help="combinations of the sweep (default: 200)", **number
    )
    command.add_argument("--repeat", default=5, help="runs of each, at most (default: 5)", **number)
    command.add_argument(
        "--quick", action="store_true", help="leave out long runs and large sweeps (minutes)"
    )
    command.add_argument(
        "--only", action="append", choices=SECTIONS, default=[], help="measure this section; may be repeated"
    )
    command.add_argument(
        "--check", type=float, metavar="PERCENT", help="exit 1 when a ratio fell by more than this"
    )
    command.add_argument("--store", action="store_true", help="write the ratios to benchmarks/baseline.json")
    return command


if __name__ == "__main__":
    run_command(parser(), main)
