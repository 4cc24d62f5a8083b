#!/usr/bin/env python3
"""Trade a strategy: replaying a market on paper, or at a venue as its bars come.

python -m live.run momentum
python -m live.run momentum --resume
python -m live.run momentum --rehearse binance --faults all
python -m live.run momentum --broker binance --symbols BTC/USDT --live
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from core.cli import INTERRUPTED, print_json, progress, run_command
from core.redact import redact
from live.arguments import as_it_began, parser, refuse_own_arguments, settings_of, since_of

if TYPE_CHECKING:
    from core.config import Settings
    from live.rehearsal import Verdict
    from live.session import AnyPlan, Hooks, Outcome
    from store import RunRecord, Store


def main(args: argparse.Namespace) -> int:
    """Check, trade, report; the tearsheet's path is the last line."""
    import store

    settings = settings_of(args)
    if args.rehearse is not None and args.resume is None:
        return _rehearse(args, settings)
    with _attached(args) as hooks:
        if args.resume is not None:
            refuse_own_arguments(args)
            with store.open_store(settings.store.url, create=False) as database:
                return _resume(args, settings, database, hooks)
        return _start(args, _plan(args, settings), hooks)


@contextmanager
def _attached(args: argparse.Namespace) -> Iterator[Hooks | None]:
    """Hooks for the process that looks after this one, if one does."""
    if args.attached is None:
        yield None
        return
    from live.attached import Attached

    with Attached(args.attached) as attached:
        yield attached.hooks()


def _plan(args: argparse.Namespace, settings: Settings) -> AnyPlan:
    """What is about to run. A real venue needs consent; one that is down may be stood in for by paper."""
    from engine.plan import make_plan

    if settings.broker.name != "paper":
        from live.consent import require
        from live.plan import make_live_plan
        from live.profiles import VenueUnreachable, connection, reach

        found = connection(settings.broker.name, settings.broker.profile)
        plan = make_live_plan(settings, args.strategy, found, args.resample, since=since_of(args))
        require(found, live=args.live, confirm=settings.live.confirm, ask=not args.json)
        try:
            reach(found)
            return plan
        except VenueUnreachable as error:
            if settings.live.fallback != "paper":
                raise
            print(f"note: {error}; live.fallback: replaying on paper instead", file=sys.stderr)
        paper = settings.broker.model_copy(update={"name": "paper"})
        data = settings.data.model_copy(update={"timeframe": None, "symbols": None})
        settings = settings.model_copy(update={"broker": paper, "data": data})
    return make_plan(settings, args.strategy, args.resample)


def _start(args: argparse.Namespace, plan: AnyPlan, hooks: Hooks | None) -> int:
    import store
    from engine.command import new_run_folder
    from live.limits import check_limits
    from live.locks import alone
    from live.session import find_unfinished, start

    settings = plan.settings
    check_limits(plan)
    folder = new_run_folder(settings.reports.directory, plan.reference, plan.seed)
    with alone(plan), store.open_store(settings.store.url) as database:
        if args.go_on and (run := find_unfinished(plan, database)) is not None:
            args.resume = run.run_id
            return _report(args, plan, run, _traded(args, plan, database, run, hooks))
        unfinished = database.runs.resumable(settings.live.bot, plan.reference)
        if unfinished is not None and not args.json:
            print(
                f"note: run {unfinished.run_id} is unfinished; --resume goes on with it, this starts a new one"
            )
        run = start(plan, database, folder)
        return _report(args, plan, run, _traded(args, plan, database, run, hooks))


def _rehearse(args: argparse.Namespace, settings: Settings) -> int:
    """A session against a simulated venue that lives as long as it does."""
    import store
    from engine.command import new_run_folder
    from live.limits import check_limits
    from live.rehearsal import judge, rehearsing
    from live.session import start

    with rehearsing(settings, args.strategy, args.resample, args.faults) as (rehearsal, plan):
        check_limits(plan)
        folder = new_run_folder(settings.reports.directory, plan.reference, plan.seed)
        with store.open_store(settings.store.url) as database:
            run = start(plan, database, folder)
            outcome = _traded(args, plan, database, run, rehearsal.hooks())
            if outcome is None or outcome.bars < rehearsal.bars:
                print("the rehearsal was interrupted; nothing was compared", file=sys.stderr)
                return INTERRUPTED
            verdict = judge(rehearsal.sim, database.journal(run.run_id), rehearsal.faults)
    return _report(args, plan, run, outcome, verdict)


def _resume(args: argparse.Namespace, settings: Settings, database: Store, hooks: Hooks | None) -> int:
    from live.locks import alone
    from live.session import find_resumable, resume_settings
    from strategies import registry

    reference = registry.reference(registry.load(args.strategy))
    run = find_resumable(database, settings.live.bot, reference, args.resume)
    recorded = dict(resume_settings(run))
    refuse_own_arguments(args, recorded)
    recorded |= {f"strategy.params.{name}": value for name, value in run.params.items()}
    args.resample = list(run.settings.get("resample", ()))
    plan = _plan(args, as_it_began(args, {**recorded, "live.bot": run.bot, "live.fallback": "none"}))
    with alone(plan):
        return _report(args, plan, run, _traded(args, plan, database, run, hooks))


def _traded(
    args: argparse.Namespace, plan: AnyPlan, database: Store, run: RunRecord, hooks: Hooks | None = None
) -> Outcome | None:
    """Trade, and show it; None when it was interrupted for a second time."""
    from dataclasses import replace

    from live.session import Hooks, trade
    from live.wire import on_record
    from live.words import headline, printer

    if not args.json:
        print(headline(plan, resumed=run.run_id if args.resume is not None else ""), flush=True)
    hooks = hooks or Hooks()
    given = hooks.on_bar
    try:
        with (
            _terminating_as_ctrl_c(),
            on_record(plan, args.record_wire) as traded,
            _shown(args, plan) as on_bar,
        ):

            def both(bars: int) -> None:
                on_bar(bars)
                given(bars)

            hooks = replace(hooks, on_bar=both, on_event=printer(plan, quiet=args.json))
            return trade(traded, database, run, hooks, record=args.record)
    except KeyboardInterrupt:
        return None


def _shown(args: argparse.Namespace, plan: AnyPlan) -> AbstractContextManager[Callable[..., None]]:
    """The progress line."""
    from engine.command import bars_of
    from engine.plan import Plan

    if isinstance(plan, Plan):
        return progress("replaying", bars_of(plan.market.frames), enabled=not args.json)
    return progress("trading", plan.settings.live.bars, enabled=not args.json)


@contextmanager
def _terminating_as_ctrl_c() -> Iterator[None]:
    """SIGTERM leaves the way SIGINT does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(
    args: argparse.Namespace,
    plan: AnyPlan,
    run: RunRecord,
    outcome: Outcome | None,
    verdict: Verdict | None = None,
) -> int:
    from analyzers.limit_fills import line
    from engine.command import print_result, summary
    from engine.plan import Plan
    from live.plan import LivePlan
    from live.words import differed, left_at_venue, parity_command, resume_command

    if outcome is None:
        return _stopped(args, run, "interrupted")
    again = resume_command(args, run) if outcome.resumable else ""
    if outcome.result is None or outcome.tearsheet is None:
        total = "" if outcome.total is None else f" of {outcome.total:,}"
        return _stopped(args, run, f"stopped after bar {outcome.bars:,}{total}")
    if args.json:
        document = summary(outcome.result, outcome.folder, outcome.tearsheet)
        if isinstance(plan, LivePlan):
            left = {"held": dict(outcome.left.positions), "resting": outcome.left.orders}
            document |= {"left": left, "resume": again or None, "differences": list(outcome.differences)}
        if verdict is not None:
            document["rehearsal"] = verdict.as_dict()
        print_json(redact({"run": run.run_id, **document}))
        return 0
    print()
    if isinstance(plan, LivePlan):
        worked = outcome.result.meta.get("entries")
        lines = [*(verdict.lines() if verdict else ()), line(worked) if worked else ""]
        lines.append(left_at_venue(outcome.left))
        lines.append(differed(outcome.differences))
        print(*filter(None, [*lines, again and f"go on with: {again}"]), sep="\n")
    following = parity_command(args, plan) if isinstance(plan, Plan) else ""
    print_result(outcome.result, outcome.tearsheet, next_command=following)
    return 0


def _stopped(args: argparse.Namespace, run: RunRecord, what: str) -> int:
    from live.words import resume_command

    again = resume_command(args, run)
    if args.json:
        print_json({"run": run.run_id, "stopped": what, "resume": again})
    print(f"{what}; go on with: {again}", file=sys.stderr)
    return INTERRUPTED


if __name__ == "__main__":
    run_command(parser(), main)
