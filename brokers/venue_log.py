"""What a real venue has told us, numbered and kept: its own numbers, if it has any, do not survive our death.

Events are numbered from 1 in the order they were learned, and written down before anybody hears of them; so are the
orders, before they are sent. A client that comes back finds the numbers it knew, and what happened meanwhile after
them. One log belongs to one run; losing it makes the run's journal and its venue disagree, which is found out. Where
its disk is full, a spool beside it takes what comes (`store.spool`), and gives it back to the file when there is room.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from core.errors import StoreError, StoreVersionError, VenueFatal
from core.plain import decode, encode
from core.telemetry import get_logger
from core.types import OrderEvent
from store.spool import Spool

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE orders (client_id TEXT PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE events (sequence INTEGER PRIMARY KEY, content TEXT NOT NULL);
"""

_ONCE = "INSERT INTO events VALUES (?, ?)"
_AGAIN = "INSERT INTO events VALUES (?, ?) ON CONFLICT (sequence) DO NOTHING"

Order = TypeVar("Order")
Written = tuple[list[tuple[int, str]], list[tuple[str, str]]]
"""Numbers and texts of events, client ids and texts of orders."""

log = get_logger("brokers.venue_log")


class VenueLog(Generic[Order]):
    """Events and orders of one venue for one run. path: None keeps them in memory. kind: the order's dataclass."""

    def __init__(self, path: Path | None, kind: type[Order]) -> None:
        self.events: list[OrderEvent] = []
        self.orders: dict[str, Order] = {}
        self._path = path
        self._kind = kind
        self._connection: sqlite3.Connection | None = None
        self._spool: Spool | None = None

    @property
    def sequence(self) -> int:
        """Number of the last event; 0 before the first."""
        return len(self.events)

    def open(self) -> None:
        """Read what is on file; calling it again changes nothing. Raises VenueFatal where the file cannot be used."""
        if self._path is None or self._connection is not None:
            return
        with self._explained():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            # It is read once and then written at its end alone: pages need not be kept.
            connection.execute("PRAGMA cache_size=-128")
            self._prepare(connection)
            told = connection.execute("SELECT content FROM events ORDER BY sequence").fetchall()
            kept = connection.execute("SELECT client_id, content FROM orders ORDER BY rowid").fetchall()
            self._connection = connection
            self._spool = Spool(self._path.with_suffix(".spool"))
            self._spool.open()
        for events, orders in self._spool.entries:
            known = len(told)
            told.extend((content,) for number, content in events if number > known)
            kept.extend((client_id, content) for client_id, content in orders)
        self.events = [decode(OrderEvent, json.loads(content)) for (content,) in told]
        self.orders = {client_id: decode(self._kind, json.loads(content)) for client_id, content in kept}

    def fact(self, name: str, first: str) -> str:
        """A fact about the account that holds for the whole run: `first`, unless one is on file."""
        if self._connection is None:
            return first
        with self._explained():
            self._connection.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, first))
            row = self._connection.execute("SELECT content FROM facts WHERE name=?", (name,)).fetchone()
        return str(row[0])

    def commit(self, events: Sequence[OrderEvent], orders: Iterable[tuple[str, Order]]) -> None:
        """Write down events, whose numbers go on from the last, and orders by client id: all or nothing."""
        changed = list(orders)
        if self._connection is not None and self._spool is not None:
            self._keep(self._connection, self._spool, _written(events, changed))
        self.events.extend(events)
        self.orders.update(changed)

    def close(self) -> None:
        """Close the file; what was read stays."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _keep(self, connection: sqlite3.Connection, spool: Spool, new: Written) -> None:
        """In the file, with what the spool had to take before; or in the spool."""
        try:
            _write(connection, [*spool.entries, new])
        except sqlite3.OperationalError as error:
            if not spool.entries:
                log.critical("venue_log.spooled", file=str(self._path), reason=str(error))
            with self._explained():
                spool.append(new)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        else:
            spool.clear()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            connection.close()
            raise StoreVersionError(
                f"{self._path} was written by a newer version ({version}, this one reads {SCHEMA_VERSION})",
                hint="use that version, or another file",
            )
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, StoreError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> VenueFatal:
        return VenueFatal(
            f"{self._path}, where events of the venue are kept, cannot be used: {error}",
            hint="only one session may use the file; free some space, or mend its rights",
        )


def _written(events: Sequence[OrderEvent], orders: Iterable[tuple[str, object]]) -> Written:
    return (
        [(event.sequence, json.dumps(encode(event))) for event in events],
        [(client_id, json.dumps(encode(order))) for client_id, order in orders],
    )


def _write(connection: sqlite3.Connection, batches: Iterable[Written]) -> None:
    """All or nothing. What a spool had may be in the file already, and is the same there."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        *spooled, new = batches
        for command, (events, orders) in [(_AGAIN, batch) for batch in spooled] + [(_ONCE, new)]:
            connection.executemany(
                "INSERT INTO orders VALUES (?, ?) ON CONFLICT (client_id) DO UPDATE SET content=excluded.content",
                orders,
            )
            connection.executemany(command, events)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
