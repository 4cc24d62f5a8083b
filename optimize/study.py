"""Where a search keeps its trials: a database that Optuna, and its dashboard, can read, written a part at a time.

store = StudyStore.open("sqlite:///runs/.../study.db", "momentum", facts)
log = store.log("window 1", space, objectives)
search(space, evaluate, span, settings, log=log)

A part of a batch is in one transaction: after a crash it is there, with all of its trials, or it is not and is run
again. Several processes may work on one study: each claims parts of the batch that all are at (`optimize.parts`), waits
for the others' parts, and goes on to the next with the same trials as every other.
"""

from __future__ import annotations

import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.exc import SQLAlchemyError

from core.errors import UserError
from optimize.objective import Objective
from optimize.parts import POLL, Parts, metadata
from optimize.requests import Requests, plain, refuse_others
from optimize.space import SearchSpace
from optimize.trial_tables import TrialTables
from optimize.trials import PRUNING, RETURNS, Outcome, Params, concatenate
from store.database import Database, build_engine, parse_url, prepare_file, said, shown, switch_to_wal

PART = 64
"""Trials of a part: what one process claims of a study that several share, and what is kept at a time."""
TOGETHER, SECONDS = 1024, 1.0
"""Trials, and seconds, that small batches may wait for others before they are written down; seconds of a slow part."""
OPENINGS = 5
"""Times that tables are made again in a file in which another process makes them at this moment."""
FACTS, SHARED = "tradewright", "tradewright_shared"
ELSEWHERE = "check that it runs and may be written, or leave --storage out"
TABLES = ("studies", "study_user_attributes", "trials", "trial_params", "trial_values")


class StudyStore:
    """The studies of one optimisation, one for each of its searches."""

    def __init__(
        self, database: Database, storage: Any, name: str, facts: Mapping[str, Any], shared: bool
    ) -> None:
        self.name = name
        self._database, self._storage, self._facts, self._shared = database, storage, dict(facts), shared
        self._tables = _reflected(database)
        self._remote = database.engine.dialect.name != "sqlite"
        self.requests = Requests(database)
        """What the walk-forwards of this storage were asked for."""

    @classmethod
    def open(cls, url: str, name: str, facts: Mapping[str, Any], *, shared: bool | None = None) -> StudyStore:
        """Open or make the database. facts: what all trials depend on; a study of other facts is refused.

        shared: whether other processes may work on it at the same time; None for yes where it is PostgreSQL.
        Raises UserError where it cannot be reached.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        parsed = parse_url(url, "the storage")
        if parsed.get_backend_name() == "sqlite":
            prepare_file(parsed, create=True, hint=ELSEWHERE)
        engine = build_engine(parsed, pool_size=4)
        text = parsed.render_as_string(hide_password=False)
        for left in reversed(range(OPENINGS)):
            try:
                with _only_one(engine):
                    if parsed.get_backend_name() == "sqlite":
                        switch_to_wal(engine)
                    storage = optuna.storages.RDBStorage(text, engine_kwargs={"pool_size": 1})
                    metadata.create_all(engine)
                break
            except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError) as error:
                cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
                if left and any(words in str(cause) for words in ("already exists", "UNIQUE")):
                    continue
                engine.dispose()
                raise UserError(
                    f"the storage {shown(parsed)} cannot be used: {said(cause)}",
                    hint=ELSEWHERE,
                ) from error
        remote = parsed.get_backend_name() != "sqlite"
        return cls(Database(engine), storage, name, facts, remote if shared is None else shared)

    def close(self) -> None:
        """Close the connections."""
        self._storage.remove_session()
        self._storage.engine.dispose()
        self._database.close()

    def log(
        self, part: str, space: SearchSpace, objectives: Sequence[Objective], min_trades: int = 0
    ) -> StudyLog:
        """The study of one search; made when it is not there. Raises ConfigError for one of other facts."""
        import optuna

        name = f"{self.name}/{part}"
        with _only_one(self._database.engine):
            study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                load_if_exists=True,
                directions=["maximize" if objective.largest else "minimize" for objective in objectives],
            )
            wanted = plain(self._facts | {"space": space.facts()})
            known = study.user_attrs.get(FACTS)
            shared = study.user_attrs.get(SHARED, self._remote if known else self._shared)
            if known is None:
                study.set_user_attr(SHARED, shared)
                study.set_user_attr(FACTS, wanted)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    study.set_metric_names([objective.name for objective in objectives])
        if known is not None:
            refuse_others(name, known, wanted)
        trials = TrialTables(self._tables, study._study_id, space, tuple(objectives), min_trades)
        return StudyLog(self._database, trials, Parts(self._database, study._study_id), bool(shared))


@contextmanager
def _only_one(engine: Any) -> Iterator[None]:
    """Let one process at a time make tables and studies on a shared server; SQLite's file lock does that itself."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(7421905)")
        try:
            yield
        finally:
            connection.exec_driver_sql("SELECT pg_advisory_unlock(7421905)")


def _reflected(database: Database) -> dict[str, Table]:
    """Optuna's own tables, as they stand in the database."""
    metadata = MetaData()
    metadata.reflect(database.engine, only=TABLES)
    return dict(metadata.tables)


@dataclass(slots=True)
class StudyLog:
    """The batches of one search, kept as `optimize.search.Log` asks.

    Where no other process works on the study, small and quick batches are put together: up to `TOGETHER` trials, or
    `SECONDS` of them, share one transaction.
    """

    database: Database
    trials: TrialTables
    parts: Parts
    shared: bool
    _waiting: list[tuple[str, Sequence[Params], Outcome]] = field(default_factory=list)
    _done: frozenset[str] | None = None
    _slow: bool = True
    _flushed: float = field(default_factory=time.monotonic)

    def outcome(
        self, key: str, params: Sequence[Params], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome:
        """What came of a batch: as it is kept, or by `run`."""
        parts = {
            f"{key}/{first // PART}": params[first : first + PART] for first in range(0, len(params), PART)
        }
        if not self.shared:
            return self._alone(parts, run)
        found: dict[str, Outcome] = {}
        while len(found) < len(parts):
            before = len(found)
            for name, some in parts.items():
                if name not in found:
                    outcome = self._part(name, some, run)
                    if outcome is not None:
                        found[name] = outcome
            if len(found) == before:
                time.sleep(POLL)
        return concatenate([found[name] for name in parts])

    def _alone(
        self, parts: Mapping[str, Sequence[Params]], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome:
        """Slow parts one by one, each kept before the next is begun; quick ones all together."""
        if self._done is None:
            self._done = self.parts.done()
        kept = {name: self.parts.kept(name) for name in parts if name in self._done}
        found = {name: outcome for name, outcome in kept.items() if outcome is not None}
        missing = [name for name in parts if name not in found]
        while missing:
            some, missing = (missing[:1], missing[1:]) if self._slow else (missing, [])
            began = time.monotonic()
            outcome = run([each for name in some for each in parts[name]])
            self._slow = time.monotonic() - began > SECONDS * len(some)
            first = 0
            for name in some:
                found[name] = outcome.part(first, first + len(parts[name]))
                self._waiting.append((name, parts[name], found[name]))
                first += len(parts[name])
            late = time.monotonic() - self._flushed > SECONDS
            if late or sum(len(each) for _, each, _ in self._waiting) >= TOGETHER:
                self.flush()
        return concatenate([found[name] for name in parts])

    def flush(self) -> None:
        """Write down what waits, in one transaction."""
        waiting, self._waiting = self._waiting, []
        self._flushed = time.monotonic()
        if not waiting:
            return
        with self.database.transaction() as connection:
            fresh = []
            for name, params, outcome in waiting:
                # Another process that was started by mistake got the same answer; the first to write it down counts.
                if self.parts.keep(connection, name, outcome) and _tried(name):
                    fresh.append((params, outcome))
            if fresh:
                params = [each for some, _ in fresh for each in some]
                self.trials.add(connection, params, concatenate([outcome for _, outcome in fresh]))

    def _part(
        self, name: str, params: Sequence[Params], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome | None:
        """A part's outcome; None while another process runs it."""
        kept = self.parts.kept(name)
        if kept is not None:
            return kept
        owner = self.parts.claim(name)
        if owner is None:
            return None
        with self.parts.renewed(name, owner):
            outcome = run(params)

            def write(connection: Any) -> None:
                if _tried(name):
                    self.trials.add(connection, params, outcome)

            # Whoever took it over meanwhile got the same answer; the first to write it down counts.
            if self.parts.finish(name, owner, outcome, write):
                return outcome
        return self.parts.kept(name)


def _tried(name: str) -> bool:
    return PRUNING not in name and RETURNS not in name


__all__ = ["StudyLog", "StudyStore"]
