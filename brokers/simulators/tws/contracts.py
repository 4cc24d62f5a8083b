"""What can be traded at the simulated gateway, and how it is looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from brokers.simulators.tws.codec import Fields, Value

FIRST_CON_ID = 265_598
MARKET_RULE = 26
ORDER_TYPES = "ACTIVETIM,DAY,GTC,GTD,IOC,LMT,MKT,MOC,OCA,STP,STPLMT,TRAIL,TRAILLMT"


@dataclass(frozen=True, slots=True)
class Stock:
    """One instrument as the gateway describes it."""

    con_id: int
    symbol: str
    min_tick: Decimal
    lot: Decimal = Decimal(1)
    sec_type: str = "STK"
    currency: str = "USD"
    exchange: str = "NASDAQ"

    def order_fields(self) -> tuple[Value, ...]:
        """As orders, executions and positions carry it: conId to tradingClass, without the primary exchange."""
        return self._identity("SMART")

    def position_fields(self) -> tuple[Value, ...]:
        """As positions carry it: without a routing."""
        return self._identity("")

    def portfolio_fields(self) -> tuple[Value, ...]:
        """As the portfolio carries it: with the primary exchange."""
        return self._identity(self.exchange)

    def _identity(self, exchange: str) -> tuple[Value, ...]:
        """ConId, symbol, type, expiry, strike, right, multiplier, exchange, currency, local symbol, class."""
        first = (self.con_id, self.symbol, self.sec_type, "", "0.0", "", "")
        return (*first, exchange, self.currency, self.symbol, self.symbol)

    def details(self, request: int) -> tuple[Value, ...]:
        """The message contractData."""
        return (
            *(10, request, self.symbol, self.sec_type, "", "0", "", "SMART", self.currency, self.symbol),
            *(self.symbol, self.symbol, self.con_id, self.min_tick, "", ORDER_TYPES),
            *(f"SMART,{self.exchange}", 1, 0, self.symbol, self.exchange, "", "", "", ""),
            *("UTC", "", "", "", "0", 0, 1, "", "", MARKET_RULE, "", "COMMON"),
            *(self.lot, self.lot, self.lot),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for; what is empty matches anything."""

    con_id: int
    symbol: str
    sec_type: str
    exchange: str
    currency: str
    local_symbol: str

    def matches(self, stock: Stock) -> bool:
        """Whether the instrument is among what is asked for."""
        if self.con_id:
            return self.con_id == stock.con_id
        return (
            (self.symbol or self.local_symbol) == stock.symbol
            and self.sec_type in ("", stock.sec_type)
            and self.exchange in ("", "SMART", stock.exchange)
            and self.currency in ("", stock.currency)
        )


def read_contract(fields: Fields) -> Wanted:
    """The twelve fields of a contract, conId to tradingClass."""
    con_id, symbol, sec_type = fields.integer(), fields.text(), fields.text()
    fields.skip(4)
    exchange, _, currency, local_symbol, _ = (fields.text() for _ in range(5))
    return Wanted(con_id, symbol, sec_type, exchange, currency, local_symbol)


class Directory:
    """Every instrument."""

    def __init__(self, listings: Iterable[Stock]) -> None:
        self._by_symbol = {stock.symbol: stock for stock in listings}

    def find(self, wanted: Wanted) -> list[Stock]:
        """The instruments that match."""
        return [stock for stock in self._by_symbol.values() if wanted.matches(stock)]

    def of(self, symbol: str) -> Stock:
        """The stock of that symbol."""
        return self._by_symbol[symbol]

    def __iter__(self) -> Iterator[Stock]:
        return iter(self._by_symbol.values())
