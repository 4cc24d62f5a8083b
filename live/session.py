"""One session: a run on record, its folder and its lock; the replay through the live path; the report.

A session that was killed goes on with `resume`: see `brokers.executor` for how.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

import pandas as pd

from brokers.bookkeeping import Bookkeeper
from brokers.paper import PaperVenue
from brokers.risk import DailyLoss, RiskGate, risk_limits
from core.clock import WallClock
from core.errors import StoreError, TradewrightError, UserError
from core.telemetry import close_logging, configure_logging, get_logger
from core.types import OrderEvent, OrderIntent
from engine.command import bars_of
from engine.plan import Plan, fingerprint
from engine.replay import PaperReplay
from engine.result import run_result

if TYPE_CHECKING:
    from core.results import RunResult
    from engine.recording import Recording
    from store import RunRecord, Store

VENUE_FILE = "paper.db"
LOCK_FILE = "lock"
DAILY_LOSS = "daily_loss"

log = get_logger("live.session")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended. result and tearsheet are None when it was stopped before the last bar."""

    run_id: str
    folder: Path
    bars: int
    total: int
    result: RunResult | None = None
    tearsheet: Path | None = None


def check(plan: Plan) -> None:
    """Refuse limits that cannot be kept, before anything is written."""
    risk_limits(plan.settings.risk, intraday=plan.intraday)


def start(plan: Plan, store: Store, folder: Path) -> RunRecord:
    """Put a new run on record; nothing is traded yet."""
    bot = plan.settings.live.bot
    folder.mkdir(parents=True)
    return store.runs.create(
        folder.name,
        bot=bot,
        strategy=plan.reference,
        started=WallClock().now(),
        params=plan.params,
        venue=PaperVenue.name,
        data=plan.settings.data.source,
        folder=str(folder),
        settings={**plan.recorded(), DAILY_LOSS: _carried_over(plan, store, bot)},
    )


def _carried_over(plan: Plan, store: Store, bot: str) -> Mapping[str, Any] | None:
    """What the bot's earlier runs say about today's loss, unless this market begins before they ended."""
    earlier = store.runs.list(bot=bot, limit=1)
    if not earlier:
        return None
    stored = store.journal(earlier[0].run_id).risk().get(DAILY_LOSS)
    last = DailyLoss.from_dict(stored).last if stored else None
    return stored if last is not None and last < plan.market.info.start else None


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


def trade(
    plan: Plan,
    store: Store,
    run: RunRecord,
    *,
    on_bar: Callable[[int], None] = lambda bars: None,
    on_event: Callable[[OrderEvent, OrderIntent], None] = lambda event, intent: None,
    on_step: Callable[[str], None] = lambda name: None,
) -> Outcome:
    """Trade the run to its end, or until SIGINT or SIGTERM asks it to stop after the current bar."""
    folder = Path(run.folder)
    with ExitStack() as stack:
        stack.enter_context(_locked(folder))
        configure_logging(plan.settings.log, run_dir=folder)
        stack.callback(close_logging)
        _check_same_data(plan, run)
        store.runs.resume(run.run_id)
        replay = _replay(plan, store, run, on_bar=on_bar, on_event=on_event, on_step=on_step)
        log.info("session.started", run=run.run_id, strategy=plan.reference, pid=os.getpid())
        try:
            with _stopping_on_signals(replay.request_stop):
                recording = replay.run()
        except TradewrightError as error:
            _note_failure(plan, store, run, error)
            raise
        total = bars_of(plan.market.frames)
        if not replay.complete:
            store.runs.stop(run.run_id, finished=WallClock().now(), reason="asked to stop")
            log.info("session.stopped", run=run.run_id, bars=len(recording.equity))
            return Outcome(run.run_id, folder, len(recording.equity), total)
        return _finish(plan, store, run, _result(plan, run, recording), total)


def _replay(
    plan: Plan,
    store: Store,
    run: RunRecord,
    *,
    on_bar: Callable[[int], None],
    on_event: Callable[[OrderEvent, OrderIntent], None],
    on_step: Callable[[str], None],
) -> PaperReplay:
    broker, journal = plan.settings.broker, store.journal(run.run_id)
    # A resumed run repeats its bars from the first, and so comes to the state it was killed in by itself.
    carried = run.settings.get(DAILY_LOSS)
    gate = RiskGate(
        risk_limits(plan.settings.risk, intraday=plan.intraday),
        daily_loss=DailyLoss.from_dict(carried) if carried else None,
        save=lambda state: journal.save_risk(DAILY_LOSS, state.as_dict()),
    )
    books = Bookkeeper(store.trades(run.run_id), store.positions(run.run_id))
    state = Path(run.folder) / VENUE_FILE
    return PaperReplay(
        plan.strategy,
        plan.params,
        plan.market.frames,
        lambda: PaperVenue(
            broker.cash, broker.commission, state=state, currency=broker.currency, on_step=on_step
        ),
        journal,
        broker.cash,
        broker.commission,
        bot=plan.settings.live.bot,
        reference=plan.reference,
        resample=plan.resample,
        risk=gate,
        speed=plan.settings.live.speed,
        on_bar=on_bar,
        on_event=on_event,
        on_step=on_step,
        book=books.book,
    )


def _result(plan: Plan, run: RunRecord, recording: Recording) -> RunResult:
    broker = plan.settings.broker
    return run_result(
        "paper",
        plan.reference,
        plan.params,
        plan.market,
        recording,
        engine="cerebro",
        reason="the live path, on the paper venue",
        costs={"cash": broker.cash, "commission": broker.commission},
        resample=plan.resample,
        meta={"run": run.run_id, "bot": run.bot, "config": plan.settings.public()},
    )


def _finish(plan: Plan, store: Store, run: RunRecord, result: RunResult, total: int) -> Outcome:
    from reports import write_run

    folder = Path(run.folder)
    tearsheet = write_run(result, folder, settings=plan.settings.reports)
    times = pd.DatetimeIndex(result.equity.index).to_pydatetime()
    store.metrics(run.run_id).record("equity", zip(times, result.equity, strict=True))
    store.runs.finish(run.run_id, finished=WallClock().now(), metrics=dict(result.metrics))
    log.info("session.finished", run=run.run_id, bars=len(result.equity), fills=len(result.fills))
    return Outcome(run.run_id, folder, len(result.equity), total, result, tearsheet)


def _check_same_data(plan: Plan, run: RunRecord) -> None:
    recorded = run.settings.get("fingerprint")
    if recorded != fingerprint(plan.market.frames):
        raise UserError(
            f"the bars of {plan.settings.data.source} are not those run {run.run_id} began with",
            hint="restore the file, or start a new run without --resume",
        )


def _note_failure(plan: Plan, store: Store, run: RunRecord, error: TradewrightError) -> None:
    """Put the reason on record; a database that is the reason cannot take it."""
    if plan.settings.log.console != "json":
        # The command says it on the screen; a second line would only repeat it.
        configure_logging(plan.settings.log.model_copy(update={"console": "off"}), run_dir=Path(run.folder))
    log.error("session.failed", run=run.run_id, code=error.code, reason=str(error))
    if not isinstance(error, StoreError):
        store.runs.fail(run.run_id, finished=WallClock().now(), reason=str(error))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second process away from this run; the lock goes with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK_FILE, "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"run {folder.name} is being traded by process {_holder(file)}", hint="stop that one first"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"


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
    recorded: Mapping[str, Any] = run.settings.get("settings", {})
    # Nothing at all would let the environment speak; "none" says that the run began without.
    return {key: "none" if value is None else value for key, value in recorded.items()}
