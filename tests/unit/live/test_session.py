"""A run on record: its folder and lock, what it remembers, how it ends."""

from __future__ import annotations

import fcntl
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import reports
import store
from core.config import load_settings
from core.errors import InconsistentState, OutcomeUnknown, StrategyError, TradewrightError, UserError
from core.telemetry import get_logger
from engine.plan import Plan, make_plan
from live import session
from live.limits import DAILY_LOSS, check_limits
from store import RunStatus, Store

STRATEGY = """
import backtrader as bt


class Turns(bt.Strategy):
    params = (("fail_at", 0),)

    def next(self):
        if len(self) == self.p.fail_at:
            raise ValueError("as planned")
        self.close() if self.position else self.buy()
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """20 daily bars and a strategy, in the working folder."""
    monkeypatch.chdir(tmp_path)
    close = 100 + np.arange(20.0)
    times = pd.date_range("2024-01-01", periods=20, freq="1D").strftime("%Y-%m-%d")
    shape = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1.0}
    pd.DataFrame({"date": times, **shape}).to_csv("m.csv", index=False)
    Path("turns.py").write_text(STRATEGY)
    return planned()


def planned(**given: Any) -> Plan:
    settings = load_settings(
        cli={"data.source": "csv:m.csv", "log.console": "off", **given}, env={}, dotenv=None
    )
    return make_plan(settings, "turns.py:Turns")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Store]:
    with store.open_store(f"sqlite:///{tmp_path}/runs.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "write_run", lambda result, out, **given: out / "tearsheet.html")


def test_start_puts_all_that_orders_depend_on_on_record(plan: Plan, database: Store) -> None:
    run = session.start(plan, database, Path("runs/first"))
    assert (run.run_id, run.status, run.bot) == ("first", RunStatus.RUNNING, "default")
    assert Path(run.folder).is_dir()
    recorded = run.settings["settings"]
    assert {key.partition(".")[0] for key in recorded} == {"data", "broker", "risk"}
    assert recorded["broker.cash"] == 100_000
    assert recorded["risk.max_daily_loss"] is None


def test_what_was_recorded_wins_over_the_environment(plan: Plan, database: Store) -> None:
    run = session.start(planned(**{"risk.max_daily_loss": 0.1}), database, Path("runs/first"))
    env = {
        "APP_RISK__MAX_DAILY_LOSS": "0.5",
        "APP_RISK__MAX_POSITION_SIZE": "3",
        "APP_DATA__START": "2024-01-05",
    }
    settings = load_settings(cli=session.resume_settings(run), env=env, dotenv=None)
    assert settings.risk.max_daily_loss == 0.1
    assert settings.risk.max_position_size is None, "the run began without one"
    assert settings.data.start is None


def test_a_run_to_its_end(plan: Plan, database: Store) -> None:
    bars: list[int] = []
    fills: list[str] = []
    outcome = session.trade(
        plan,
        database,
        session.start(plan, database, Path("runs/first")),
        session.Hooks(
            on_bar=bars.append,
            on_event=lambda event, intent: fills.append(intent.client_id) if event.fill else None,
        ),
    )
    assert bars == list(range(1, 21))
    assert outcome.result is not None
    assert len(fills) == len(outcome.result.fills) == 19
    assert (outcome.bars, outcome.total) == (20, 20)
    assert database.runs.get("first").status == RunStatus.FINISHED
    with pytest.raises(UserError, match="has finished"):
        session.find_resumable(database, "default", plan.reference, "first")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_bar_and_it_goes_on(
    plan: Plan, database: Store, number: signal.Signals
) -> None:
    """L25"""
    before = signal.getsignal(number)
    run = session.start(plan, database, Path("runs/first"))
    hooks = session.Hooks(on_bar=lambda bars: signal.raise_signal(number) if bars == 7 else None)
    outcome = session.trade(plan, database, run, hooks)
    assert signal.getsignal(number) is before
    assert (outcome.result, outcome.bars) == (None, 7)
    assert database.runs.get("first").status == RunStatus.STOPPED
    found = session.find_resumable(database, "default", plan.reference, "")
    resumed = session.trade(plan, database, found)
    whole = session.trade(plan, database, session.start(plan, database, Path("runs/second")))
    assert resumed.result is not None
    assert whole.result is not None
    pd.testing.assert_frame_equal(resumed.result.fills, whole.result.fills, check_exact=True)
    pd.testing.assert_series_equal(resumed.result.equity, whole.result.equity, check_exact=True)


def test_a_storm_of_errors_is_one_alert_on_record(plan: Plan, database: Store) -> None:
    """P18: in the log, and as a series of the run."""
    log = get_logger("feeds.live")
    hooks = session.Hooks(on_bar=lambda bars: [log.warning("feed.lost", bar=bars) for _ in range(3)] and None)
    session.trade(plan, database, session.start(plan, database, Path("runs/first")), hooks)
    events = [json.loads(line)["event"] for line in Path("runs/first/log.jsonl").read_text().splitlines()]
    assert events.count("feed.lost") == 60
    assert events.count("alert.errors") == 1
    assert [count for _, count in database.metrics("first").series(session.ALERTS)] == [10.0]


@pytest.mark.parametrize(
    ("error", "overrides", "code", "status"),
    [
        (OutcomeUnknown("lost"), "", 1, RunStatus.STOPPED),
        (OutcomeUnknown("lost"), "outcome-unknown=halt", 2, RunStatus.FAILED),
        (InconsistentState("drift"), "", 2, RunStatus.FAILED),
    ],
)
def test_the_class_of_an_error_decides_whether_it_is_started_again(
    plan: Plan, database: Store, error: TradewrightError, overrides: str, code: int, status: RunStatus
) -> None:
    """P17: what may be started again can be gone on with; what halts stays ended."""

    def fail(bars: int) -> None:
        if bars == 7:
            raise error

    plan = planned(**{"live.recovery": overrides})
    with pytest.raises(type(error)) as ended:
        session.trade(
            plan, database, session.start(plan, database, Path("runs/first")), session.Hooks(on_bar=fail)
        )
    assert ended.value.exit_code == code
    assert database.runs.get("first").status == status
    if status == RunStatus.STOPPED:
        found = session.find_resumable(database, "default", plan.reference, "")
        assert session.trade(plan, database, found).bars == 20


def test_a_failing_strategy_is_on_record_and_in_the_log_once(plan: Plan, database: Store) -> None:
    plan = replace(plan, params={"fail_at": 5})
    with pytest.raises(StrategyError, match="as planned"):
        session.trade(plan, database, session.start(plan, database, Path("runs/first")))
    run = database.runs.get("first")
    assert run.status == RunStatus.FAILED
    assert "turns.py:10" in run.reason
    lines = [json.loads(line) for line in Path("runs/first/log.jsonl").read_text().splitlines()]
    assert [line["level"] for line in lines if line["event"] == "session.failed"] == ["error"]
    with pytest.raises(UserError, match="no unfinished run"):
        session.find_resumable(database, "default", plan.reference, "")


def test_a_run_that_is_being_traded_is_locked(plan: Plan, database: Store) -> None:
    run = session.start(plan, database, Path("runs/first"))
    with open("runs/first/lock", "w") as file:
        file.write("4711")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="is being traded by process 4711; stop that one first"):
            session.trade(plan, database, run)
    assert session.trade(plan, database, run).result is not None


def test_other_bars_than_it_began_with_are_refused(plan: Plan, database: Store) -> None:
    run = session.start(plan, database, Path("runs/first"))
    frame = pd.read_csv("m.csv")
    frame.loc[3, "close"] += 0.25
    frame.to_csv("m.csv", index=False)
    with pytest.raises(UserError, match="are not those run first began with"):
        session.trade(planned(), database, run)


def test_runs_that_cannot_be_resumed(plan: Plan, database: Store) -> None:
    session.start(plan, database, Path("runs/first"))
    with pytest.raises(UserError, match="--resume first"):
        session.find_resumable(database, "default", "momentum", "first")
    with pytest.raises(UserError, match="bot other has no unfinished run"):
        session.find_resumable(database, "other", plan.reference, "")
    Path("runs/first").rmdir()
    with pytest.raises(UserError, match=r"runs/first, is not here; go to the folder it was started in"):
        session.find_resumable(database, "default", plan.reference, "")


def test_an_unknown_calendar_is_refused_before_anything_is_written(plan: Plan) -> None:
    """L17"""
    with pytest.raises(UserError, match="unknown trading calendar"):
        check_limits(planned(**{"risk.trading_calendar": "XNYX"}))
    check_limits(planned(**{"risk.trading_calendar": "XNYS"}))


@pytest.mark.parametrize(("last", "carried"), [("2023-12-31T23:00", True), ("2024-01-01T00:00", False)])
def test_a_days_loss_is_carried_to_later_bars_only(
    plan: Plan, database: Store, last: str, carried: bool
) -> None:
    """L15: the market begins on 2024-01-01 at midnight."""
    database.runs.create("earlier", bot="default", strategy="x", started=datetime(2024, 2, 1, tzinfo=UTC))
    state = {"day": last[:10], "last": f"{last}:00+00:00", "opening": "100", "equity": "90", "halted": True}
    database.journal("earlier").save_risk(DAILY_LOSS, state)
    run = session.start(plan, database, Path("runs/first"))
    assert run.settings[DAILY_LOSS] == (state if carried else None)


def test_what_a_bot_goes_on_with(plan: Plan, database: Store) -> None:
    """A failed run, too; not a finished one, and not one that began otherwise."""
    assert session.find_unfinished(plan, database) is None
    run = session.start(plan, database, Path("runs/first"))
    database.runs.fail(run.run_id, finished=run.started, reason="lost")
    found = session.find_unfinished(plan, database)
    assert found is not None
    assert found.run_id == run.run_id
    broker = plan.settings.broker.model_copy(update={"cash": 1.0})
    changed = replace(plan, settings=plan.settings.model_copy(update={"broker": broker}))
    with pytest.raises(UserError, match=r"run first began with another broker\.cash; put that back"):
        session.find_unfinished(changed, database)
    assert session.trade(plan, database, run).result is not None
    assert session.find_unfinished(plan, database) is None
