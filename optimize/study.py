"""Where a search keeps its trials: a database that Optuna, and its dashboard, can read, written a batch at a time.

store = StudyStore.open("sqlite:///runs/.../study.db", "momentum", facts)
log = store.log("window 1", space, objectives)
search(space, evaluate, span, settings, log=log)

A batch is in one transaction: after a crash it is there, with all of its trials, or it is not and is run again. Several
processes may work on one study in PostgreSQL: each claims parts of the batch that all are at, waits for the others'
parts, and goes on to the next with the same trials as every other. A claim has to be renewed; a dead process's claim
runs out, and its part is run by another.
"""

from __future__ import annotations

import io
import json
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import (
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    func,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from core.errors import ConfigError, StoreError, UserError
from optimize.objective import Objective
from optimize.space import SearchSpace
from optimize.trial_tables import TrialTables
from optimize.trials import Outcome, Params, concatenate
from store.database import Database, build_engine, parse_url, prepare_file, said, shown

LEASE = 30.0
"""Seconds a claim lasts unless it is renewed."""
POLL = 0.1
"""Seconds between two looks at a part that another process runs."""
PART = 64
"""Trials of a part where several processes share a study."""
TOGETHER, SECONDS = 256, 1.0
"""Trials, and seconds, that small batches may wait for others before they are written down."""
OPEN, DONE = "open", "done"
FACTS = "tradewright"
TABLES = ("studies", "study_user_attributes", "trials", "trial_params", "trial_values")

_metadata = MetaData()
PARTS = Table(
    "tradewright_parts",
    _metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("part", String(80), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("owner", String(120), nullable=False),
    Column("until", Float, nullable=False),
    Column("outcome", LargeBinary),
)


class StudyStore:
    """The studies of one optimisation, one for each of its searches."""

    def __init__(
        self, database: Database, storage: Any, name: str, facts: Mapping[str, Any], shared: bool
    ) -> None:
        self.name = name
        self._database, self._storage, self._facts, self._shared = database, storage, dict(facts), shared
        self._tables = _reflected(database)

    @classmethod
    def open(cls, url: str, name: str, facts: Mapping[str, Any], *, shared: bool | None = None) -> StudyStore:
        """Open or make the database. facts: what all trials depend on; a study of other facts is refused.

        shared: whether other processes may work on it at the same time; None for yes where it is PostgreSQL.
        Raises UserError where it cannot be reached.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            prepare_file(parsed, create=True)
        engine = build_engine(parsed, pool_size=4)
        text = parsed.render_as_string(hide_password=False)
        try:
            with _only_one(engine):
                storage = optuna.storages.RDBStorage(text, engine_kwargs={"pool_size": 1})
                _metadata.create_all(engine)
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            engine.dispose()
            raise UserError(
                f"the storage {shown(parsed)} cannot be used: {said(cause)}",
                hint="check that it runs and may be written, or leave --storage out",
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
            wanted = json.loads(json.dumps(self._facts | {"space": _described(space)}, default=str))
            known = study.user_attrs.get(FACTS)
            if known is None:
                study.set_user_attr(FACTS, wanted)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    study.set_metric_names([objective.name for objective in objectives])
        if known is not None and known != wanted:
            changed = sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))
            raise ConfigError(
                f"the study {name} was begun with another {', '.join(changed)}",
                hint="give another --study name, or what it was begun with",
            )
        trials = TrialTables(self._tables, study._study_id, space, tuple(objectives), min_trades)
        return StudyLog(self._database, trials, study._study_id, self._shared)


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


def _described(space: SearchSpace) -> dict[str, str]:
    return {name: repr(dimension) for name, dimension in space.dimensions.items()} | {
        "fixed": repr(sorted((space.fixed or {}).items()))
    }


@dataclass(slots=True)
class StudyLog:
    """The batches of one search, kept as `optimize.search.Log` asks.

    Where no other process works on the study, small and quick batches are put together: up to `TOGETHER` trials, or
    `SECONDS` of them, share one transaction.
    """

    database: Database
    trials: TrialTables
    study: int
    shared: bool
    _waiting: list[tuple[str, Sequence[Params], Outcome]] = field(default_factory=list)
    _done: frozenset[str] | None = None
    _flushed: float = field(default_factory=time.monotonic)

    def outcome(
        self, key: str, params: Sequence[Params], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome:
        """What came of a batch: as it is kept, or by `run`."""
        if not self.shared:
            return self._alone(f"{key}/0", params, run)
        parts = {
            f"{key}/{first // PART}": params[first : first + PART] for first in range(0, len(params), PART)
        }
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
        self, name: str, params: Sequence[Params], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome:
        if self._done is None:
            done = select(PARTS.c.part).where(PARTS.c.study_id == self.study, PARTS.c.state == DONE)
            self._done = frozenset(row["part"] for row in self.database.rows(done))
        if name in self._done and (kept := self._kept(name)) is not None:
            return kept
        outcome = run(params)
        self._waiting.append((name, params, outcome))
        late = time.monotonic() - self._flushed > SECONDS
        if late or sum(len(some) for _, some, _ in self._waiting) >= TOGETHER:
            self.flush()
        return outcome

    def flush(self) -> None:
        """Write down what waits, in one transaction."""
        waiting, self._waiting = self._waiting, []
        self._flushed = time.monotonic()
        if not waiting:
            return
        new = self.database.insert_new(PARTS)
        with self.database.transaction() as connection:
            fresh = []
            for name, params, outcome in waiting:
                row = {
                    "study_id": self.study, "part": name, "state": DONE, "owner": "", "until": 0.0,
                    "outcome": packed(outcome),
                }  # fmt: skip
                # Another process that was started by mistake got the same answer; the first to write it down counts.
                if connection.execute(new, row).rowcount and "pruning" not in name:
                    fresh.append((params, outcome))
            if fresh:
                params = [each for some, _ in fresh for each in some]
                self.trials.add(connection, params, concatenate([outcome for _, outcome in fresh]))

    def _part(
        self, name: str, params: Sequence[Params], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome | None:
        """A part's outcome; None while another process runs it."""
        kept = self._kept(name)
        if kept is not None:
            return kept
        owner = f"{socket.gethostname()} {os.getpid()} {threading.get_ident()} {time.monotonic_ns()}"
        if not self._claim(name, owner):
            return None
        with self._renewed(name, owner):
            outcome = run(params)
        # Whoever took it over meanwhile got the same answer; the first to write it down counts.
        if self._finish(name, owner, params, outcome):
            return outcome
        return self._kept(name)

    def _at(self, name: str) -> Any:
        return and_(PARTS.c.study_id == self.study, PARTS.c.part == name)

    def _kept(self, name: str) -> Outcome | None:
        row = self.database.row(select(PARTS.c.state, PARTS.c.outcome).where(self._at(name)))
        return unpacked(row["outcome"]) if row is not None and row["state"] == DONE else None

    def _claim(self, name: str, owner: str) -> bool:
        until = self._now() + LEASE
        row = {
            "study_id": self.study, "part": name, "state": OPEN, "owner": owner, "until": until, "outcome": None,
        }  # fmt: skip
        if self.database.write(self.database.insert_new(PARTS), row):
            return True
        expired = and_(self._at(name), PARTS.c.state == OPEN, PARTS.c.until < self._now())
        return bool(self.database.write(update(PARTS).where(expired).values(owner=owner, until=until), {}))

    def _now(self) -> float:
        """Seconds by the database's clock: those of several machines differ."""
        row = self.database.row(select(func.extract("epoch", func.clock_timestamp()).label("now")))
        return float(row["now"]) if row is not None else time.time()

    @contextmanager
    def _renewed(self, name: str, owner: str) -> Iterator[None]:
        """Renew a claim as long as its part is being run."""
        over = threading.Event()

        def renew() -> None:
            mine = and_(self._at(name), PARTS.c.owner == owner, PARTS.c.state == OPEN)
            while not over.wait(LEASE / 3):
                try:
                    self.database.write(update(PARTS).where(mine).values(until=self._now() + LEASE), {})
                except StoreError:
                    continue  # the claim runs out if that lasts; what is run then counts for nothing

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _finish(self, name: str, owner: str, params: Sequence[Params], outcome: Outcome) -> bool:
        mine = and_(self._at(name), PARTS.c.owner == owner, PARTS.c.state == OPEN)
        with self.database.transaction() as connection:
            done = connection.execute(
                update(PARTS).where(mine).values(state=DONE, outcome=packed(outcome), until=0.0)
            )
            if not done.rowcount:
                return False
            if "pruning" not in name:
                self.trials.add(connection, params, outcome)
        return True


def packed(outcome: Outcome) -> bytes:
    """An outcome as bytes."""
    buffer = io.BytesIO()
    texts = json.dumps([outcome.errors, {str(key): text for key, text in outcome.tracebacks.items()}])
    np.savez(
        buffer,
        moments=outcome.moments,
        texts=np.frombuffer(texts.encode(), np.uint8),
        names=np.array(list(outcome.metrics), dtype=np.str_),
        values=np.array(list(outcome.metrics.values())).reshape(len(outcome.metrics), len(outcome)),
    )
    return buffer.getvalue()


def unpacked(blob: bytes) -> Outcome:
    """The outcome again."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as found:
        errors, tracebacks = json.loads(found["texts"].tobytes().decode())
        metrics = dict(zip(found["names"].tolist(), found["values"], strict=True))
        moments = found["moments"]
    return Outcome(metrics, errors, moments, {int(key): text for key, text in tracebacks.items()})


__all__ = ["StudyLog", "StudyStore", "packed", "unpacked"]
