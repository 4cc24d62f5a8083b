"""Where seeds run: one database in memory a process, made once and blank again for every seed."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

from sqlalchemy.engine import make_url

from brokers.simulation.scenario import Outcome, Scenario
from store.database import build_engine
from store.revisions import migrate


class Bench:
    """Runs seeds one after another."""

    def __init__(self) -> None:
        self._engine = build_engine(make_url("sqlite+pysqlite://"), pool_size=1)
        migrate(self._engine)
        self._blank = self._memory().serialize()

    def run(self, seed: int) -> Outcome:
        """One seed, on a blank database. The same seed gives the same outcome, to the last line of its trace."""
        self._memory().deserialize(self._blank)
        with _without_logs():
            return Scenario(seed, self._engine).run()

    def close(self) -> None:
        """Give the memory back."""
        self._engine.dispose()

    def _memory(self) -> sqlite3.Connection:
        with closing(self._engine.raw_connection()) as connection:
            return cast(sqlite3.Connection, connection.driver_connection)


@contextmanager
def _without_logs() -> Iterator[None]:
    """What a session logs about faults is no news here: they are made on purpose, and the trace has them."""
    manager: Any = logging.root.manager
    before = manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
