"""Figures of entries that were worked as limits, by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from analyzers.limit_fills import limit_fills, line, summary
from core.types import Attempt, Fill, OrderEvent, OrderIntent, OrderStatus, OrderType, Side

T0 = datetime(2024, 1, 1, tzinfo=UTC)
D = Decimal
S = OrderStatus


@dataclass
class Told:
    event: OrderEvent


@dataclass
class Book:
    """A journal of a few orders."""

    orders: list[OrderIntent] = field(default_factory=list)
    tried: list[Attempt] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def intents(self) -> list[OrderIntent]:
        return self.orders

    def attempts(self) -> list[Attempt]:
        return self.tried

    def events(self) -> list[Told]:
        return self.told

    def order(self, name: str, side: Side, *prices: str) -> None:
        self.orders.append(OrderIntent(name, "ABC", side, OrderType.MARKET, D(10), D(100), T0, 1))
        for number, price in enumerate(prices, 1):
            self.tried.append(Attempt(name, number, D(price), D("99.9"), D("100.1"), T0))

    def tell(self, name: str, status: S, seconds: float, fill: tuple[str, str] | None = None) -> None:
        when, side = T0 + timedelta(seconds=seconds), next(o.side for o in self.orders if o.client_id == name)
        made = fill and Fill(f"{name}{seconds}", name, "ABC", side, D(fill[0]), D(fill[1]), D(0), when)
        self.told.append(Told(OrderEvent(len(self.told) + 1, name, status, when, fill=made or None)))


def test_each_entry_and_all_together() -> None:
    book = Book()
    book.order("market", Side.BUY)
    book.order("whole", Side.BUY, "100.1", "100.2")
    book.order("part", Side.SELL, "99.9")
    book.order("none", Side.BUY, "100.1")
    book.tell("market", S.FILLED, 0, ("10", "100.1"))
    book.tell("whole", S.ACCEPTED, 1)
    book.tell("whole", S.PARTIAL, 2, ("4", "100.1"))
    book.tell("whole", S.ACCEPTED, 3)
    book.tell("whole", S.FILLED, 5, ("6", "100.2"))
    book.tell("part", S.ACCEPTED, 1)
    book.tell("part", S.PARTIAL, 3, ("5", "100.1"))
    book.tell("part", S.CANCELLED, 9)
    book.tell("none", S.REJECTED, 0)
    whole, part, none = limit_fills(book)
    assert (whole.fill_ratio, whole.seconds, whole.repricings, whole.status) == (1.0, 4.0, 1, "filled")
    assert whole.slippage == pytest.approx(0.0016)
    assert (part.fill_ratio, part.seconds, part.status) == (0.5, 2.0, "cancelled")
    assert part.slippage == pytest.approx(-0.001), "sold above the middle: better"
    assert (none.fill_ratio, none.seconds, none.slippage) == (0.0, None, None)
    figures = summary([whole, part, none])
    assert figures["fill_ratio"] == pytest.approx(0.5)
    assert (figures["entries"], figures["filled_whole"], figures["repricings"]) == (3, 1, 1)
    assert figures["seconds_to_fill"] == 3.0
    assert figures["slippage"] == pytest.approx((0.0016 * 10 - 0.001 * 5) / 15)
    assert line(figures).startswith(
        "worked as limits: 1 of 3 entries filled whole, 50% of what was asked for"
    )


def test_without_worked_entries_there_is_nothing_to_say() -> None:
    book = Book()
    book.order("market", Side.BUY)
    assert limit_fills(book) == []
    assert summary([])["fill_ratio"] is None
    assert line(summary([])) == ""
