"""One moment of a database, to read from while others write: nothing is created, migrated or changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from core.errors import UserError
from store.database import ELSEWHERE, Database, build_engine, parse_url, prepare_file, shown
from store.revisions import HEAD, current
from store.session import cannot_open


class Snapshot(Database):
    """A database as it was when it was opened; writing to it fails."""

    def __init__(self, engine: Engine, connection: Connection, url: URL) -> None:
        super().__init__(engine)
        self._moment, self._url = connection, url

    @property
    def name(self) -> str:
        """The URL without its password."""
        return shown(self._url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The one connection, whose transaction began with the first look."""
        yield self._moment


@contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """Open a database to read one moment of it; errors as `open_store`, UserError where its shape is an older one."""
    address = parse_url(url)
    is_file = address.get_backend_name() == "sqlite"
    readable = address
    if is_file:
        prepare_file(address, create=False, write=False)
        readable = address.set(
            database=f"file:{quote(str(address.database))}", query={"mode": "ro", "uri": "true"}
        )
    options = {} if is_file else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    engine = build_engine(readable, pool_size=1).execution_options(**options)
    try:
        with engine.connect() as connection:
            revision = current(connection)
            if revision != HEAD:
                raise UserError(
                    f"the database {shown(address)} is at revision {revision or 'base'}, not {HEAD}",
                    hint=f"bring it there with python -m store.migrate, or {ELSEWHERE}",
                )
            yield Snapshot(engine, connection, address)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise cannot_open(address, error) from error
    finally:
        engine.dispose()
