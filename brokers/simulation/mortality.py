"""Lives of one bot's process, what kills them, and the disks that outlive them.

A life ends at a *point*: just before or after something becomes durable or a call goes out, or between two rounds of
the event loop, which is where every await stands. A dead life can change nothing any more: its next commit or call
raises, whatever its code does on the way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from brokers.binance_orders import BinanceOrder
from brokers.venue_log import VenueLog
from core.types import OrderEvent
from store.database import Database

Note = Callable[[str], None]


class Died(BaseException):
    """The process is gone. Nothing handles it: what runs on does so in vain."""


@dataclass(slots=True)
class Life:
    """One process from its start to its end. dies_at: the point it dies at; dies_in: the round of the loop."""

    number: int
    note: Note
    dies_at: int | None = None
    dies_in: int | None = None
    points: int = 0
    alive: bool = True
    ready: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def point(self, name: str) -> None:
        """The process dies here, or goes on."""
        if not self.alive:
            raise Died
        self.points += 1
        if self.points == self.dies_at:
            self.die(name)
            raise Died

    def on_round(self, number: int) -> None:
        """A round of the loop has ended."""
        if self.dies_in is not None and self.alive and number >= self.dies_in:
            self.die("an await")

    def die(self, where: str) -> None:
        """The process is gone from now on."""
        self.note(f"killed at {where} (point {self.points})")
        self.alive = False
        self.over.set()


class MortalDatabase(Database):
    """The store as one life sees it: dying before a commit undoes it, dying after one keeps it."""

    def __init__(self, engine: Engine, point: Callable[[str], None]) -> None:
        super().__init__(engine)
        self._point = point

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """As `Database.transaction`, with a point on either side of the commit."""
        outermost = self._connection is None
        with super().transaction() as connection:
            yield connection
            if outermost:
                self._point("commit")
        if outermost:
            self._point("committed")


@dataclass(slots=True)
class Disk:
    """What the venue's log has on file."""

    facts: dict[str, str] = field(default_factory=dict)
    orders: dict[str, BinanceOrder] = field(default_factory=dict)
    events: list[OrderEvent] = field(default_factory=list)


class MortalLog(VenueLog[BinanceOrder]):
    """`VenueLog` on a `Disk`: what a life commits is there for the next, and nothing else."""

    def __init__(self, disk: Disk, point: Callable[[str], None]) -> None:
        super().__init__(None, BinanceOrder)
        self._disk = disk
        self._point = point

    def open(self) -> None:
        """Read what is on the disk."""
        self.events, self.orders = list(self._disk.events), dict(self._disk.orders)

    def fact(self, name: str, first: str) -> str:
        """As `VenueLog.fact`."""
        self._point("log fact")
        return self._disk.facts.setdefault(name, first)

    def commit(self, events: Sequence[OrderEvent], orders: Iterable[tuple[str, BinanceOrder]]) -> None:
        """As `VenueLog.commit`, with a point on either side."""
        changed = list(orders)
        self._point("log commit")
        self._disk.events.extend(events)
        self._disk.orders.update(changed)
        self._point("log committed")
        super().commit(events, changed)
