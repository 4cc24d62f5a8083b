"""Do all engines and the live path give stock Backtrader's answer? The first difference has a name.

    python -m engine.parity momentum

Floats compare at 1e-9 relative; times, bars, sizes, kinds and statuses exactly. The fast engines are built to be
equal to the last bit; `tests/parity` holds them to that.
"""

from __future__ import annotations

import argparse
import importlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, progress, run_command

if TYPE_CHECKING:
    import backtrader as bt
    import pandas as pd

    from brokers.costs import Costs
    from engine.live_path import StateJournal
    from engine.recording import Recording
    from feeds import Market

RELATIVE_TOLERANCE = 1e-9
"""Room for sums taken in another order; a different fill is never this close."""

EXACT = frozenset({"size", "filled"})
REFERENCE, REPLAY = "cerebro", "paper replay"
FAST = ("compiled", "lean")
"""The engines that may refuse a strategy; each is a module `engine.NAME` with a `run`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two runs part. `time` is the bar's, where there is one."""

    what: str
    time: Any
    reference: Any
    other: Any
    engine: str = REPLAY

    def __str__(self) -> str:
        when = f" at {self.time}" if self.time is not None else ""
        return f"{self.what}{when}: {REFERENCE} has {self.reference}, {self.engine} has {self.other}"


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


@dataclass(frozen=True, slots=True)
class EngineReport:
    """How one engine fared against the reference.

    report: the comparison; None when there was none to make. refusal: why the engine would not run it.
    failure: what it raised instead of an answer; the reference's own error makes no report at all.
    """

    engine: str
    report: ParityReport | None = None
    refusal: str | None = None
    failure: str | None = None

    @property
    def agrees(self) -> bool:
        """False when the engine gave another answer; a refusal is none."""
        return self.failure is None and (self.report is None or self.report.identical)

    def __str__(self) -> str:
        if self.refusal is not None:
            return f"refused: {self.refusal}"
        return f"different: it failed: {self.failure}" if self.report is None else str(self.report)


def compare(reference: Recording, other: Recording, engine: str = REPLAY) -> ParityReport:
    """Compare two recordings; of all differences the earliest in time is reported.

    engine: the name of what made `other`.
    """
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
        difference=None if first is None else replace(first, engine=engine),
    )


def check_parity(
    strategy: type[bt.Strategy],
    params: Mapping[str, Any],
    market: Market,
    journal: StateJournal,
    *,
    cash: float = 100_000.0,
    commission: float = 0.001,
    costs: Costs | None = None,
    resample: Sequence[str] = (),
    state: Path | None = None,
    on_bar: Any = None,
) -> ParityReport:
    """Run `strategy` over `market` on stock Cerebro and through the live path, and compare.

    journal: an empty journal for the replay. state: file for the paper venue's own state, or None to keep it
    in memory.
    """
    money: dict[str, Any] = {"cash": cash, "commission": commission, "costs": costs}
    reference = run_reference(strategy, params, market, resample=resample, **money)
    replay = _replay(
        strategy, params, market, journal, resample=resample, state=state, on_bar=on_bar, **money
    )
    return compare(reference, replay)


def check_engines(
    strategy: type[bt.Strategy],
    params: Mapping[str, Any],
    market: Market,
    *,
    cash: float = 100_000.0,
    commission: float = 0.001,
    costs: Costs | None = None,
    resample: Sequence[str] = (),
    engines: Sequence[str] = FAST,
    journal: StateJournal | None = None,
    state: Path | None = None,
    on_bar: Any = None,
) -> Iterator[EngineReport]:
    """Run `strategy` over `market` on stock Cerebro, then on each engine, and report each as it is done.

    journal: an empty journal, to compare the replay through the live path as well. on_bar: called with the bars
    the replay has seen, the slowest part. Raises whatever the run on stock Cerebro raises.
    """
    money: dict[str, Any] = {"cash": cash, "commission": commission, "costs": costs}
    reference = run_reference(strategy, params, market, resample=resample, **money)
    yield EngineReport(REFERENCE, compare(reference, reference, REFERENCE))
    for engine in engines:
        run = partial(run_fast, engine, strategy, params, market, resample=resample, **money)
        yield _report(engine, reference, run)
    if journal is not None:
        run = partial(_replay, strategy, params, market, journal, resample=resample, state=state, **money)
        yield _report(REPLAY, reference, partial(run, on_bar=on_bar))


def run_reference(
    strategy: type[bt.Strategy],
    params: Mapping[str, Any],
    market: Market,
    *,
    cash: float,
    commission: float,
    costs: Costs | None = None,
    resample: Sequence[str] = (),
) -> Recording:
    """One run on stock Cerebro; under costs with the broker that charges them."""
    from engine.cerebro import assemble, history_feed, run, stock_broker
    from engine.realistic import realistic

    broker = stock_broker(cash, commission)
    if costs is not None and costs.active:
        broker = realistic(broker, costs, market.frames)
    history = {name: history_feed(name, frame) for name, frame in market.frames.items()}
    return run(assemble(strategy, params, history, broker, resample=resample))


def run_fast(
    engine: str,
    strategy: type[bt.Strategy],
    params: Mapping[str, Any],
    market: Market,
    *,
    cash: float,
    commission: float,
    costs: Costs | None = None,
    resample: Sequence[str] = (),
) -> Recording:
    """One run on one of the `FAST` engines. Raises Refused where it cannot keep stock's answer."""
    from engine.cerebro import stock_broker
    from engine.choose import COSTS
    from engine.refusal import Refused

    if costs is not None and costs.active:
        raise Refused(COSTS)

    run = importlib.import_module(f"engine.{engine}").run
    recording: Recording = run(
        strategy, params, market.frames, stock_broker(cash, commission), resample=resample
    )
    return recording


def _report(engine: str, reference: Recording, run: Callable[[], Recording]) -> EngineReport:
    """Compare one more run; that it failed where stock did not is a difference as well."""
    from core.errors import UserError
    from engine.refusal import Refused

    try:
        return EngineReport(engine, compare(reference, run(), engine))
    except Refused as refused:
        return EngineReport(engine, refusal=str(refused))
    except UserError as error:
        return EngineReport(engine, failure=str(error))


def _replay(
    strategy: type[bt.Strategy],
    params: Mapping[str, Any],
    market: Market,
    journal: StateJournal,
    *,
    cash: float,
    commission: float,
    costs: Costs | None,
    resample: Sequence[str],
    state: Path | None,
    on_bar: Any,
) -> Recording:
    from brokers.paper import PaperVenue
    from engine.live_path import LivePath
    from engine.replay import replayed

    return LivePath(
        strategy,
        params,
        replayed(market.frames),
        lambda: PaperVenue(cash, commission, state=state, costs=costs),
        journal,
        cash,
        commission,
        bot="parity",
        resample=resample,
        on_bar=on_bar,
    ).run()


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
        description="Compare every engine, and a replay through the live path, with stock Backtrader.",
        example="python -m engine.parity momentum --data sample:goog --param fast=10",
    )
    add_run_arguments(command)
    return command


def main(args: argparse.Namespace) -> int:
    """Print one line an engine: `identical` and the counts, the refusal, or the first difference (exit code 1)."""
    import store
    from engine.command import costs_from, prepare

    plan = prepare(args)
    total = sum(map(len, plan.market.frames.values()))
    reports = []
    with (
        tempfile.TemporaryDirectory(prefix="tradewright-parity-") as folder,
        store.open_store(f"sqlite:///{folder}/journal.db") as journals,
        progress("replaying", total, enabled=not args.json) as on_bar,
    ):
        for report in check_engines(
            plan.strategy,
            plan.params,
            plan.market,
            cash=plan.settings.broker.cash,
            commission=plan.settings.broker.commission,
            costs=costs_from(plan.settings),
            resample=plan.resample,
            journal=journals.journal("parity"),
            state=Path(folder) / "paper.db",
            on_bar=on_bar,
        ):
            reports.append(report)
            if not args.json:
                print(_line(report), flush=True)
    identical = all(report.agrees for report in reports)
    if args.json:
        print_json({"identical": identical, "engines": [_public(report) for report in reports]})
    return 0 if identical else 1


def _line(report: EngineReport) -> str:
    said = "the reference" if report.engine == REFERENCE else str(report)
    return f"{report.engine:<{len(REPLAY)}}  {said}"


def _public(report: EngineReport) -> dict[str, Any]:
    """One engine's part of the JSON; `identical` is null where there was nothing to compare."""
    found = report.report
    return {
        "engine": report.engine,
        "identical": None if report.refusal is not None else report.agrees,
        "refusal": report.refusal,
        "difference": report.failure if found is None or found.difference is None else str(found.difference),
        "bars": None if found is None else found.bars,
        "orders": None if found is None else found.orders,
        "fills": None if found is None else found.fills,
        "trades": None if found is None else found.trades,
    }


if __name__ == "__main__":
    run_command(parser(), main)
