"""One strategy over history, in one call or one command.

from engine import backtest
result = backtest("momentum", "sample:goog", params={"fast": 10})

python -m engine.backtest momentum --data sample:goog --param fast=10
"""

from __future__ import annotations

import argparse
import cProfile
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, progress, run_command
from core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    import backtrader as bt
    import pandas as pd

    from brokers.costs import Costs
    from core.config import DataSettings, ReportSettings
    from core.results import RunResult
    from engine.setup import Sizer
    from feeds.market import Market, Source

PROGRESS_BARS = 200
"""Bars between two updates of the progress bar."""
EXAMPLE = "python -m engine.backtest momentum --data sample:goog --param fast=10 --cash 50000"


def backtest(
    strategy: type[bt.Strategy] | str,
    data: Source | Market,
    params: Mapping[str, Any] | None = None,
    *,
    cash: float = 100_000.0,
    commission: float = 0.001,
    broker: bt.brokers.BackBroker | None = None,
    costs: Costs | None = None,
    sizer: Sizer | None = None,
    cheat_on_open: bool = False,
    engine: str = "auto",
    resample: Sequence[str] = (),
    settings: DataSettings | None = None,
    on_bar: Callable[[int], None] | None = None,
) -> RunResult:
    """Run a strategy over history; the answer is stock Backtrader's, whatever engine runs it.

    strategy: a `bt.Strategy` subclass, or a reference `strategies.registry.load` understands. data: whatever
    `feeds.load` takes (a frame, frames by name, a path, a reference such as "sample:goog"), or a `Market`
    it returned. commission: a fraction of the traded value. broker: an ordinary `BackBroker`, configured
    (slippage, commission schemes, cheat-on-close); it is copied, and its cash and commission count instead of
    `cash` and `commission`. costs: a `brokers.costs.Costs`: slippage, spread, volume, latency, margin, borrowing,
    funding, splits and dividends; the broker is no longer stock's then, and Cerebro runs it. Slippage and spread are in
    the fills' prices, so in a trade's pnl and pnl_net; commission in pnl_net; what is borrowed, funding and dividends in
    the account alone (a dividend that is reinvested becomes part of the position, and so of the trade). The result's
    `costs` has the sums, `meta["costs"]` what happened, and `notes` margin calls and fills in part. sizer: a `bt.Sizer` class, or it and its parameters. cheat_on_open: as Cerebro's.
    engine: "auto" (the fastest that keeps stock's answer), "compiled", "lean" or "cerebro"; the result's
    `engine_reason` says why it was that one. resample: higher timeframes of the first data, such as "1W".
    settings: how data is loaded and checked. on_bar: called with the bars so far, once a bar where Python runs
    the strategy.

    Raises UserError, before anything runs, for whatever of this cannot be used, for an engine that cannot run
    it, and for bars fewer than the warm-up; StrategyError when the strategy itself fails.
    """
    from engine import preflight
    from engine.account import charges_of, costs_of
    from engine.choose import Task, execute
    from engine.result import run_result
    from feeds.again import load_again
    from feeds.market import Market
    from strategies import registry

    preflight.check_engine(engine)
    account = _account(broker, cash, commission)
    cls = registry.load(strategy)
    resolved = registry.resolve_params(cls, params or {})
    market = data if isinstance(data, Market) else load_again(data, settings)
    if market is data:  # what `load` gives is sound
        preflight.check_frames(market.frames)
    preflight.check_names(market.frames, resample)
    if costs is not None and costs.active:
        account = _under(account, costs, market.frames, cheat_on_open)
    task = Task(cls, resolved, market.frames, account, tuple(resample), sizer, cheat_on_open, on_bar)
    outcome = execute(task, engine)
    charged, happened, told = charges_of(outcome.recording, costs)
    return run_result(
        "backtest",
        _name_of(cls),
        resolved,
        market,
        outcome.recording,
        engine=outcome.engine,
        reason=outcome.reason,
        costs=costs_of(account) | charged,
        resample=tuple(resample),
        notes=(*outcome.notes, *told),
        meta=happened,
    )


def _under(
    account: bt.brokers.BackBroker, costs: Costs, frames: Mapping[str, pd.DataFrame], cheat_on_open: bool
) -> bt.brokers.BackBroker:
    """The account with the broker that charges `costs`."""
    from engine.realistic import realistic

    if cheat_on_open:
        raise ConfigError(
            "cheat_on_open goes without costs", hint="leave one of them out; costs know no order at no time"
        )
    return realistic(account, costs, frames)


def _account(broker: bt.brokers.BackBroker | None, cash: float, commission: float) -> bt.brokers.BackBroker:
    """A broker for one run: a copy of the given one, or an ordinary one."""
    from engine import preflight
    from engine.account import copied
    from engine.cerebro import stock_broker

    if broker is None:
        preflight.check_money(cash, commission)
        return stock_broker(cash, commission)
    account = copied(broker)
    preflight.check_money(account.p.cash, 0.0)
    return account


def _name_of(cls: type[bt.Strategy]) -> str:
    """The reference that loads the class again; a class made inside a function has only its name."""
    from strategies import registry

    return cls.__qualname__ if "<locals>" in cls.__qualname__ else registry.reference(cls)


def parser() -> CommandParser:
    """The command line of `python -m engine.backtest`."""
    from engine.command import add_run_arguments

    command = CommandParser(
        prog="python -m engine.backtest",
        description="Run a strategy over history and write a report.",
        example=EXAMPLE,
    )
    add_run_arguments(command)
    command.add_argument(
        "--engine",
        default="auto",
        metavar="ENGINE",
        help="auto, compiled, lean or cerebro (default: auto, the fastest that keeps stock Backtrader's answer)",
    )
    command.add_argument(
        "--profile",
        action="store_true",
        help="run under Python's profiler; profile.pstats and profile.txt go into the run's folder",
    )
    return command


def main(args: argparse.Namespace) -> int:
    """Check everything, run, write the run's folder, print the result; the tearsheet's path comes last."""
    from engine import command, preflight

    preflight.check_engine(args.engine)
    plan = command.prepare(args)
    broker, reports_settings = plan.settings.broker, plan.settings.reports
    folder = command.new_run_folder(reports_settings.directory, plan.reference, plan.seed)
    if not args.json:
        print(command.headline("BACKTEST", plan), flush=True)
    profile = cProfile.Profile() if args.profile else None
    with (
        progress("bars", command.bars_of(plan.market.frames), enabled=not args.json) as done,
        profile or nullcontext(),
    ):
        result = backtest(
            plan.strategy,
            plan.market,
            plan.params,
            cash=broker.cash,
            commission=broker.commission,
            costs=command.costs_from(plan.settings),
            engine=args.engine,
            resample=plan.resample,
            on_bar=command.every(done, PROGRESS_BARS),
        )
    result = replace(result, meta={**result.meta, "config": plan.settings.public()})
    tearsheet = _write(result, folder, reports_settings)
    if profile is not None:
        from engine.profile import write_profile

        write_profile(profile, folder)
    if args.json:
        print_json(command.summary(result, folder, tearsheet))
    else:
        command.print_result(result, tearsheet)
    return 0


def _write(result: RunResult, folder: Path, settings: ReportSettings) -> Path:
    """Write the run's folder, or, when that is interrupted, leave none behind."""
    from reports import write_run  # here: a mistake should not wait for the charting library

    try:
        return write_run(result, folder, settings=settings)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


if __name__ == "__main__":
    run_command(parser(), main)
