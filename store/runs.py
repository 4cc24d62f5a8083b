"""Bots and their runs."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, func, select, update

from core.errors import IllegalTransition, UnknownNameError, UserError
from store.database import Database
from store.models import Bot, FillRow, Run, RunStatus
from store.prepared import Row
from store.rows import table

_BOTS, _RUNS, _FILLS = table(Bot), table(Run), table(FillRow)
_RUN = select(_RUNS).where(_RUNS.c.run_id == bindparam("run_id"))
_RESUMABLE = (
    select(_RUNS)
    .where(
        _RUNS.c.bot == bindparam("bot"),
        _RUNS.c.strategy == bindparam("strategy"),
        _RUNS.c.status.in_([RunStatus.RUNNING, RunStatus.STOPPED]),
    )
    .order_by(_RUNS.c.started.desc(), _RUNS.c.run_id.desc())
    .limit(1)
)
_NEWEST = select(_RUNS).order_by(_RUNS.c.started.desc(), _RUNS.c.run_id.desc())
_EARLIER = _NEWEST.where(
    _RUNS.c.bot == bindparam("bot"),
    _RUNS.c.venue == bindparam("venue"),
    _RUNS.c.started < bindparam("started"),
    exists().where(
        _FILLS.c.run_id == _RUNS.c.run_id,
        _FILLS.c.time >= bindparam("since"),
        _FILLS.c.time < bindparam("before"),
    ),
)
_BOTS_WITH_RUNS = (
    select(_BOTS, func.count(_RUNS.c.run_id).label("runs"))
    .outerjoin(_RUNS, _RUNS.c.bot == _BOTS.c.name)
    .group_by(_BOTS.c.name, _BOTS.c.created)
    .order_by(_BOTS.c.name)
)
_MOVE = update(_RUNS).where(_RUNS.c.run_id == bindparam("key"))

LEGAL = {
    RunStatus.RUNNING: frozenset(RunStatus),
    RunStatus.STOPPED: frozenset({RunStatus.RUNNING, RunStatus.STOPPED, RunStatus.FAILED}),
    RunStatus.FAILED: frozenset({RunStatus.RUNNING, RunStatus.FAILED}),
    RunStatus.FINISHED: frozenset[RunStatus](),
}


@dataclass(frozen=True, slots=True)
class BotRecord:
    """One bot instance and how many runs it has had."""

    name: str
    created: datetime
    runs: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. metrics: from `analyzers.metrics`, once it has finished. reason: why it stopped or failed."""

    run_id: str
    bot: str
    strategy: str
    started: datetime
    status: RunStatus = RunStatus.RUNNING
    params: Mapping[str, Any] = field(default_factory=dict)
    venue: str = ""
    data: str = ""
    folder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    finished: datetime | None = None
    metrics: Mapping[str, Any] | None = None
    reason: str = ""


class BotRepository:
    """Bots by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, name: str, *, created: datetime) -> BotRecord:
        """The bot of that name, made if there is none."""
        self._database.write(self._database.insert_new(_BOTS), {"name": name, "created": created})
        return self.get(name)

    def get(self, name: str) -> BotRecord:
        """One bot; UnknownNameError offers the nearest name."""
        known = {bot.name: bot for bot in self.list()}
        if name not in known:
            raise UnknownNameError("bot", name, known)
        return known[name]

    def list(self) -> list[BotRecord]:
        """All bots, by name."""
        found = self._database.rows(_BOTS_WITH_RUNS)
        return [BotRecord(row["name"], row["created"], row["runs"]) for row in found]


class RunRepository:
    """Runs by id; a status only takes steps that exist."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bots = BotRepository(database)

    def create(
        self,
        run_id: str,
        *,
        bot: str,
        strategy: str,
        started: datetime,
        params: Mapping[str, Any] | None = None,
        venue: str = "",
        data: str = "",
        folder: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> RunRecord:
        """Note that a run begins; its bot is made if it is new. UserError when the id is taken.

        Values in params and settings that JSON has no form for (dates, paths) are kept as text.
        """
        values = {
            "run_id": run_id,
            "bot": bot,
            "strategy": strategy,
            "params": dict(params or {}),
            "venue": venue,
            "data": data,
            "status": RunStatus.RUNNING,
            "started": started,
            "folder": folder,
            "settings": dict(settings or {}),
            "reason": "",
        }
        with self._database.transaction():
            self._bots.ensure(bot, created=started)
            if not self._database.write(self._database.insert_new(_RUNS), values):
                raise UserError(f"there already is a run {run_id}", hint="resume it, or choose another id")
            return self.get(run_id)

    def get(self, run_id: str) -> RunRecord:
        """One run; UnknownNameError offers the nearest id."""
        row = self._database.row(_RUN, {"run_id": run_id})
        if row is None:
            raise UnknownNameError("run", run_id, [run.run_id for run in self.list(limit=50)])
        return _record(row)

    def exists(self, run_id: str) -> bool:
        """Whether there is a run of that id."""
        return self._database.row(_RUN, {"run_id": run_id}) is not None

    def list(self, *, bot: str | None = None, limit: int = 100) -> list[RunRecord]:
        """The newest runs first."""
        query = _NEWEST if bot is None else _NEWEST.where(_RUNS.c.bot == bindparam("bot"))
        return [
            _record(row) for row in self._database.rows(query.limit(limit), {"bot": bot} if bot else None)
        ]

    def earlier(self, run: RunRecord, *, since: datetime, before: datetime) -> builtins.list[RunRecord]:
        """The bot's runs at that venue which began before `run` and had a fill in between, the newest first."""
        place = {"bot": run.bot, "venue": run.venue, "started": run.started}
        found = self._database.rows(_EARLIER, place | {"since": since, "before": before})
        return [_record(row) for row in found]

    def resumable(self, bot: str, strategy: str) -> RunRecord | None:
        """The latest run of this bot and strategy that was stopped or killed, or None."""
        row = self._database.row(_RESUMABLE, {"bot": bot, "strategy": strategy})
        return None if row is None else _record(row)

    def finish(self, run_id: str, *, finished: datetime, metrics: Mapping[str, Any]) -> RunRecord:
        """It came to its end; metrics may hold NaN."""
        return self._move(run_id, RunStatus.FINISHED, finished=finished, metrics=dict(metrics), reason="")

    def stop(self, run_id: str, *, finished: datetime, reason: str = "") -> RunRecord:
        """It was interrupted and can be resumed."""
        return self._move(run_id, RunStatus.STOPPED, finished=finished, reason=reason)

    def fail(self, run_id: str, *, finished: datetime, reason: str) -> RunRecord:
        """An error ended it; it is resumed only when it is named."""
        return self._move(run_id, RunStatus.FAILED, finished=finished, reason=reason)

    def resume(self, run_id: str) -> RunRecord:
        """It goes on; nothing to do when it was killed. IllegalTransition when it has finished."""
        return self._move(run_id, RunStatus.RUNNING, finished=None, reason="")

    def _move(self, run_id: str, status: RunStatus, **values: object) -> RunRecord:
        with self._database.transaction():
            run = self.get(run_id)
            if status not in LEGAL[run.status]:
                raise IllegalTransition(
                    f"run {run_id} is {run.status} and cannot become {status}", run_id=run_id
                )
            self._database.write(_MOVE, {"key": run_id, "status": status, **values})
            return self.get(run_id)


def _record(row: Row) -> RunRecord:
    return RunRecord(**{column.name: row[column.name] for column in fields(RunRecord)})
