"""The store: one database, opened in the shape this version knows, and what can be asked of it."""

from __future__ import annotations

import sqlite3
from functools import cached_property
from types import TracebackType
from typing import Self

from sqlalchemy import URL, Engine
from sqlalchemy.exc import SQLAlchemyError

from core.clock import WallClock
from core.errors import StoreError, TradewrightError, UserError
from store.database import (
    ELSEWHERE,
    Database,
    build_engine,
    parse_url,
    prepare_file,
    said,
    shown,
    switch_to_wal,
)
from store.journal import Journal
from store.revisions import HEAD, current, migrate
from store.runs import BotRepository, RunRepository
from store.series import MetricRepository, PositionRepository
from store.trades import TradeRepository

DEFAULT_BOT = "default"


class Store:
    """Repositories over one database. Close it, or use it in a `with` statement."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        """Connections and transactions."""
        return self._database

    @cached_property
    def bots(self) -> BotRepository:
        """Bots by name."""
        return BotRepository(self._database)

    @cached_property
    def runs(self) -> RunRepository:
        """Runs by id."""
        return RunRepository(self._database)

    def journal(self, run_id: str) -> Journal:
        """The journal of a run; a run nobody has described yet (`runs.create`) gets an entry without details."""
        if not self.runs.exists(run_id):
            self.runs.create(run_id, bot=DEFAULT_BOT, strategy="", started=WallClock().now())
        return Journal(self._database, run_id)

    def trades(self, run_id: str) -> TradeRepository:
        """Trades of a run."""
        return TradeRepository(self._database, run_id)

    def positions(self, run_id: str) -> PositionRepository:
        """What a run holds."""
        return PositionRepository(self._database, run_id)

    def metrics(self, run_id: str) -> MetricRepository:
        """Series of a run: equity, cash and whatever else has a value at a time."""
        return MetricRepository(self._database, run_id)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_store(url: str, *, pool_size: int = 5, create: bool = True) -> Store:
    """Open a database and bring it to the newest shape.

    url: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE. create False: UserError when there is no
    database yet. pool_size: connections kept open. Raises StoreVersionError when a newer version wrote it,
    UserError for a path that cannot be used, StoreError when a server does not answer.
    """
    engine, revision = open_engine(url, pool_size=pool_size, create=create)
    try:
        if revision is None and not create:
            name = shown(engine.url)
            raise UserError(f"the database {name} is empty", hint=f"start a run first, or {ELSEWHERE}")
        if revision != HEAD:
            migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(Database(engine))


def open_engine(url: str, *, pool_size: int = 5, create: bool = True) -> tuple[Engine, str | None]:
    """Connect without changing the shape; also returns the revision found. Errors as `open_store`."""
    address = parse_url(url)
    is_file = address.get_backend_name() == "sqlite"
    if is_file:
        prepare_file(address, create=create)
    engine = build_engine(address, pool_size=pool_size)
    try:
        with engine.connect() as connection:
            revision = current(connection)
        if is_file:
            switch_to_wal(engine)
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        raise cannot_open(address, error) from error
    except BaseException:
        engine.dispose()
        raise
    return engine, revision


def cannot_open(url: URL, error: SQLAlchemyError | sqlite3.Error) -> TradewrightError:
    """What to tell of a database that did not open."""
    if url.get_backend_name() == "sqlite":
        return UserError(f"the database {url.database} cannot be used: {said(error)}", hint=ELSEWHERE)
    return StoreError(
        f"the database {shown(url)} cannot be reached: {said(error)}",
        hint=f"start the server, correct store.url, or {ELSEWHERE}",
    )
