#!/usr/bin/env python3
"""Trade a strategy: on the paper venue, replaying a market.

python -m live.run momentum
python -m live.run momentum --speed 60
python -m live.run momentum --resume
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.cli import INTERRUPTED, CommandParser, print_json, progress, run_command
from core.errors import UserError
from core.redact import redact, redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from core.config import Settings
    from core.types import Fill, OrderEvent, OrderIntent
    from engine.plan import Plan
    from live.session import Outcome
    from store import RunRecord, Store

OWN = ("data", "param", "cash", "commission", "start", "end", "out", "resample")
"""Arguments a resumed run answers from its own record."""
WHAT_THIS_IS = "PAPER, replaying {names} {start:%Y-%m-%d} to {end:%Y-%m-%d}, no orders leave this machine"


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
        help="market seconds a second: 60 is a minute a second (default: as fast as it can)",
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
            return _resume(args, settings, database)
    from engine.command import new_run_folder
    from engine.plan import make_plan
    from live.session import check, start

    plan = make_plan(settings, args.strategy, args.resample)
    check(plan)
    folder = new_run_folder(settings.reports.directory, plan.reference, plan.seed)
    with store.open_store(settings.store.url) as database:
        unfinished = database.runs.resumable(settings.live.bot, plan.reference)
        if unfinished is not None and not args.json:
            print(
                f"note: run {unfinished.run_id} is unfinished; --resume goes on with it, this starts a new one"
            )
        return _trade(args, plan, database, start(plan, database, folder))


def _resume(args: argparse.Namespace, settings: Settings, database: Store) -> int:
    from engine.command import settings_from
    from engine.plan import make_plan
    from live.session import find_resumable, resume_settings
    from strategies import registry

    reference = registry.reference(registry.load(args.strategy))
    run = find_resumable(database, settings.live.bot, reference, args.resume)
    recorded = resume_settings(run)
    _refuse_own_arguments(args, recorded)
    given = {**recorded, **{f"strategy.params.{name}": value for name, value in run.params.items()}}
    given |= {"live.bot": run.bot} | ({"live.speed": args.speed} if args.speed is not None else {})
    plan = make_plan(settings_from(args, given), args.strategy, run.settings.get("resample", ()))
    return _trade(args, plan, database, run)


def _refuse_own_arguments(args: argparse.Namespace, recorded: Iterable[str] = ()) -> None:
    """A run goes on as it began: with its own data, parameters, costs and limits."""
    given = [f"--{name}" for name in OWN if getattr(args, name)]
    given += [f"--set {key}" for key in _assigned(args) if key in recorded or key.startswith("strategy.")]
    if given:
        raise UserError(
            f"{given[0]} was given with --resume, but a run goes on as it began",
            hint=f"leave {given[0]} out, or start a new run without --resume",
        )


def _assigned(args: argparse.Namespace) -> dict[str, str]:
    from core.config import parse_assignments

    return parse_assignments(args.set)


def _trade(args: argparse.Namespace, plan: Plan, database: Store, run: RunRecord) -> int:
    from engine.command import bars_of
    from live.session import trade

    if not args.json:
        print(_headline(plan, resumed=run.run_id if args.resume is not None else ""), flush=True)
    total = bars_of(plan.market.frames)
    try:
        with _terminating_as_ctrl_c(), progress("replaying", total, enabled=not args.json) as on_bar:
            outcome = trade(plan, database, run, on_bar=on_bar, on_event=_printer(plan, quiet=args.json))
    except KeyboardInterrupt:
        return _stopped(args, run, "interrupted")
    return _report(args, plan, run, outcome)


@contextmanager
def _terminating_as_ctrl_c() -> Iterator[None]:
    """SIGTERM leaves the way SIGINT does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _headline(plan: Plan, *, resumed: str = "") -> str:
    info = plan.market.info
    lines = [WHAT_THIS_IS.format(names=", ".join(info.symbols), start=info.start, end=info.end)]
    given = ", ".join(f"{name}={value}" for name, value in redact(dict(plan.params)).items())
    lines.append(f"{plan.reference} with {given or 'no parameters'}")
    if not plan.market.report.untouched:
        lines.append(f"data: {plan.market.report.summary()}")
    if resumed:
        lines.append(f"going on with run {resumed}")
    return "\n".join(lines)


def _printer(plan: Plan, *, quiet: bool) -> Callable[[OrderEvent, OrderIntent], None]:
    """What to do with each event: fills and refusals are printed as they happen."""
    moment = "%Y-%m-%d %H:%M" if plan.intraday else "%Y-%m-%d"
    width = max(map(len, plan.market.frames))

    def show(event: OrderEvent, intent: OrderIntent) -> None:
        when = event.time.strftime(moment)
        if event.fill is not None:
            print(f"{when}  {_fill_line(event.fill, intent, width)}", flush=True)
        elif event.status in ("margin", "rejected"):
            reason = event.reason or "not enough cash"
            order = f"{intent.side:<4} {_plain(intent.size):>10} {intent.symbol:<{width}}"
            print(f"{when}  {order}  refused: {reason}", flush=True)

    return (lambda event, intent: None) if quiet else show


def _fill_line(fill: Fill, intent: OrderIntent, width: int) -> str:
    line = (
        f"{fill.side:<4} {_plain(fill.size):>10} {fill.symbol:<{width}} at {_plain(fill.price, decimals=2):>10}"
        f"  commission {float(fill.commission):>8,.2f}"
    )
    return f"{line}  {intent.exit_reason}" if intent.exit_reason else line


def _plain(value: Decimal, *, decimals: int = 0) -> str:
    """For people: thousands separated, at least so many decimals, and at most eight."""
    number = float(value)
    if abs(number) >= 100 and not number.is_integer():
        return f"{number:,.2f}"
    whole, _, fraction = f"{number:,.8f}".partition(".")
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _report(args: argparse.Namespace, plan: Plan, run: RunRecord, outcome: Outcome) -> int:
    from engine.command import print_result, summary

    if outcome.result is None or outcome.tearsheet is None:
        return _stopped(args, run, f"stopped after bar {outcome.bars:,} of {outcome.total:,}")
    if args.json:
        print_json(redact({"run": run.run_id, **summary(outcome.result, outcome.folder, outcome.tearsheet)}))
    else:
        print()
        print_result(outcome.result, outcome.tearsheet, next_command=_parity_command(args, plan))
    return 0


def _stopped(args: argparse.Namespace, run: RunRecord, what: str) -> int:
    again = _resume_command(args, run)
    if args.json:
        print_json({"run": run.run_id, "stopped": what, "resume": again})
    print(f"{what}; go on with: {again}", file=sys.stderr)
    return INTERRUPTED


def _resume_command(args: argparse.Namespace, run: RunRecord) -> str:
    """What to type to go on with the run: it remembers all but where its database is and how fast to go."""
    from live.session import resume_settings

    words = ["python", "-m", "live.run", args.strategy, "--resume", run.run_id]
    words += [] if args.speed is None else ["--speed", f"{args.speed:.15g}"]
    words += [] if args.config is None else ["--config", str(args.config)]
    for key, value in _assigned(args).items():
        if key not in resume_settings(run) and not key.startswith(("strategy.", "live.bot")):
            words += ["--set", f"{key}={value}"]
    return redact_text(shlex.join(words))


def _parity_command(args: argparse.Namespace, plan: Plan) -> str:
    """What to try next: the same strategy on the same bars, compared with a backtest."""
    from core.config import Settings
    from strategies import registry

    words = ["python", "-m", "engine.parity", args.strategy]
    data, plain = plan.settings.data, Settings().data
    words += [] if data.source == plain.source else ["--data", data.source]
    words += [] if data.start is None else ["--start", data.start.isoformat()]
    words += [] if data.end is None else ["--end", data.end.isoformat()]
    defaults = registry.resolve_params(plan.strategy, {})
    for name, value in redact(dict(plan.params)).items():
        if value != defaults[name]:
            words += ["--param", f"{name}={value}"]
    for timeframe in plan.resample:
        words += ["--resample", timeframe]
    return shlex.join(words)


if __name__ == "__main__":
    run_command(parser(), main)
