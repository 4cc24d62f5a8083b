#!/usr/bin/env python3
"""Trade a strategy: on the paper venue, replaying a market.

python -m live.run momentum
python -m live.run momentum --speed 60
python -m live.run momentum --resume
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from core.cli import INTERRUPTED, CommandParser, print_json, progress, run_command
from core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from core.types import OrderEvent, OrderIntent
    from engine.plan import Plan
    from live.session import Outcome
    from store import RunRecord, Store

OWN = ("data", "param", "cash", "commission", "start", "end", "out", "resample")
"""Arguments a resumed run answers from its own record."""


def parser() -> CommandParser:
    """The command line of `python -m live.run`."""
    from engine.command import add_run_arguments

    command = CommandParser(
        prog="python -m live.run",
        description="Trade a strategy on the paper venue, replaying a market through the live path.",
        example="python -m live.run momentum --data sample:goog --param fast=10",
    )
    add_run_arguments(command)
    command.add_argument(
        "--speed",
        type=float,
        metavar="N",
        help="seconds of market time a second (default: as fast as it can)",
    )
    command.add_argument("--bot", metavar="NAME", help="whose orders these are (default: default)")
    command.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="go on with a run that was stopped or killed (default: the latest of this strategy)",
    )
    return command


def main(args: argparse.Namespace) -> int:
    """Check, trade, report; the tearsheet's path is the last line."""
    import store
    from engine.command import settings_from

    given = {"live.bot": args.bot, "live.speed": args.speed}
    settings = settings_from(args, {key: value for key, value in given.items() if value is not None})
    if args.resume is not None:
        _refuse_own_arguments(args)
        with store.open_store(settings.store.url, create=False) as database:
            return _resume(args, database)
    from engine.command import new_run_folder
    from engine.plan import make_plan
    from live.session import start

    plan = make_plan(settings, args.strategy, args.resample)
    folder = new_run_folder(settings.reports.directory, plan.reference, plan.seed)
    with store.open_store(settings.store.url) as database:
        unfinished = database.runs.resumable(settings.live.bot, plan.reference)
        if unfinished is not None and not args.json:
            print(
                f"note: run {unfinished.run_id} is unfinished; --resume goes on with it, this starts a new one"
            )
        return _trade(args, plan, database, start(plan, database, folder))


def _resume(args: argparse.Namespace, database: Store) -> int:
    from engine.command import settings_from
    from engine.plan import make_plan
    from live.session import find_resumable, resume_settings
    from strategies import registry

    bot = settings_from(args, {"live.bot": args.bot} if args.bot else {}).live.bot
    reference = registry.reference(registry.load(args.strategy))
    run = find_resumable(database, bot, reference, args.resume)
    given = dict(resume_settings(run)) | {
        f"strategy.params.{name}": value for name, value in run.params.items()
    }
    given |= {"live.bot": run.bot} | ({"live.speed": args.speed} if args.speed is not None else {})
    plan = make_plan(settings_from(args, given), args.strategy, run.settings.get("resample", ()))
    return _trade(args, plan, database, run)


def _refuse_own_arguments(args: argparse.Namespace) -> None:
    given = [name for name in OWN if getattr(args, name)]
    if given:
        raise UserError(
            f"--{given[0]} was given with --resume, but a run goes on as it began",
            hint=f"leave --{given[0]} out, or start a new run without --resume",
        )


def _trade(args: argparse.Namespace, plan: Plan, database: Store, run: RunRecord) -> int:
    from live.session import trade

    if not args.json:
        print(_headline(plan))
    total = max(map(len, plan.market.frames.values()))
    with progress("replaying", total, enabled=not args.json) as on_bar:
        outcome = trade(plan, database, run, on_bar=on_bar, on_event=_printer(plan, quiet=args.json))
    return _report(args, plan, outcome)


def _headline(plan: Plan) -> str:
    info = plan.market.info
    names = ", ".join(info.symbols)
    return (
        f"PAPER, replaying {names} {info.start:%Y-%m-%d} to {info.end:%Y-%m-%d}, no orders leave this machine\n"
        f"{plan.reference} with {', '.join(f'{name}={value}' for name, value in plan.params.items()) or 'no parameters'}"
    )


def _printer(plan: Plan, *, quiet: bool) -> Callable[[OrderEvent, OrderIntent], None]:
    """What to do with each event: fills and refusals are printed as they happen."""
    moment = "%Y-%m-%d %H:%M" if plan.intraday else "%Y-%m-%d"

    def show(event: OrderEvent, intent: OrderIntent) -> None:
        when = event.time.strftime(moment)
        if event.fill is not None:
            fill = event.fill
            why = f"  {intent.exit_reason}" if intent.exit_reason else ""
            size, price = _plain(fill.size), _plain(fill.price)
            line = f"{fill.side:<4} {size:>10} {fill.symbol} at {price:>10}  commission {float(fill.commission):,.2f}"
            print(f"{when}  {line}{why}", flush=True)
        elif event.status in ("margin", "rejected"):
            reason = event.reason or "not enough cash"
            print(
                f"{when}  {intent.side} {_plain(intent.size)} {intent.symbol} refused: {reason}", flush=True
            )

    return (lambda event, intent: None) if quiet else show


def _plain(value: Decimal) -> str:
    """For people: thousands separated, at least two decimals where there are any, at most eight."""
    number = float(value)
    if number.is_integer():
        return f"{number:,.0f}"
    return f"{number:,.2f}" if abs(number) >= 100 else f"{number:,.8f}".rstrip("0")


def _report(args: argparse.Namespace, plan: Plan, outcome: Outcome) -> int:
    from engine.command import print_result

    again = f"python -m live.run {args.strategy} --resume {outcome.run_id}"
    if outcome.result is None or outcome.tearsheet is None:
        if args.json:
            print_json({"run": outcome.run_id, "stopped": True, "bars": outcome.bars, "resume": again})
        else:
            print(
                f"stopped after bar {outcome.bars:,} of {outcome.total:,}; go on with: {again}",
                file=sys.stderr,
            )
        return INTERRUPTED
    if args.json:
        result = outcome.result
        print_json(
            {
                "run": outcome.run_id,
                "kind": result.kind,
                "strategy": result.strategy,
                "params": dict(result.params),
                "bars": outcome.bars,
                "orders": len(result.orders),
                "fills": len(result.fills),
                "trades": len(result.trades),
                "equity": float(result.equity.iloc[-1]),
                "metrics": dict(result.metrics),
                "tearsheet": str(outcome.tearsheet),
            }
        )
    else:
        print_result(
            outcome.result, outcome.tearsheet, next_command=f"python -m engine.parity {args.strategy}"
        )
    return 0


if __name__ == "__main__":
    run_command(parser(), main)
