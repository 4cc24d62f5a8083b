"""Positions, the portfolio and the account's values, asked for once or kept up to date."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from brokers.simulators.orders import Execution
from brokers.simulators.simulation import Simulation
from brokers.simulators.tws.codec import Fields
from brokers.simulators.tws.contracts import Directory
from brokers.simulators.tws.messages import portfolio_message, position_message
from brokers.simulators.tws.portfolio import Portfolio
from brokers.simulators.tws.session import Handler, Session

BASE = "BASE"
NOTHING = Decimal(0)
LEDGER = (
    "CashBalance",
    "TotalCashBalance",
    "StockMarketValue",
    "NetLiquidationByCurrency",
    "UnrealizedPnL",
    "RealizedPnL",
    "ExchangeRate",
)
Line = tuple[str, str, str]


class Accounts:
    """The account of a gateway, to whoever listens."""

    def __init__(self, simulation: Simulation, directory: Directory, account: str) -> None:
        self._simulation = simulation
        self._directory = directory
        self._account = account
        self.portfolio = Portfolio()
        for execution in simulation.exchange.books.executions(account):
            self.portfolio.take(execution)
        self._positions: set[Session] = set()
        self._updates: set[Session] = set()
        self._summaries: dict[tuple[Session, int], str] = {}
        self._multi: dict[tuple[Session, int], str] = {}

    def handlers(self) -> dict[int, Handler]:
        """What is answered here, by the number of the request."""
        return {
            6: self._account_updates,
            61: self._positions_wanted,
            62: self._summary_wanted,
            63: lambda session, fields: self._end(self._summaries, session, fields),
            64: lambda session, fields: self._positions.discard(session),
            76: self._multi_wanted,
            77: lambda session, fields: self._end(self._multi, session, fields),
        }

    def forget(self, session: Session) -> None:
        """The session has ended."""
        self._positions.discard(session)
        self._updates.discard(session)
        for streams in (self._summaries, self._multi):
            for key in [key for key in streams if key[0] is session]:
                del streams[key]

    def take(self, execution: Execution) -> None:
        """An execution, whoever traded."""
        if execution.account == self._account:
            self.portfolio.take(execution)

    def push(self, symbol: str) -> None:
        """After a trade: the position it changed and the account's values to everyone who listens."""
        held = self.portfolio.positions(self._account)[symbol]
        stock = self._directory.of(symbol)
        for session in self._positions:
            session.push(*position_message(self._account, stock, held))
        for session in self._updates:
            session.push(*portfolio_message(self._account, stock, held, self._price(symbol)))
            for tag, value, currency in self._values():
                session.push(6, 2, tag, value, currency, self._account)
        for (session, request), tags in self._summaries.items():
            self._send_summary(session, request, tags)
        for (session, request), model in self._multi.items():
            self._send_multi(session, request, model)

    # -- requests

    def _positions_wanted(self, session: Session, fields: Fields) -> None:
        self._positions.add(session)
        for symbol, held in self.portfolio.positions(self._account).items():
            if held.size:
                session.send(*position_message(self._account, self._directory.of(symbol), held))
        session.send(62, 1)

    def _account_updates(self, session: Session, fields: Fields) -> None:
        fields.skip(1)
        if not fields.flag():
            self._updates.discard(session)
            return
        self._updates.add(session)
        for tag, value, currency in self._values():
            session.send(6, 2, tag, value, currency, self._account)
        for symbol, held in self.portfolio.positions(self._account).items():
            if held.size:
                stock = self._directory.of(symbol)
                session.send(*portfolio_message(self._account, stock, held, self._price(symbol)))
        session.send(8, 1, f"{self._simulation.clock.now():%H:%M}")
        session.send(54, 1, self._account)

    def _summary_wanted(self, session: Session, fields: Fields) -> None:
        fields.skip(1)
        request, _, tags = fields.integer(), fields.text(), fields.text()
        self._summaries[session, request] = tags
        self._send_summary(session, request, tags)
        session.send(64, 1, request)

    def _multi_wanted(self, session: Session, fields: Fields) -> None:
        fields.skip(1)
        request, account, model = fields.integer(), fields.text(), fields.text()
        if account not in ("", self._account):
            session.error(request, 321, "Error validating request: invalid account code")
            return
        self._multi[session, request] = model
        self._send_multi(session, request, model)
        session.send(74, 1, request)

    def _end(self, streams: dict[tuple[Session, int], str], session: Session, fields: Fields) -> None:
        fields.skip(1)
        streams.pop((session, fields.integer()), None)

    def _send_summary(self, session: Session, request: int, tags: str) -> None:
        wanted = set(tags.split(","))
        ledger = any(tag.startswith("$LEDGER") for tag in wanted)
        for tag, value, currency in self._values():
            if tag in wanted or (ledger and tag in LEDGER):
                session.push(63, 1, request, self._account, tag, value, currency)

    def _send_multi(self, session: Session, request: int, model: str) -> None:
        for tag, value, currency in self._values():
            session.push(73, 1, request, self._account, model, tag, value, currency)

    # -- figures

    def _price(self, symbol: str) -> Decimal:
        tick = self._simulation.exchange.books.tick(symbol)
        return tick.last if tick is not None else NOTHING

    def _values(self) -> Iterator[Line]:
        """Tag, value, currency: totals in the account's own currency, then the ledger by currency."""
        books = self._simulation.exchange.books
        account, held = books.account(self._account), self.portfolio.positions(self._account)
        cash: dict[str, Decimal] = {}
        worth: dict[str, Decimal] = {}
        for symbol, listing in books.listings.items():
            cash.setdefault(listing.quote, account.balances.get(listing.quote, NOTHING))
            value = held[symbol].size * self._price(symbol) if symbol in held else NOTHING
            worth[listing.quote] = worth.get(listing.quote, NOTHING) + value
        currency = next(iter(cash))
        yield "AccountType", "INDIVIDUAL", ""
        for tag, value in _totals(cash[currency], worth[currency], account.leverage or Decimal(1)):
            yield tag, f"{value:f}", currency
        gains = [one.size * self._price(symbol) - one.cost for symbol, one in held.items()]
        realised = sum((one.realised for one in held.values()), NOTHING)
        for name in (*cash, BASE):
            money = currency if name == BASE else name
            figures = cash[money], worth[money], sum(gains, NOTHING), realised
            for tag, value in zip(LEDGER, _ledger(*figures), strict=True):
                yield tag, f"{value:f}", name


def _totals(cash: Decimal, worth: Decimal, leverage: Decimal) -> Iterator[tuple[str, Decimal]]:
    net, margin = cash + worth, abs(worth) / leverage
    yield from dict.fromkeys(("NetLiquidation", "EquityWithLoanValue"), net).items()
    yield from dict.fromkeys(("InitMarginReq", "MaintMarginReq"), margin).items()
    yield from dict.fromkeys(("AvailableFunds", "ExcessLiquidity"), net - margin).items()
    yield "TotalCashValue", cash
    yield "GrossPositionValue", abs(worth)
    yield "BuyingPower", (net - margin) * leverage


def _ledger(cash: Decimal, worth: Decimal, unrealised: Decimal, realised: Decimal) -> tuple[Decimal, ...]:
    """In the order of LEDGER."""
    return cash, cash, worth, cash + worth, unrealised, realised, Decimal(1)
