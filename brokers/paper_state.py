"""The file of a paper venue: SQLite, one transaction for the whole effect of one call.

Floats are written in the shortest form that reads back as the same float, so a venue that starts again goes on with
exactly the numbers it had. Two venues on one file would overwrite each other: the second writer is refused.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from brokers.matching import Holding
from brokers.movements import Movement
from brokers.paper_book import PaperBook
from brokers.paper_orders import PaperOrder
from core.errors import StoreVersionError, VenueFatal
from core.plain import decode, decode_field, encode, field_types
from core.types import Bar, OrderEvent

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE book (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, content TEXT NOT NULL);
CREATE TABLE orders (number INTEGER PRIMARY KEY, intent TEXT NOT NULL, content TEXT NOT NULL);
CREATE TABLE events (sequence INTEGER PRIMARY KEY, content TEXT NOT NULL);
"""

_MOVEMENTS = """
CREATE TABLE IF NOT EXISTS movements (place INTEGER PRIMARY KEY, step INTEGER NOT NULL, content TEXT NOT NULL)
"""


class PaperState:
    """Reads and writes a `PaperBook`; raises VenueFatal where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._revision = 0
        self._written: defaultdict[str, dict[str, tuple[object, str]]] = defaultdict(dict)
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._prepare()

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            self._connection.close()
            raise StoreVersionError(
                f"paper state {self._path} was written by a newer version ({version}, this one reads {SCHEMA_VERSION})",
                hint="use that version, or another state file",
            )
        if version == 0:
            script = f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            self._connection.executescript(script)

    def load(self, book: PaperBook) -> list[OrderEvent]:
        """Fill a fresh `book` with what is on file; returns every event so far. An empty file changes nothing."""
        with self._explained():
            row = self._connection.execute("SELECT revision, content FROM book").fetchone()
            if row is None:
                return []
            self._revision = row[0]
            rows = self._connection.execute("SELECT number, intent, content FROM orders ORDER BY number")
            orders = [_read_order(json.loads(intent), json.loads(content)) for _, intent, content in rows]
            told = self._connection.execute("SELECT content FROM events ORDER BY sequence")
            events = [decode(OrderEvent, json.loads(content)) for (content,) in told]
        _read_book(book, json.loads(row[1]), orders)
        book.sequence = len(events)
        return events

    def movements(self) -> dict[int, list[Movement]]:
        """What happened to the account beside its fills, by market step; nothing where there are no costs."""
        with self._explained():
            self._connection.execute(_MOVEMENTS)
            rows = self._connection.execute("SELECT step, content FROM movements ORDER BY place")
            found: defaultdict[int, list[Movement]] = defaultdict(list)
            for step, content in rows:
                found[step].append(decode(Movement, json.loads(content)))
        return dict(found)

    def commit(self, book: PaperBook, changed: Iterable[PaperOrder], events: Sequence[OrderEvent]) -> None:
        """Write the book, the orders that changed and the new events, all or nothing."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._write_book(self._book_text(book))
                self._connection.executemany(
                    "INSERT INTO orders VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE SET content=excluded.content",
                    [(order.number, *_order_content(order)) for order in changed],
                )
                self._connection.executemany(
                    "INSERT INTO events VALUES (?, ?)",
                    [(event.sequence, json.dumps(encode(event))) for event in events],
                )
                if book.movements:
                    self._connection.executemany(
                        "INSERT INTO movements (step, content) VALUES (?, ?)",
                        [(book.step, json.dumps(encode(movement))) for movement in book.movements],
                    )
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._revision += 1

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _book_text(self, book: PaperBook) -> str:
        """The book as JSON. Last bars and times are written with every change of it, so their text is kept."""
        prices = [f'"{name}": {self._by_symbol(name, getattr(book, name))}' for name in _PRICES]
        return f"{json.dumps(_book_content(book))[:-1]}, {', '.join(prices)}}}"

    def _by_symbol(self, name: str, values: Mapping[str, object]) -> str:
        written = self._written[name]
        for symbol, value in values.items():
            if symbol not in written or written[symbol][0] is not value:
                written[symbol] = value, f"{json.dumps(symbol)}: {json.dumps(encode(value))}"
        return f"{{{', '.join(written[symbol][1] for symbol in values)}}}"

    def _write_book(self, content: str) -> None:
        if self._revision == 0:
            values: tuple[object, ...] = (content,)
            command = "INSERT OR IGNORE INTO book VALUES (1, 1, ?)"
        else:
            command = "UPDATE book SET revision=revision+1, content=? WHERE revision=?"
            values = (content, self._revision)
        if self._connection.execute(command, values).rowcount != 1:
            raise sqlite3.IntegrityError("another venue has written to it")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise VenueFatal(
                f"paper state {self._path} cannot be used: {error}",
                hint="only one venue may use the file; if it is damaged, move it away and start a new one",
            ) from error


_ORDER_FIELDS = tuple(f.name for f in fields(PaperOrder) if f.name != "intent")


def _order_content(order: PaperOrder) -> tuple[str, str]:
    content = {name: getattr(order, name) for name in _ORDER_FIELDS}
    return json.dumps(encode(order.intent)), json.dumps(content)


def _read_order(intent: dict[str, Any], content: dict[str, Any]) -> PaperOrder:
    types = field_types(PaperOrder)
    known = {name: decode_field(types[name], content[name]) for name in _ORDER_FIELDS if name not in _LISTS}
    lists = {name: content[name] for name in _LISTS}
    return PaperOrder(intent=decode(types["intent"], intent), **known, **lists)


_LISTS = ("group", "bracket")
_PRICES = ("bars", "last_times", "previous_times")


def _book_content(book: PaperBook) -> dict[str, object]:
    kept = book.kept()
    return ({"kept": kept} if kept else {}) | {
        "cash": book.cash,
        "step": book.step,
        "feed": book.feed,
        "positions": book.positions,
        "submitted": [order.intent.client_id for order in book.submitted],
        "resting": [order.intent.client_id for order in book.resting if order is not None],
        "activating": [order.intent.client_id for order in book.activating],
    }


def _read_book(book: PaperBook, content: dict[str, Any], orders: Sequence[PaperOrder]) -> None:
    book.orders = {order.intent.client_id: order for order in orders}
    book.cash = content["cash"]
    book.step = content["step"]
    book.feed = content["feed"]
    book.positions = {symbol: Holding(*held) for symbol, held in content["positions"].items()}
    book.bars = {symbol: decode(Bar, bar) for symbol, bar in content["bars"].items()}
    book.last_times = {s: datetime.fromisoformat(time) for s, time in content["last_times"].items()}
    book.previous_times = {s: datetime.fromisoformat(time) for s, time in content["previous_times"].items()}
    book.submitted.extend(book.orders[client_id] for client_id in content["submitted"])
    book.resting.extend(book.orders[client_id] for client_id in content["resting"])
    book.activating.extend(book.orders[client_id] for client_id in content["activating"])
    book.restore(content.get("kept", {}))
