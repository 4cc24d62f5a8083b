"""One database: connections, durable transactions, and errors a person can act on."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Executable,
    Table,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from core.errors import ConfigError, StoreError, StoreUnavailable, UserError
from store.prepared import Prepared, Row, execute, insert_new, upsert

BUSY_SECONDS = 30
WAL_PAUSE_SECONDS = 0.01
CONNECT_SECONDS = 5
RECYCLE_SECONDS = 1800
CACHE_KIBIBYTES = 512
"""Pages SQLite keeps for each connection: a session would fill more in the course of a day, and the system has them too."""
PASSING = (OperationalError, InterfaceError, PoolTimeout)
"""What a server that is gone, a lock that is held or a disk that is full is reported as."""
ELSEWHERE = "name another database with --set store.url=sqlite:///PATH"


class Database:
    """Connections to one database; writes from all threads take turns, reads run beside them.

    A transaction belongs to the thread that opened it: whatever that thread reads or writes until the end is
    part of it, so nothing may be awaited inside.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(immediate=True)
        self._lock = threading.RLock()
        # A file is always there: what writes to it stays open. Whether a server still is, its pool finds out each time.
        self._stays = isinstance(engine.pool, QueuePool) and engine.dialect.name == "sqlite"
        self._writer: Connection | None = None
        self._process = 0
        self._owner: int | None = None
        self._connection: Connection | None = None
        self._doomed = False

    @property
    def engine(self) -> Engine:
        """The pool underneath."""
        return self._engine

    @property
    def name(self) -> str:
        """The URL without its password."""
        return shown(self._engine.url)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One durable commit; a call inside another joins it. An exception undoes the whole of it."""
        with self._lock:
            if self._connection is not None:
                yield self._connection
                return
            self._doomed = False
            try:
                with self._begun() as connection:
                    self._connection, self._owner = connection, threading.get_ident()
                    yield connection
                    if self._doomed:
                        raise StoreError(
                            "a write failed earlier in this transaction, so none of it was kept",
                            hint="see the first error",
                        )
            except SQLAlchemyError as error:
                raise unusable(self.name, error) from error
            finally:
                self._connection = self._owner = None

    def _begun(self) -> AbstractContextManager[Connection]:
        if not self._stays:
            return self._writing.begin()
        if self._writer is None or self._process != os.getpid():
            # SQLite's connections are not to be used by a process that was forked.
            self._writer, self._process = self._writing.connect(), os.getpid()
        return _in_transaction(self._writer)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees what is committed, and this thread's own transaction if it is in one."""
        if self._owner == threading.get_ident() and self._connection is not None:
            yield self._connection
            return
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise unusable(self.name, error) from error

    def write(
        self, statement: Executable | Prepared, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> int:
        """Execute in a transaction (joined or its own); the number of rows touched. Several values: not prepared."""
        with self.transaction() as connection:
            try:
                if isinstance(statement, Prepared):
                    return statement.write(connection, cast(Mapping[str, Any], values))
                return int(connection.execute(statement, values).rowcount)
            except SQLAlchemyError as error:
                self._doomed = True
                raise unusable(self.name, error) from error

    def insert(self, statement: Prepared, values: Mapping[str, Any]) -> int:
        """Insert one row; the number the database gave it."""
        with self.transaction() as connection:
            try:
                return statement.insert(connection, values)
            except SQLAlchemyError as error:
                self._doomed = True
                raise unusable(self.name, error) from error

    def rows(
        self, statement: Executable | Prepared, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row]:
        """All rows of a query."""
        with self.reading() as connection:
            try:
                if isinstance(statement, Prepared):
                    return statement.rows(connection, values or {})
                found = connection.execute(statement, values or {}).mappings().all()
                return cast(Sequence[Row], found)
            except SQLAlchemyError as error:
                self._doomed = True
                raise unusable(self.name, error) from error

    def row(self, statement: Executable | Prepared, values: Mapping[str, Any] | None = None) -> Row | None:
        """The first row of a query, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def insert_new(self, table: Table) -> Executable:
        """An INSERT that leaves rows alone which are there already; `write` then says how many were not."""
        return insert_new(table, self._engine.dialect)

    def upsert(self, table: Table, taken: Sequence[str]) -> Executable:
        """An INSERT that updates a row which has the same primary key. taken: columns that take the new value."""
        return upsert(table, taken, self._engine.dialect)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self._engine.dispose()


@contextmanager
def _in_transaction(connection: Connection) -> Iterator[Connection]:
    with connection.begin():
        yield connection


def unusable(name: str, error: SQLAlchemyError) -> StoreError:
    """A failure in mid-work, StoreUnavailable where it may pass; without the statement and its values."""
    kind = StoreUnavailable if isinstance(error, PASSING) else StoreError
    return kind(f"the database {name} failed: {said(error)}", hint="no new orders until it answers again")


def shown(url: URL) -> str:
    """The URL for people: no driver, no password, no options (they may hold one)."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def said(error: Exception) -> str:
    """The first line of what the driver said."""
    cause = getattr(error, "orig", None) or error
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)


def parse_url(text: str, what: str = "store.url") -> URL:
    """A database URL with the driver we use; ConfigError if it is none of ours. Never repeats a password.

    what: the name of what holds it, for messages.
    """
    hint = "use sqlite:///PATH or postgresql://USER@HOST/DATABASE"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"{what} is not a database URL", hint=hint) from error
    kind, _, driver = url.drivername.partition("+")
    if kind == "sqlite" and driver in ("", "pysqlite"):
        if url.database in (None, "", ":memory:"):
            raise ConfigError(f"{what} names no file; what is in memory would not outlive a crash", hint=hint)
        return url.set(drivername="sqlite+pysqlite")
    if kind in ("postgresql", "postgres") and driver in ("", "psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise ConfigError(f"{what} names a database of kind {url.drivername!r}", hint=hint)


def build_engine(url: URL, *, pool_size: int) -> Engine:
    """An engine whose commits are on disk when they return."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, pool_size=pool_size, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_recycle=RECYCLE_SECONDS,
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
    except ImportError as error:
        raise UserError(
            "PostgreSQL needs the psycopg driver, which is not installed",
            hint="run: pip install 'tradewright[postgres]'",
        ) from error
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    # The driver would begin transactions at a moment of its own choosing; `_begin_sqlite` says when.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")


def switch_to_wal(engine: Engine) -> None:
    """Have a commit wait for the disk once, not several times; where a disk cannot do that, it stays as it is."""
    give_up = time.monotonic() + BUSY_SECONDS
    with closing(engine.raw_connection()) as connection:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except (
                sqlite3.OperationalError
            ):  # another process opens the new file as well: SQLite does not wait here
                if time.monotonic() > give_up:
                    raise
                time.sleep(WAL_PAUSE_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another process wrote in between;
    # asking for the write lock at the start makes it wait its turn instead.
    immediate = connection.get_execution_options().get("immediate", False)
    execute(connection, "BEGIN IMMEDIATE" if immediate else "BEGIN")


def _prepare_postgresql(connection: Any, record: ConnectionPoolEntry) -> None:
    # A server set to answer before the log is on disk would lose orders in a power cut.
    with connection.cursor() as cursor:
        if cursor.execute("SHOW synchronous_commit").fetchone()[0] == "off":
            cursor.execute("SET synchronous_commit TO on")
    connection.commit()


def prepare_file(url: URL, *, create: bool, hint: str = ELSEWHERE, write: bool = True) -> None:
    """Check the path of an SQLite database and make its folder; UserError says what stands in the way, and `hint`.

    write False: it is only read from, so its path alone is looked at.
    """
    path = Path(str(url.database))
    if path.is_dir():
        raise UserError(f"the database {path} is a folder", hint=hint)
    if not path.exists() and not create:
        raise UserError(f"there is no database at {path}", hint=f"start a run first, or {hint}")
    if not write:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        raise UserError(f"the database {path} cannot be written: {error.strerror}", hint=hint) from error


def backup_hint(url: URL) -> str:
    """The shell command that copies the database."""
    if url.get_backend_name() == "sqlite":
        return f"sqlite3 '{url.database}' \".backup '{url.database}.backup'\""
    return f"pg_dump {url.database} > {url.database}.sql"
