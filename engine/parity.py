"""Does the live path give the backtest's answer? Run both, compare everything, name the first difference.

    python -m engine.parity momentum

Floats compare at 1e-9 relative; times, bars, sizes, kinds and statuses exactly.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, progress, run_command

if TYPE_CHECKING:
    import backtrader as bt
    import pandas as pd

    from engine.recording import Recording
    from engine.replay import StateJournal
    from feeds import Market

RELATIVE_TOLERANCE = 1e-9
"""Room for sums taken in another order; a different fill is never this close."""

EXACT = frozenset({"size", "filled"})
REFERENCE, REPLAY = "cerebro", "paper replay"


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two runs part. `time` is the bar's, where there is one."""

    what: str
    time: Any
    reference: Any
    other: Any

    def __str__(self) -> str:
        when = f" at {self.time}" if self.time is not None else ""
        return f"{self.what}{when}: {REFERENCE} has {self.reference}, {REPLAY} has {self.other}"


@dataclass(frozen=True, slots=True)
class ParityReport:
    """What was compared, and the first difference, or None when there is none."""

    bars: int
    orders: int
    fills: int
    trades: int
    difference: Difference | None

    @property
    def identical(self) -> bool:
        """Whether nothing differed."""
        return self.difference is None

    def __str__(self) -> str:
        counts = f"{self.bars:,} bars, {self.orders:,} orders, {self.fills:,} fills, {self.trades:,} trades compared"
        return (
            f"identical: {counts}" if self.difference is None else f"different: {self.difference} ({counts})"
        )


def compare(reference: Recording, other: Recording) -> ParityReport:
    """Compare two recordings; of all differences the earliest in time is reported."""
    found = [
        difference
        for name in ("orders", "fills", "trades")
        if (difference := _first_row_difference(name, getattr(reference, name), getattr(other, name)))
        is not None
    ]
    for name in ("equity", "cash"):
        difference = _first_value_difference(name, getattr(reference, name), getattr(other, name))
        if difference is not None:
            found.append(difference)
    first = min(found, key=lambda difference: (difference.time is None, str(difference.time)), default=None)
    return ParityReport(
        bars=len(reference.equity),
        orders=len(reference.orders),
        fills=len(reference.fills),
        trades=len(reference.trades),
        difference=first,
    )


def check_parity(
    strategy: type[bt.Strategy],
    params: Mapping[str, Any],
    market: Market,
    journal: StateJournal,
    *,
    cash: float = 100_000.0,
    commission: float = 0.001,
    resample: Sequence[str] = (),
    state: Path | None = None,
    on_bar: Any = None,
) -> ParityReport:
    """Run `strategy` over `market` on stock Cerebro and through the live path, and compare.

    journal: an empty journal for the replay. state: file for the paper venue's own state, or None to keep it
    in memory.
    """
    from brokers.paper import PaperVenue
    from engine.cerebro import assemble, history_feed, run, stock_broker
    from engine.replay import PaperReplay

    history = {name: history_feed(name, frame) for name, frame in market.frames.items()}
    reference = run(assemble(strategy, params, history, stock_broker(cash, commission), resample=resample))
    replay = PaperReplay(
        strategy,
        params,
        market.frames,
        lambda: PaperVenue(cash, commission, state=state),
        journal,
        cash,
        commission,
        bot="parity",
        resample=resample,
        on_bar=on_bar,
    ).run()
    return compare(reference, replay)


def _first_row_difference(table: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> Difference | None:
    what = table.removesuffix("s")
    for number, (left, right) in enumerate(zip(_rows(ours), _rows(theirs), strict=False), start=1):
        for column, value in left.items():
            if not _same(column, value, right[column]):
                return Difference(f"{what} {number}, {column}", _time(left), value, right[column])
    if len(ours) == len(theirs):
        return None
    longer = ours if len(ours) > len(theirs) else theirs
    extra = list(_rows(longer))[min(len(ours), len(theirs))]
    return Difference(f"number of {table}", _time(extra), len(ours), len(theirs))


def _first_value_difference(name: str, ours: pd.Series, theirs: pd.Series) -> Difference | None:
    if not ours.index.equals(theirs.index):
        return Difference("bars", None, len(ours), len(theirs))
    for time, left, right in zip(ours.index, ours, theirs, strict=True):
        if not _same(name, left, right):
            return Difference(name, time, left, right)
    return None


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in frame.to_dict("records"):
        yield {str(column): value for column, value in row.items()}


def _time(row: Mapping[str, Any]) -> Any:
    return row.get("time", row.get("exit_time"))


def _same(column: str, left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float) and column not in EXACT:
        both_missing = math.isnan(left) and math.isnan(right)
        return both_missing or math.isclose(
            left, right, rel_tol=RELATIVE_TOLERANCE, abs_tol=RELATIVE_TOLERANCE
        )
    return bool(left == right) or (left != left and right != right)


def parser() -> CommandParser:
    """The command line of `python -m engine.parity`."""
    from engine.command import add_run_arguments

    command = CommandParser(
        prog="python -m engine.parity",
        description="Compare a backtest on stock Backtrader with a replay through the live path.",
        example="python -m engine.parity momentum --data sample:goog --param fast=10",
    )
    add_run_arguments(command)
    return command


def main(args: argparse.Namespace) -> int:
    """Print `identical` and the counts, or the first difference; exit code 1 when there is one."""
    import store
    from engine.command import prepare

    plan = prepare(args)
    total = sum(map(len, plan.market.frames.values()))
    with (
        tempfile.TemporaryDirectory(prefix="tradewright-parity-") as folder,
        store.open_store(f"sqlite:///{folder}/journal.db") as journals,
        progress("replaying", total, enabled=not args.json) as on_bar,
    ):
        report = check_parity(
            plan.strategy,
            plan.params,
            plan.market,
            journals.journal("parity"),
            cash=plan.settings.broker.cash,
            commission=plan.settings.broker.commission,
            resample=plan.resample,
            state=Path(folder) / "paper.db",
            on_bar=on_bar,
        )
    if args.json:
        difference = None if report.difference is None else str(report.difference)
        print_json(
            {
                "identical": report.identical,
                "bars": report.bars,
                "orders": report.orders,
                "fills": report.fills,
                "trades": report.trades,
                "difference": difference,
            }
        )
    else:
        print(report)
    return 0 if report.identical else 1


if __name__ == "__main__":
    run_command(parser(), main)
