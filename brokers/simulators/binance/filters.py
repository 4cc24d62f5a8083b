"""What Binance lets a symbol be traded at: its filters, as exchangeInfo shows them and as orders are held to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from brokers.simulators.binance.errors import about
from brokers.simulators.orders import STOPS, TRAILS, Listing, Order, Ticket
from core.types import OrderType

MARKETS = frozenset({OrderType.MARKET, OrderType.STOP, OrderType.STOP_TRAIL})
Filter = dict[str, object]


def text(value: Decimal) -> str:
    """A number as Binance writes it: eight decimals."""
    return f"{value:.8f}"


@dataclass(frozen=True, slots=True)
class SymbolFilters:
    """The filters of one symbol. multiplier_up, multiplier_down: how far a price may be from the average."""

    listing: Listing
    max_price: Decimal = Decimal(1_000_000)
    max_quantity: Decimal = Decimal(9_000)
    max_notional: Decimal = Decimal(9_000_000)
    multiplier_up: Decimal = Decimal(5)
    multiplier_down: Decimal = Decimal("0.2")
    max_orders: int = 200
    max_stops: int = 5
    max_trailing: int = 2000

    def shown(self) -> list[Filter]:
        """As exchangeInfo lists them."""
        listing, up, down = (
            self.listing,
            f"{self.multiplier_up.normalize():f}",
            f"{self.multiplier_down.normalize():f}",
        )
        lots = {
            "minQty": text(listing.lot_size),
            "maxQty": text(self.max_quantity),
            "stepSize": text(listing.lot_size),
        }
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text(listing.tick_size),
                "maxPrice": text(self.max_price),
                "tickSize": text(listing.tick_size),
            },
            {"filterType": "LOT_SIZE", **lots},
            {
                "filterType": "MARKET_LOT_SIZE",
                **lots,
                "minQty": text(Decimal(0)),
                "stepSize": text(Decimal(0)),
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": self.max_trailing,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": self.max_trailing,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": up,
                "bidMultiplierDown": down,
                "askMultiplierUp": up,
                "askMultiplierDown": down,
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": text(listing.min_notional),
                "applyMinToMarket": True,
                "maxNotional": text(self.max_notional),
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": self.max_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": self.max_stops},
        ]

    def check(self, ticket: Ticket, average: Callable[[], Decimal], open_orders: Sequence[Order]) -> None:
        """Raise BinanceError for the first filter a ticket fails. average: the price of the last five minutes."""
        self._check_prices(ticket, average)
        self._check_quantity(ticket, average)
        if len(open_orders) >= self.max_orders:
            raise about(-1013, "MAX_NUM_ORDERS")
        stops = sum(order.type in STOPS and not order.triggered for order in open_orders)
        if ticket.type in STOPS and stops >= self.max_stops:
            raise about(-1013, "MAX_NUM_ALGO_ORDERS")

    def _check_prices(self, ticket: Ticket, average: Callable[[], Decimal]) -> None:
        tick = self.listing.tick_size
        for price in (ticket.limit, ticket.trigger):
            if price is not None and (price < tick or price > self.max_price or price % tick):
                raise about(-1013, "PRICE_FILTER")
        if ticket.limit is not None:
            reference = average()
            if not reference * self.multiplier_down <= ticket.limit <= reference * self.multiplier_up:
                raise about(-1013, "PERCENT_PRICE_BY_SIDE")
        if ticket.type in TRAILS and ticket.trail_percent is not None:
            delta = ticket.trail_percent * 10_000
            if not 10 <= delta <= self.max_trailing:
                raise about(-1013, "TRAILING_DELTA")

    def _check_quantity(self, ticket: Ticket, average: Callable[[], Decimal]) -> None:
        lot, size = self.listing.lot_size, ticket.size
        if ticket.quote_size is None and (size < lot or size > self.max_quantity or size % lot):
            raise about(-1013, "LOT_SIZE")
        price = ticket.limit or ticket.trigger
        notional = ticket.quote_size or size * (average() if price is None else price)
        if notional < self.listing.min_notional:
            raise about(-1013, "NOTIONAL")
        if ticket.type not in MARKETS and notional > self.max_notional:
            raise about(-1013, "NOTIONAL")
