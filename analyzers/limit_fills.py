"""What became of entries that were worked as limits: how much of each filled, how fast, and how far from the middle.

Each row is one entry; the middle is that of the quote at the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Protocol

from core.types import Attempt, OrderEvent, OrderIntent, OrderStatus


class Told(Protocol):
    """One event of the journal."""

    @property
    def event(self) -> OrderEvent:
        """What happened."""
        ...


class Journalled(Protocol):
    """The journal of a run, as far as it is read here."""

    def intents(self) -> Sequence[OrderIntent]:
        """All orders as they were made."""
        ...

    def attempts(self) -> Sequence[Attempt]:
        """Every price of every entry."""
        ...

    def events(self) -> Sequence[Told]:
        """Everything that happened."""
        ...


@dataclass(frozen=True, slots=True)
class LimitFill:
    """One entry. size, filled: units. seconds: from when the venue took it to its last fill, None where nothing filled.

    middle: of the quote at the decision. slippage: the fraction of it by which the average fill was worse (below 0:
    better), None where nothing filled. repricings: how often the limit was changed.
    """

    order: str
    symbol: str
    side: str
    size: float
    filled: float
    fill_ratio: float
    seconds: float | None
    middle: float
    slippage: float | None
    repricings: int
    status: str


@dataclass(slots=True)
class _Course:
    """What events say of one order."""

    taken: datetime | None = None
    filled_at: datetime | None = None
    filled: float = 0.0
    value: float = 0.0
    received_all: bool = False
    status: OrderStatus = OrderStatus.INTENT

    def take(self, event: OrderEvent) -> None:
        self.status = event.status
        if self.taken is None and event.status is OrderStatus.ACCEPTED:
            self.taken = event.time
        if event.fill is not None:
            self.filled += float(event.fill.size)
            self.value += float(event.fill.size) * float(event.fill.price)
            self.filled_at = event.time
            self.received_all = event.status is OrderStatus.FILLED


def limit_fills(journal: Journalled) -> list[LimitFill]:
    """One row for each entry that was worked, in the order in which they were made."""
    tried: dict[str, list[Attempt]] = {}
    for attempt in journal.attempts():
        tried.setdefault(attempt.client_id, []).append(attempt)
    if not tried:
        return []
    courses = {client_id: _Course() for client_id in tried}
    for told in journal.events():
        if told.event.client_id in courses:
            courses[told.event.client_id].take(told.event)
    return [
        _row(intent, tried[intent.client_id], courses[intent.client_id])
        for intent in journal.intents()
        if intent.client_id in tried
    ]


def _row(intent: OrderIntent, attempts: Sequence[Attempt], course: _Course) -> LimitFill:
    size, middle = float(intent.size), float(attempts[0].mid)
    seconds = slippage = None
    if course.filled and course.filled_at is not None:
        began = course.taken or course.filled_at
        seconds = max(0.0, (course.filled_at - began).total_seconds())
        slippage = (course.value / course.filled / middle - 1) * intent.side.sign
    return LimitFill(
        order=intent.client_id,
        symbol=intent.symbol,
        side=intent.side.value,
        size=size,
        filled=course.filled,
        # Whole lots, less a commission in the asset, are all that was to be had.
        fill_ratio=1.0 if course.received_all else course.filled / size,
        seconds=seconds,
        middle=middle,
        slippage=slippage,
        repricings=len(attempts) - 1,
        status=course.status.value,
    )


def summary(fills: Iterable[LimitFill]) -> dict[str, Any]:
    """The figures of all entries together.

    fill_ratio: the mean. seconds_to_fill: the median of those that filled. slippage: the mean of those that filled,
    weighted by value.
    """
    rows = list(fills)
    filled = [(row, row.filled * row.middle) for row in rows if row.slippage is not None]
    value = sum(worth for _, worth in filled)
    times = [row.seconds for row in rows if row.seconds is not None]
    return {
        "entries": len(rows),
        "filled_whole": sum(row.fill_ratio == 1.0 for row in rows),
        "fill_ratio": sum(row.fill_ratio for row in rows) / len(rows) if rows else None,
        "seconds_to_fill": median(times) if times else None,
        "slippage": sum((row.slippage or 0.0) * worth for row, worth in filled) / value if value else None,
        "repricings": sum(row.repricings for row in rows),
    }


def line(figures: dict[str, Any]) -> str:
    """The figures for people."""
    if figures["fill_ratio"] is None:
        return ""
    parts = [
        f"{figures['filled_whole']} of {figures['entries']} entries filled whole",
        f"{figures['fill_ratio']:.0%} of what was asked for",
    ]
    if figures["seconds_to_fill"] is not None:
        parts.append(f"{figures['seconds_to_fill']:.1f} s to fill")
    if figures["slippage"] is not None:
        parts.append(f"{figures['slippage']:+.3%} from the middle")
    parts.append(f"{figures['repricings']} prices changed")
    return f"worked as limits: {', '.join(parts)}"
