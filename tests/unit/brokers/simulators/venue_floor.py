"""A small exchange for the tests of this folder: one listing, one cash account, prices by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.simulators.exchange import Exchange
from brokers.simulators.fees import FeeSchedule, ReceivedAssetFees
from brokers.simulators.market import flat_tick
from brokers.simulators.orders import Change, Listing, Order, Ticket
from brokers.simulators.rules import Rules
from core.types import OrderType, Side

START = datetime(2024, 1, 1, tzinfo=UTC)
LISTING = Listing("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.001"))
D = Decimal


class Floor:
    """An exchange whose clock moves a second with every tick."""

    def __init__(
        self,
        fees: FeeSchedule | None = None,
        rules: Rules | None = None,
        leverage: Decimal | None = None,
    ) -> None:
        self.now = START
        self.exchange = Exchange([LISTING], fees or ReceivedAssetFees(), lambda: self.now, rules)
        self.books = self.exchange.books
        self.exchange.open_account("me", {"USDT": D(10_000), "BTC": D(5)}, leverage)

    def tick(self, price: str, bid: str | None = None, ask: str | None = None, volume: str = "100") -> None:
        self.now += timedelta(seconds=1)
        self.exchange.on_tick(
            flat_tick(
                self.now,
                "BTCUSDT",
                D(price),
                bid=D(bid) if bid else None,
                ask=D(ask) if ask else None,
                volume=D(volume),
            )
        )

    def submit(self, side: Side, kind: OrderType, size: str, **fields: object) -> Order:
        return self.exchange.submit(ticket(side, kind, size, **fields))

    def fills(self) -> list[tuple[Decimal, Decimal, Decimal, str]]:
        """Size, price, fee and fee asset of every execution."""
        return [(e.size, e.price, e.fee, e.fee_asset) for e in self.books.executions("me")]

    def changes(self, order: Order) -> list[Change]:
        return [event.change for event in self.books.state.events if event.order.id == order.id]

    def balance(self, asset: str) -> Decimal:
        return self.books.account("me").balances[asset]


def ticket(side: Side, kind: OrderType, size: str, **fields: object) -> Ticket:
    given = {
        name: D(value) if isinstance(value, str) and name in PRICES else value
        for name, value in fields.items()
    }
    return Ticket(account="me", symbol="BTCUSDT", side=side, type=kind, size=D(size), **given)  # type: ignore[arg-type]


PRICES = frozenset({"limit", "trigger", "trail_amount", "trail_percent", "quote_size"})
