"""One session: a run on record, its folder and its lock; the live path, to its end or until it is told to; the report.

A session that was killed goes on with `resume`: see `brokers.executor` for how.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyzers.limit_fills import limit_fills, summary
from brokers.ending import Left
from brokers.reconciling import Reconciler
from brokers.spooled import SpooledJournal
from core.alerts import ErrorRate, watching_errors
from core.clock import WallClock
from core.errors import StoreError, StoreUnavailable, TradewrightError, UserError
from core.jsontext import jsonable
from core.recovery import Policy, Recovery, parse_overrides
from core.telemetry import close_logging, configure_logging, get_logger
from core.types import OrderEvent, OrderIntent
from engine.live_path import LivePath
from engine.plan import Plan
from live.journal import check_taken_over, open_journal
from live.limits import carried_over, risk_gate
from live.locks import locked
from live.monitor import AccountMonitor, metrics_served
from live.plan import LivePlan
from live.profiles import VenueUnreachable
from live.tape import Tape
from live.work import LiveWork, OnState, ReplayWork, Work

if TYPE_CHECKING:
    from core.results import RunResult
    from engine.recording import Recording
    from store import RunRecord, Store

LOCK_FILE = "lock"
MERGED = "live.merge.exchanges"
"""A run that has not written it down began before there was any merging."""
ALERTS = "error_alerts"
"""The series of moments at which an alert was raised or taken back, and how many errors there were."""

log = get_logger("live.session")

AnyPlan = Plan | LivePlan


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended. result and tearsheet are None when it was stopped before it had any.

    total: bars there would have been. left: what is held and rests at the venue. resumable: whether it can go on.
    differences: on what journal and venue differed while it ran.
    """

    run_id: str
    folder: Path
    bars: int
    total: int | None
    result: RunResult | None = None
    tearsheet: Path | None = None
    left: Left = field(default_factory=Left)
    resumable: bool = False
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a session tells while it runs.

    on_path gets the run's id and what is about to run, before it is connected; on_open what ends it, once it is; the
    others: see `LivePath`.
    """

    on_bar: Callable[[int], None] = lambda bars: None
    on_event: Callable[[OrderEvent, OrderIntent], None] = lambda event, intent: None
    on_step: Callable[[str], None] = lambda name: None
    on_state: OnState = lambda symbol, state: None
    on_path: Callable[[str, LivePath], None] = lambda run, path: None
    on_open: Callable[[Callable[[], None]], None] = lambda stop: None


def start(plan: AnyPlan, store: Store, folder: Path) -> RunRecord:
    """Put a new run on record; nothing is traded yet."""
    bot, work = plan.settings.live.bot, _work(plan, folder, Tape(), Hooks())
    folder.mkdir(parents=True)
    return store.runs.create(
        folder.name,
        bot=bot,
        strategy=plan.reference,
        started=WallClock().now(),
        params=plan.params,
        venue=work.venue,
        data=work.data,
        folder=str(folder),
        settings={**plan.recorded(), **carried_over(store, bot, work.begins)},
    )


def _work(plan: AnyPlan, folder: Path, tape: Tape, hooks: Hooks) -> Work:
    if isinstance(plan, LivePlan):
        return LiveWork(plan, folder, tape, hooks.on_state)
    return ReplayWork(plan, folder)


def find_resumable(store: Store, bot: str, strategy: str, wanted: str) -> RunRecord:
    """The run to go on with: `wanted` by id, or the latest unfinished one when it is empty."""
    run = store.runs.get(wanted) if wanted else store.runs.resumable(bot, strategy)
    if run is None:
        raise UserError(
            f"bot {bot} has no unfinished run of {strategy}",
            hint=f"start one: python -m live.run {strategy}",
        )
    if run.status == "finished":
        raise UserError(f"run {run.run_id} has finished", hint="leave --resume out to start a new one")
    if run.strategy != strategy:
        raise UserError(
            f"run {run.run_id} is of {run.strategy}",
            hint=f"resume it: python -m live.run {run.strategy} --resume {run.run_id}",
        )
    if not Path(run.folder).is_dir():
        raise UserError(
            f"the folder of run {run.run_id}, {run.folder}, is not here",
            hint="go to the folder it was started in, or start a new run without --resume",
        )
    return run


def find_unfinished(plan: AnyPlan, store: Store) -> RunRecord | None:
    """The bot's latest run of the strategy, to go on with, failed or not; None where that has finished, or is none.

    Raises UserError when it began with another configuration.
    """
    bot = plan.settings.live.bot
    latest = next((run for run in store.runs.list(bot=bot) if run.strategy == plan.reference), None)
    if latest is None or latest.status == "finished":
        return None
    run = find_resumable(store, bot, plan.reference, latest.run_id)
    now, then = _of_the_run(plan.recorded(), plan.params), _of_the_run(run.settings, run.params)
    # What the run has not written down was not there yet when it began.
    changed = sorted(key for key in then if now.get(key) != then[key])
    if changed:
        raise UserError(
            f"run {run.run_id} began with another {', '.join(changed)}",
            hint="put that back, or let the run end with live.on_stop=flatten before you go on",
        )
    return run


def _of_the_run(recorded: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    settings = {**recorded.get("settings", {}), "resample": list(recorded.get("resample", ()))}
    found: dict[str, Any] = jsonable({**settings, **params})
    return found


def trade(
    plan: AnyPlan, store: Store, run: RunRecord, hooks: Hooks | None = None, *, record: Path | None = None
) -> Outcome:
    """Trade the run to its end, or until SIGINT or SIGTERM asks it to stop after the current bar.

    record: a file for the bars of a live session.
    """
    folder, hooks = Path(run.folder), hooks or Hooks()
    with ExitStack() as stack:
        stack.enter_context(locked(folder / LOCK_FILE, lambda process: _traded_elsewhere(folder, process)))
        tape = stack.enter_context(Tape(record))
        configure_logging(plan.settings.log, run_dir=folder)
        stack.callback(close_logging)
        work = _work(plan, folder, tape, hooks)
        stack.callback(work.close)
        work.check(run)
        store.runs.resume(run.run_id)
        journal = open_journal(store, run)
        stack.callback(journal.close)
        monitor = _monitor(plan, work, store, run)
        reconciler = Reconciler(plan.settings.live.reconcile_seconds, journal.save_risk)
        path = _path(plan, work, store, journal, run, hooks, monitor)
        hooks.on_path(run.run_id, path)
        stack.enter_context(metrics_served(plan.settings.live.account.metrics_port))
        live = plan.settings.live
        rate = ErrorRate(live.alert_errors, live.alert_seconds, path.gateway.later)
        stack.enter_context(watching_errors(rate))
        log.info(
            "session.started", run=run.run_id, strategy=plan.reference, venue=work.venue, pid=os.getpid()
        )
        try:
            with _stopping_on_signals(path.request_stop):
                work.open(path)
                path.gateway.run_beside(monitor.by_the_clock)
                if work.endless:
                    path.gateway.run_beside(reconciler.by_the_clock)
                hooks.on_open(path.request_stop)
                path.on_bar = work.counted(hooks.on_bar, path.request_stop)
                recording = path.run()
            if work.watch is not None and work.watch.failure is not None:
                raise work.watch.failure
        except TradewrightError as error:
            _note_failure(plan, store, run, error, rate)
            raise
        check_taken_over(journal, run)
        store.metrics(run.run_id).record(ALERTS, rate.points)
        ended = _end(plan, work, store, run, path, recording)
        return replace(ended, differences=reconciler.differences)


def _monitor(plan: AnyPlan, work: Work, store: Store, run: RunRecord) -> AccountMonitor:
    live = plan.settings.live
    emits = work.endless or live.speed is not None
    return AccountMonitor(live.account, live.bot, store.metrics(run.run_id), emits=emits)


def _path(
    plan: AnyPlan,
    work: Work,
    store: Store,
    journal: SpooledJournal,
    run: RunRecord,
    hooks: Hooks,
    monitor: AccountMonitor,
) -> LivePath:
    broker = plan.settings.broker
    path = LivePath(
        plan.strategy,
        plan.params,
        work.feeds(),
        lambda: work.make_venue(hooks.on_step, journal),
        journal,
        broker.cash,
        broker.commission,
        bot=plan.settings.live.bot,
        reference=plan.reference,
        resample=plan.resample,
        risk=risk_gate(
            plan,
            store,
            run,
            work.begins,
            journal.save_risk,
            monitor.take,
            rules=[*work.rules, *([work.watch] if work.watch is not None else [])],
        ),
        ending=work.ending,
        quick=work.quick,
        on_event=hooks.on_event,
        on_step=hooks.on_step,
        on_tape=work.on_tape,
        book=journal.book,
    )
    monitor.quiet = lambda: path.gateway.recovering
    return path


def _end(
    plan: AnyPlan, work: Work, store: Store, run: RunRecord, path: LivePath, recording: Recording
) -> Outcome:
    """Put the end on record, and report what has a result: a whole replay, or a live session whenever it ends."""
    folder, bars = Path(run.folder), len(recording.equity)
    over = path.complete or path.flattened or _rehearsed(plan)
    result, tables = None, {}
    if bars and (path.complete or work.endless):
        worked = limit_fills(store.journal(run.run_id))
        result = work.result(run, recording, {"entries": summary(worked)} if worked else {})
        tables = {"entries": pd.DataFrame(map(asdict, worked))} if worked else {}
    now = WallClock().now()
    if over:
        if result is not None:
            times = pd.DatetimeIndex(result.equity.index).to_pydatetime()
            store.metrics(run.run_id).record("equity", zip(times, result.equity, strict=True))
        store.runs.finish(run.run_id, finished=now, metrics=dict(result.metrics) if result else {})
    else:
        store.runs.stop(run.run_id, finished=now, reason="asked to stop")
    log.info(
        "session.finished" if over else "session.stopped",
        run=run.run_id,
        bars=bars,
        fills=len(recording.fills),
        held=dict(path.left.positions),
        resting=path.left.orders,
    )
    tearsheet = None
    if result is not None:
        from reports import write_run

        # Last: what is on record does not depend on it.
        tearsheet = write_run(result, folder, settings=plan.settings.reports, tables=tables)
    return Outcome(run.run_id, folder, bars, work.total, result, tearsheet, path.left, not over)


def _rehearsed(plan: AnyPlan) -> bool:
    return isinstance(plan, LivePlan) and plan.rehearsed


def _note_failure(
    plan: AnyPlan, store: Store, run: RunRecord, error: TradewrightError, rate: ErrorRate
) -> None:
    """Put the reason on record, and whether to start again; a database that is the reason cannot take it."""
    policy = Policy(parse_overrides(plan.settings.live.recovery))
    error.exit_code = policy.exit_code(error)
    if plan.settings.log.console != "json":
        # The command says it on the screen; a second line would only repeat it.
        configure_logging(plan.settings.log.model_copy(update={"console": "off"}), run_dir=Path(run.folder))
    log.error("session.failed", run=run.run_id, code=error.code, reason=str(error), recovery=policy.of(error))
    if isinstance(error, StoreError):
        return
    halted = policy.of(error) is Recovery.HALT and not isinstance(error, VenueUnreachable)
    end = store.runs.fail if halted else store.runs.stop
    with suppress(StoreUnavailable):
        store.metrics(run.run_id).record(ALERTS, rate.points)
        end(run.run_id, finished=WallClock().now(), reason=str(error))


def _traded_elsewhere(folder: Path, process: str) -> UserError:
    return UserError(f"run {folder.name} is being traded by process {process}", hint="stop that one first")


@contextmanager
def _stopping_on_signals(request_stop: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM asks for an end after the current bar; a second one is as usual."""
    before: dict[signal.Signals, Any] = {}

    def handler(number: int, frame: FrameType | None) -> None:
        request_stop()
        signal.signal(number, before[signal.Signals(number)])

    for which in (signal.SIGINT, signal.SIGTERM):
        before[which] = signal.signal(which, handler)
    try:
        yield
    finally:
        for which, previous in before.items():
            signal.signal(which, previous)


def resume_settings(run: RunRecord) -> Mapping[str, Any]:
    """The configuration a run began with, as dotted keys: what `--resume` goes on with."""
    recorded: Mapping[str, Any] = {MERGED: None, **run.settings.get("settings", {})}
    # Nothing at all would let the environment speak; "none" says that the run began without.
    return {key: "none" if value is None else value for key, value in recorded.items()}
