"""Put finished runs beside each other: `python -m reports.compare RUN RUN --rank sharpe`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import CommandParser, print_json, run_command

if TYPE_CHECKING:
    from reports.comparison import Comparison

PROG = "python -m reports.compare"
PAGE = "comparison.html"


def build_parser() -> CommandParser:
    """The command line of this module."""
    parser = CommandParser(
        prog=PROG,
        description="Compare finished runs: one table with intervals, a chart, a ranking, a test of the differences.",
        example=f"{PROG} runs/20240131T120000Z-momentum-1a2b3c runs/20240131T130000Z-breakout-4d5e6f --rank calmar",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs, two or more")
    parser.add_argument(
        "--rank", default="sharpe", metavar="FIGURE", help="what to rank by, such as calmar (default: sharpe)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"folder for {PAGE} (default: that of the first run's folder)"
    )
    return parser


def main(args: argparse.Namespace) -> int:
    """Read the runs, compare them, write the page, print the table; the page's path comes last."""
    from core.errors import UserError

    if len(args.runs) < 2:
        raise UserError("one run alone cannot be compared", hint="name two folders of runs, or more")
    from reports.artefacts import explained, write_text
    from reports.comparison import compare, comparison_page, plain
    from reports.saved import read_run

    names = names_of(args.runs)
    found = compare(
        {name: read_run(folder) for name, folder in zip(names, args.runs, strict=True)}, rank=args.rank
    )
    page = (args.out or args.runs[0].resolve().parent) / PAGE
    with explained(page.parent):
        page.parent.mkdir(parents=True, exist_ok=True)
        write_text(page, comparison_page(found))
    if args.json:
        print_json(plain(found) | {"page": page})
    else:
        show(found, page)
    return 0


def names_of(folders: Sequence[Path]) -> list[str]:
    """A short name for each folder, different from the others: its own, else with those above it."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{folder.name} ({number})" for number, folder in enumerate(folders, 1)]


def show(found: Comparison, page: Path) -> None:
    """The comparison as a table for people."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from reports.comparison import verdict

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for place, name in enumerate(found.reports, 1):
        table.add_column(f"{place}. {name}", justify="right")
    for label, figures in found.rows():
        table.add_row(label, *(f"{row.text} ({row.between})" if row.between else row.text for row in figures))
    Console(soft_wrap=True).print(table)
    for one, other, test in found.pairs:
        print(f"{one} against {other}: {verdict(test)}")
    for note in found.notes:
        print(f"note: {note}")
    print(page)


if __name__ == "__main__":
    run_command(build_parser(), main)
