"""Write a finished run's report again, in any format: `python -m reports.tearsheet RUN --format pdf`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import CommandParser, print_json, run_command

if TYPE_CHECKING:
    import pandas as pd

PROG = "python -m reports.tearsheet"


def build_parser() -> CommandParser:
    """The command line of this module."""
    parser = CommandParser(
        prog=PROG,
        description="Write the report of a finished run: a page, a PDF, a workbook, data.",
        example=f"{PROG} runs/20240131T120000Z-momentum-1a2b3c --format pdf,xlsx",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--format", default="html", metavar="NAMES", help="html, pdf, xlsx, json, or all (default: html)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the files (default: the run's own)"
    )
    parser.add_argument(
        "--benchmark",
        metavar="REF",
        help="compare with this market, as --data names one: sample:goog, csv:PATH, yahoo:SPY (default: the run's first symbol)",
    )
    parser.add_argument("--title", metavar="TEXT", help="title of the report (default: strategy and market)")
    parser.add_argument(
        "--trades", type=int, default=200, metavar="N", help="rows of the tables of trades (default: 200)"
    )
    return parser


def main(args: argparse.Namespace) -> int:
    """Read the run, write the files, print their paths."""
    from core.errors import ConfigError
    from core.formats import parse_formats

    formats = parse_formats(args.format)
    if not formats:
        raise ConfigError("--format names no format", hint="write --format html,pdf, or --format all")
    if args.trades < 0:
        raise ConfigError(f"--trades {args.trades} is below zero", hint="0 leaves the trades out")
    from reports.artefacts import write_report
    from reports.document import make_report
    from reports.saved import read_run

    result = read_run(args.run)
    benchmark = None if args.benchmark is None else closes_of(args.benchmark)
    report = make_report(result, title=args.title, benchmark=benchmark)
    files = write_report(report, args.out or args.run, formats, trades_shown=args.trades)
    if args.json:
        figures = {key: report.figures[key] for key in sorted(report.figures)}
        print_json({"run": args.run, "title": report.title, "files": files, "figures": figures})
    else:
        print(*files.values(), sep="\n")
    return 0


def closes_of(reference: str) -> pd.Series:
    """Closes of the first symbol of a feed reference, named by it. Raises UserError where there are none."""
    from feeds import load

    name, frame = next(iter(load(reference).frames.items()))
    return frame["close"].rename(name)


if __name__ == "__main__":
    run_command(build_parser(), main)
